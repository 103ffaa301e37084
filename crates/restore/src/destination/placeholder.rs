//! Placeholders that `kopia restore --shallow` left in the target: they go when what they stand for is
//! restored.
//!
//! A file `NAME.kopia-entry` stands for a file, a directory of such a name with nothing but a file
//! `.kopia-entry` for a directory. With both NAME and its placeholder in place kopia takes the tree for
//! broken. Authority: `fs/localfs/shallow_fs.go`, `snapshot/restore/shallow_helper.go`.

use std::collections::HashSet;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use kopia_format::stub::{MAX_STUB, PLACEHOLDER_SUFFIX, Stub};
use rustix::fs::{AtFlags, Dir, OFlags};

use super::compare::open_file;
use super::{is_directory, look, open_directory};

/// Names in a directory of the target that have something named like a placeholder.
#[derive(Debug, Default)]
pub(crate) struct Placeholders {
    names: HashSet<Box<str>>,
    /// Those that the snapshot has an entry of.
    replaced: Vec<Box<str>>,
    /// Those whose placeholder is an entry of the snapshot itself.
    kept: HashSet<Box<str>>,
}

impl Placeholders {
    /// Lists a directory.
    pub(crate) fn read(directory: BorrowedFd<'_>) -> io::Result<Self> {
        let mut names = HashSet::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_str().ok().and_then(|name| name.strip_suffix(PLACEHOLDER_SUFFIX));
            if let Some(name) = name.filter(|name| !name.is_empty()) {
                names.insert(name.into());
            }
        }
        Ok(Self { names, ..Self::default() })
    }

    /// Notes an entry of the snapshot.
    pub(crate) fn note(&mut self, name: &str) {
        if self.names.is_empty() {
            return;
        }
        if self.names.contains(name) {
            self.replaced.push(name.into());
        }
        if let Some(name) = name.strip_suffix(PLACEHOLDER_SUFFIX) {
            self.kept.insert(name.into());
        }
    }

    /// Returns the names whose placeholders go once they are restored.
    pub(crate) fn into_replaced(self) -> Vec<Box<str>> {
        let Self { mut replaced, kept, .. } = self;
        replaced.retain(|name| !kept.contains(name));
        replaced
    }
}

/// Returns the name of the placeholder of an entry, if the directory has one.
pub(crate) fn of(directory: BorrowedFd<'_>, name: &str) -> Option<String> {
    let placeholder = format!("{name}{PLACEHOLDER_SUFFIX}");
    let stat = look(directory, &*placeholder).ok()??;
    let is_one = if is_directory(&stat) {
        let inner = open_directory(directory, &placeholder).ok()?;
        let names = Dir::read_from(&inner).ok()?.map_while(Result::ok);
        let others = names.filter(|entry| !matches!(entry.file_name().to_bytes(), b"." | b".."));
        // Whatever else lies there is somebody's.
        others.count() == 1 && is_stub(inner.as_fd(), PLACEHOLDER_SUFFIX)
    } else {
        is_stub(directory, &placeholder)
    };
    is_one.then_some(placeholder)
}

/// Removes the placeholder of an entry that is restored; returns its name if there was one.
pub(crate) fn remove(directory: BorrowedFd<'_>, name: &str) -> io::Result<Option<String>> {
    let Some(placeholder) = of(directory, name) else { return Ok(None) };
    let stat = look(directory, &*placeholder)?;
    if stat.is_some_and(|stat| is_directory(&stat)) {
        let inner = open_directory(directory, &placeholder)?;
        rustix::fs::unlinkat(&inner, PLACEHOLDER_SUFFIX, AtFlags::empty())?;
        rustix::fs::unlinkat(directory, &*placeholder, AtFlags::REMOVEDIR)?;
    } else {
        rustix::fs::unlinkat(directory, &*placeholder, AtFlags::empty())?;
    }
    Ok(Some(placeholder))
}

/// Returns whether a file is what kopia writes as a placeholder.
fn is_stub(directory: BorrowedFd<'_>, name: &str) -> bool {
    let mut bytes = Vec::new();
    let read = open_file(directory, name.as_bytes(), OFlags::RDONLY)
        .and_then(|(file, _)| std::fs::File::from(file).take(MAX_STUB + 1).read_to_end(&mut bytes));
    read.is_ok_and(|length| length as u64 <= MAX_STUB) && Stub::parse(name, &bytes).is_some()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_folder_is_a_placeholder_if_a_stub_is_all_that_it_has() {
        let place = tempfile::tempdir().unwrap();
        let directory = fs::File::open(place.path()).unwrap();
        let inner = place.path().join("d.kopia-entry");
        let found = || of(directory.as_fd(), "d").is_some();
        fs::create_dir(&inner).unwrap();
        assert!(!found(), "it has nothing");
        fs::write(inner.join(PLACEHOLDER_SUFFIX), "notes").unwrap();
        assert!(!found(), "it has no stub");
        fs::write(inner.join(PLACEHOLDER_SUFFIX), r#"{"name":"d","type":"d","obj":"k0a1b"}"#).unwrap();
        assert!(found());
        let stub = |length: u64| {
            let text = r#"{"name":"d","type":"d","obj":"k0a1b"}"#;
            text.to_owned() + &" ".repeat(length as usize - text.len())
        };
        fs::write(inner.join(PLACEHOLDER_SUFFIX), stub(MAX_STUB)).unwrap();
        assert!(found());
        fs::write(inner.join(PLACEHOLDER_SUFFIX), stub(MAX_STUB + 1)).unwrap();
        assert!(!found(), "no stub is as long");
        fs::write(inner.join(PLACEHOLDER_SUFFIX), stub(50)).unwrap();
        fs::write(inner.join("somebody's"), "").unwrap();
        assert!(!found(), "it has more");
    }
}
