//! What an interrupted restore left in the staging tree, and what of it can be taken up.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use rustix::fs::FileType;

use super::extras::DirNames;
use super::file_type;
use crate::destination::{look, remove};

/// What an interrupted restore left in one folder of the staging tree.
pub(crate) struct Leftovers {
    folder: Rc<OwnedFd>,
    names: DirNames,
    /// Whether names may be listed otherwise than they were given.
    folds: bool,
}

impl Leftovers {
    pub(crate) fn read(folder: Rc<OwnedFd>, folds: bool) -> io::Result<Self> {
        let names = DirNames::read(folder.as_fd())?;
        Ok(Self { folder, names, folds })
    }

    /// Says whether something of the right kind is left of an entry.
    pub(crate) fn has(&self, name: &str, kind: EntryKind) -> bool {
        self.names.names.get(name.as_bytes()).is_some_and(|found| found.0 == file_type(kind))
    }

    /// Says whether what is left of an entry can be taken up; if something else has its name, that is removed.
    pub(crate) fn take_up(&mut self, entry: &Entry) -> bool {
        let wanted = file_type(entry.kind());
        match self.names.take(entry.name()).or_else(|| self.take_folded(entry.name())) {
            None => false,
            Some(found) if found == wanted => true,
            Some(_) => {
                self.remove(entry.name().as_bytes());
                false
            }
        }
    }

    fn take_folded(&mut self, name: &str) -> Option<FileType> {
        if !self.folds || self.names.is_empty() {
            return None;
        }
        let inode = look(self.folder.as_fd(), name).ok()??.st_ino;
        self.names.take_by_inode(inode).ok()?
    }

    /// Removes what is left of no entry of the folder.
    pub(crate) fn remove_rest(self) {
        for name in self.names.names.keys() {
            self.remove(name);
        }
    }

    /// What cannot be removed is found in the way by whoever needs its name.
    pub(crate) fn remove(&self, name: &[u8]) {
        if let Err(error) = remove::remove_tree(self.folder.as_fd(), name, None) {
            tracing::debug!(%error, name = %String::from_utf8_lossy(name), "left by an interrupted restore");
        }
    }
}
