//! Which names in a directory of the target are extras: gathered entry by entry, settled at its end.

use std::io;
use std::os::fd::BorrowedFd;

use kopia_format::directory::Summary;
use kopia_repository::Entry;
use kopia_repository::choice::Scope;

use super::extras::{DirNames, originals};
use crate::Options;
use crate::reason::NotDeleted;

/// What the target has in a directory and the snapshot has not.
///
/// It is known as far as entries were visited.
pub(crate) struct ExtraNames {
    names: DirNames,
    /// Names that stand for others in the snapshot, as long as there may be extras.
    stubbed: Vec<String>,
    /// Names with U+FFFD, which may be those of others that are not UTF-8, as long as there may be extras.
    inexact: Vec<Box<str>>,
}

impl ExtraNames {
    /// Lists a directory of the target.
    pub(crate) fn read(directory: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { names: DirNames::read(directory)?, stubbed: Vec::new(), inexact: Vec::new() })
    }

    /// Notes that the snapshot has an entry.
    pub(crate) fn note(&mut self, directory: BorrowedFd<'_>, entry: &Entry) {
        self.names.take_or_look(directory, entry.name());
        if !self.names.is_empty() {
            self.stubbed.extend(originals(entry));
        }
        self.note_inexact(entry.name());
    }

    /// Notes that the snapshot has an entry of this name that cannot be restored; one with `/` lies in a directory.
    pub(crate) fn note_refused(&mut self, name: &str) {
        let first = name.split('/').find(|name| !matches!(*name, "" | ".")).unwrap_or_default();
        self.names.take(first);
        self.note_inexact(first);
    }

    fn note_inexact(&mut self, name: &str) {
        if !self.names.is_empty() && name.contains(char::REPLACEMENT_CHARACTER) {
            self.inexact.push(name.into());
        }
    }

    /// Returns the extras that are chosen, or nothing where none may be deleted.
    ///
    /// Calls `keep` with each name that stays because it may be no extra, and why; with an empty name for the
    /// directory as a whole.
    pub(crate) fn settle(
        mut self,
        directory: BorrowedFd<'_>,
        summary: Option<&Summary>,
        is_root: bool,
        (options, scope): (&Options, &Scope),
        mut keep: impl FnMut(&str, NotDeleted),
    ) -> Option<Vec<Box<[u8]>>> {
        self.names.take_unchosen(options, scope);
        let originals = self.names.take_originals(directory, self.stubbed);
        originals.iter().for_each(|name| keep(name, NotDeleted::OnlyStub));
        let inexact = self.names.take_inexact(self.inexact.iter().map(|name| &**name));
        inexact.iter().for_each(|name| keep(name, NotDeleted::InexactName));
        match self.names.take_unread(summary) {
            Ok(unread) => unread.iter().for_each(|name| keep(name, NotDeleted::UnreadInBackup)),
            Err(reason) => {
                keep("", reason);
                return None;
            }
        }
        Some(self.names.into_extras(is_root, options, scope))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_the_snapshot_has_and_cannot_be_restored_is_no_extra() {
        let place = tempfile::tempdir().unwrap();
        for name in ["refused", "directory", "extra"] {
            fs::write(place.path().join(name), "").unwrap();
        }
        let directory = fs::File::open(place.path()).unwrap();
        let mut names = ExtraNames::read(directory.as_fd()).unwrap();
        for name in ["refused", "./directory//refused", "/"] {
            names.note_refused(name);
        }
        let everything = (&Options::default(), &Scope::default());
        let extras = names.settle(directory.as_fd(), None, true, everything, |name, _| {
            panic!("{name} is known");
        });
        assert_eq!(extras.unwrap(), [b"extra".as_slice().into()]);
    }
}
