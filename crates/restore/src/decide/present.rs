//! Whether a file or link that the target has is the snapshot's.

use std::os::fd::{AsFd, BorrowedFd};

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use kopia_repository::object::Extents;
use rustix::fs::{OFlags, Stat};

use crate::destination::compare::{is_right, link_is_right, open_file, size};
use crate::destination::look;

/// What the target has in place of a file or link.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Present {
    /// Whether it has the right bytes.
    pub(crate) is_right: bool,
    /// Whether it may be kept, or changed in place.
    pub(crate) may_stay: bool,
}

impl Present {
    /// Compares what a directory of the target has by a name with the snapshot's file or link; reads into
    /// `buffer`. `may_keep` says whether something with the right bytes may be kept.
    pub(crate) fn of(
        entry: &Entry,
        directory: BorrowedFd<'_>,
        name: &[u8],
        may_keep: impl Fn(&Stat) -> bool,
        buffer: &mut Vec<u8>,
    ) -> Self {
        match entry.kind() {
            EntryKind::Symlink => Self::of_link(entry, directory, name, may_keep),
            EntryKind::File | EntryKind::Directory => Self::of_file(entry, directory, name, may_keep, buffer),
        }
    }

    fn of_link(
        entry: &Entry,
        directory: BorrowedFd<'_>,
        name: &[u8],
        may_keep: impl Fn(&Stat) -> bool,
    ) -> Self {
        let repository = entry.repository();
        let mut extents = Extents::new(repository, entry.object());
        let is_right = match (extents.next(), extents.next()) {
            (Some(Ok(extent)), None) => link_is_right(repository, directory, name, &extent).unwrap_or(false),
            _ => false,
        };
        let stat = look(directory, name).ok().flatten();
        Self { is_right, may_stay: stat.is_some_and(|stat| may_keep(&stat)) }
    }

    fn of_file(
        entry: &Entry,
        directory: BorrowedFd<'_>,
        name: &[u8],
        may_keep: impl Fn(&Stat) -> bool,
        buffer: &mut Vec<u8>,
    ) -> Self {
        let (repository, object) = (entry.repository(), entry.object());
        let Ok((file, stat)) = open_file(directory, name, OFlags::RDONLY) else { return Self::default() };
        let (may_stay, length) = (may_keep(&stat), size(&stat));
        let mut end = 0;
        let right = length == entry.size()
            && Extents::new(repository, object).all(|extent| {
                let Ok(extent) = extent else { return false };
                end = extent.start.saturating_add(extent.length.unwrap_or_default());
                length == 0 || is_right(repository, file.as_fd(), &extent, buffer)
            });
        // A list may have fewer bytes than its entry says, or none at all.
        Self { is_right: right && end == length, may_stay }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kopia_codec::key::Password;
    use kopia_repository::Repository;
    use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
    use serde_json::json;

    use super::*;
    use crate::testing::served_without_key;

    #[test]
    fn a_file_is_right_if_its_bytes_and_its_length_are() {
        let place = tempfile::tempdir().unwrap();
        let mut writer = RepositoryWriter::new();
        let object = writer.file(b"right");
        let entries = [("short", 4), ("file", 5), ("long", 6)];
        let entries =
            entries.map(|(name, size)| json!({"name": name, "type": "f", "size": size, "obj": object}));
        let root = writer.directory(&entries);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
        writer.finish_in(&place.path().join("repository")).unwrap();
        let store = kopia_storage::FilesystemStore::open(place.path().join("repository")).unwrap();
        let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        let directory = fs::File::open(place.path()).unwrap();
        let is_right = |name: &str, bytes: &str| {
            fs::write(place.path().join("here"), bytes).unwrap();
            let entry = root.at(name).unwrap();
            Present::of(&entry, directory.as_fd(), b"here", |_| true, &mut Vec::new()).is_right
        };
        assert!(is_right("file", "right"));
        for bytes in ["wrong", "righ", "right!", ""] {
            assert!(!is_right("file", bytes), "{bytes}");
        }
        // Entries whose objects have another length than they say.
        assert!(!is_right("short", "righ") && !is_right("long", "right!") && !is_right("long", "right"));
        // Where nothing can be compared, nothing is taken for what it should be.
        let served = served_without_key(&repository);
        let root = served.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        let entry = root.at("file").unwrap();
        for bytes in ["right", "wrong"] {
            fs::write(place.path().join("here"), bytes).unwrap();
            let found = Present::of(&entry, directory.as_fd(), b"here", |_| true, &mut Vec::new());
            assert!(!found.is_right && found.may_stay, "{bytes}");
        }
    }
}
