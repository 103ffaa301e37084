//! Compares a file that is there already with the contents that it should have.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use kopia_repository::Repository;
use kopia_repository::object::Extent;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// The longest content that is compared: more than kopia's longest piece. A longer one is restored without
/// being compared.
const LONGEST: u64 = 64 << 20;

/// Reads where a piece belongs and says whether it is there; its bytes are in `bytes` then.
pub(crate) fn is_right(
    repository: &Repository,
    file: BorrowedFd<'_>,
    extent: &Extent,
    bytes: &mut Vec<u8>,
) -> bool {
    // What an object names by its compressed bytes cannot be compared.
    let Some(length) = extent.length.filter(|&length| length <= LONGEST && !extent.compressed) else {
        return false;
    };
    bytes.resize(length as usize, 0);
    read_exact(file, bytes, extent.start).is_ok() && repository.contents().matches(&extent.content, bytes)
}

/// Returns whether a link has the target that it should have.
pub(crate) fn link_is_right(
    repository: &Repository,
    directory: BorrowedFd<'_>,
    name: &str,
    extent: &Extent,
) -> io::Result<bool> {
    let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
    Ok(repository.contents().matches(&extent.content, target.to_bytes()))
}

/// Opens a file that was there before. Fails unless it is a regular file with a single hard link.
pub(crate) fn open_file(
    directory: BorrowedFd<'_>,
    name: &str,
    access: OFlags,
) -> io::Result<(OwnedFd, Stat)> {
    // A pipe that has just taken its place must not hold us up.
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok((file, stat))
}

/// Returns the size of a file in bytes.
pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// Fills memory from an offset of a file.
pub(crate) fn read_exact(file: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    match read_up_to(file, bytes, offset)? {
        count if count == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Fills memory from an offset of a file, as far as that goes; returns how many bytes were read.
pub(crate) fn read_up_to(file: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(file, rest, offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_file_that_ends_early_is_not_read_as_what_was_read_before() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, b"abc").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let mut bytes = *b"abcabc";
        assert!(read_exact(file.as_fd(), &mut bytes, 0).is_err());
        assert!(read_exact(file.as_fd(), &mut bytes[..3], 3).is_err());
        read_exact(file.as_fd(), &mut bytes[..2], 1).unwrap();
        assert_eq!(&bytes[..2], b"bc");
    }
}
