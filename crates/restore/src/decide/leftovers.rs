//! What an interrupted restore left in the staging tree, and what of it can be taken up.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use rustix::fs::FileType;

use super::extras::DirNames;
use super::file_type;
use crate::destination::leftover::Leftover;
use crate::destination::{look, partial};

/// What an interrupted restore left in one directory of the staging tree.
pub(crate) struct Leftovers {
    directory: Rc<OwnedFd>,
    names: DirNames,
    /// Whether names may be listed otherwise than they were given.
    folds: bool,
    /// Names of entries that cannot be restored.
    lost: Vec<Box<[u8]>>,
}

impl Leftovers {
    /// Lists a directory; `folds` says whether names may be listed otherwise than they were given.
    pub(crate) fn read(directory: Rc<OwnedFd>, folds: bool) -> io::Result<Self> {
        let names = DirNames::read(directory.as_fd())?;
        Ok(Self { directory, names, folds, lost: Vec::new() })
    }

    /// Returns what is left of an entry that is restored by this name.
    pub(crate) fn of(&self, name: &[u8], kind: EntryKind) -> Leftover {
        self.names.names.get(name).map_or(Leftover::Nothing, |found| of_kind(found.0, kind))
    }

    /// Returns what is left of an entry, which then is no rest any more.
    pub(crate) fn take_up(&mut self, entry: &Entry) -> Leftover {
        let found = self.names.take(entry.name()).or_else(|| self.take_folded(entry.name()));
        found.map_or(Leftover::Nothing, |found| of_kind(found, entry.kind()))
    }

    /// Takes out a name that is none of an entry's, and stays.
    pub(crate) fn spare(&mut self, name: &str) {
        self.names.names.retain(|found, _| !found.eq_ignore_ascii_case(name.as_bytes()));
    }

    fn take_folded(&mut self, name: &str) -> Option<FileType> {
        if !self.folds || self.names.is_empty() {
            return None;
        }
        let inode = look(self.directory.as_fd(), name).ok()??.st_ino;
        self.names.take_by_inode(inode).ok()?
    }

    /// Takes out the names of files of which pieces were lost. These have to go before anything is restored:
    /// a file that cannot be read whole this time gets the same name.
    pub(crate) fn take_temporaries(&mut self) -> Vec<Box<[u8]>> {
        self.names.names.extract_if(|name, _| partial::is_temporary(name)).map(|(name, _)| name).collect()
    }

    /// Counts an entry that cannot be restored among the rest again.
    pub(crate) fn give_back(&mut self, name: &str) {
        self.lost.push(name.as_bytes().into());
    }

    /// Returns what is left of no entry that is restored, and has to go.
    pub(crate) fn into_rest(mut self) -> Vec<Box<[u8]>> {
        self.lost.extend(self.names.names.into_keys());
        self.lost
    }
}

fn of_kind(found: FileType, wanted: EntryKind) -> Leftover {
    if found == file_type(wanted) { Leftover::Usable } else { Leftover::InTheWay }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kopia_codec::key::Password;
    use kopia_repository::Repository;
    use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_is_usable_or_in_the_way_or_has_to_go() {
        let place = tempfile::tempdir().unwrap();
        let mut writer = RepositoryWriter::new();
        let object = writer.file(b"x");
        let file = |name: &str| json!({"name": name, "type": "f", "size": 1, "obj": object});
        let root = writer.directory(&[file("file"), file("other kind"), file("missing"), file("lost")]);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
        writer.finish_in(&place.path().join("repository")).unwrap();
        let store = kopia_storage::FilesystemStore::open(place.path().join("repository")).unwrap();
        let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        let staged = place.path().join("staged");
        fs::create_dir_all(staged.join("other kind")).unwrap();
        let temporary = partial::temporary("file");
        for name in ["file", "lost", "rest", "spared", &temporary] {
            fs::write(staged.join(name), b"").unwrap();
        }

        let directory = Rc::new(OwnedFd::from(fs::File::open(&staged).unwrap()));
        // Listed by one name and found by another, as where case is folded.
        for (folds, found) in [(false, Leftover::Nothing), (true, Leftover::Usable)] {
            let mut left = Leftovers::read(directory.clone(), folds).unwrap();
            fs::rename(staged.join("rest"), staged.join("missing")).unwrap();
            assert_eq!(left.take_up(&root.at("missing").unwrap()), found);
            fs::rename(staged.join("missing"), staged.join("rest")).unwrap();
        }
        let mut left = Leftovers::read(directory, false).unwrap();
        assert_eq!(left.take_temporaries(), [Box::from(temporary.as_bytes())]);
        assert_eq!(left.of(b"file", EntryKind::File), Leftover::Usable);
        assert_eq!(left.of(b"file", EntryKind::Directory), Leftover::InTheWay);
        let mut take_up = |name: &str| left.take_up(&root.at(name).unwrap());
        assert_eq!(take_up("file"), Leftover::Usable);
        assert_eq!(take_up("file"), Leftover::Nothing, "a second entry of the name");
        assert_eq!(take_up("other kind"), Leftover::InTheWay);
        assert_eq!(take_up("missing"), Leftover::Nothing);
        assert_eq!(take_up("lost"), Leftover::Usable);
        left.give_back("lost");
        left.spare("SPARED");
        let mut rest = left.into_rest();
        rest.sort();
        assert_eq!(rest, [b"lost".as_slice().into(), b"rest".as_slice().into()]);
        assert_eq!(fs::read_dir(&staged).unwrap().count(), 6, "looking removes nothing");
    }
}
