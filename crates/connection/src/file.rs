//! Reads files that may hold secrets: bounded, and into one buffer that is wiped.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::{Error, Result};

/// The longest configuration or token, in bytes. Both may hold certificates and an `rclone.conf`.
pub(crate) const LONGEST: usize = 1 << 20;

/// Reads a whole file of text.
///
/// # Errors
/// [`Error::Read`]: also for one that is longer than [`LONGEST`], or no UTF-8.
pub(crate) fn read(file: &Path) -> Result<Zeroizing<String>> {
    let failed = |source| Error::Read { file: file.into(), source };
    File::open(file).and_then(|opened| text(opened, "file")).map_err(failed)
}

/// Reads the whole of a source of text, such as standard input.
///
/// # Errors
/// What the source says; that it is longer than [`LONGEST`], or no UTF-8.
pub(crate) fn text(mut source: impl Read, what: &str) -> io::Result<Zeroizing<String>> {
    // It never grows: what it grew out of would not be wiped.
    let mut bytes = Zeroizing::new(vec![0; LONGEST + 1]);
    let mut length = 0;
    while length < bytes.len() {
        match source.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, format!("the {what} {why}"));
    if length > LONGEST {
        return Err(invalid(format!("has more than {LONGEST} bytes")));
    }
    let text = std::str::from_utf8(&bytes[..length]).map_err(|_| invalid("is no text in UTF-8".into()))?;
    Ok(Zeroizing::new(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_bounded_and_text() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        for (bytes, is_fine) in [
            (Vec::new(), true),
            ("é\n".into(), true),
            (vec![b'a'; LONGEST], true),
            (vec![b'a'; LONGEST + 1], false),
            (vec![0xff], false),
        ] {
            std::fs::write(&file, &bytes).unwrap();
            let read = read(&file);
            assert_eq!(read.is_ok(), is_fine, "{} bytes", bytes.len());
            assert!(read.is_err() || *read.unwrap().as_bytes() == *bytes);
        }
        assert!(matches!(read(directory.path()), Err(Error::Read { .. })));
        assert!(matches!(read(&directory.path().join("none")), Err(Error::Read { .. })));
    }
}
