//! Writing one entry as a whole.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kopia_repository::Defect;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::worker::Failure;
use super::{Worker, is_fatal};
use crate::Durability;
use crate::decide::existing::Candidates;
use crate::destination::naming::Act;
use crate::destination::{Side, close, look};
use crate::outcome::Unset;
use crate::plan::items::SmallEntry;
use crate::plan::room::{Finished, Postponed};
use crate::reason::Reason;

impl Worker<'_> {
    /// Writes and finishes a small file or link.
    pub(super) fn small(&mut self, entry: &SmallEntry, plain: Result<&[u8], Reason>) {
        let path = || entry.path();
        match plain.and_then(|bytes| if entry.symlink { as_link_target(bytes) } else { Ok(bytes) }) {
            Err(reason) => {
                self.discard(entry);
                self.shared.tally.problem(path(), reason);
            }
            Ok(bytes) => {
                let written = self.make_way(entry).map_err(Failure::making);
                let written = written.and_then(|()| {
                    if entry.symlink { self.symlink(entry, bytes) } else { self.file(entry, bytes) }
                });
                match written {
                    Ok(unset) => {
                        self.shared.tally.unset(unset, path);
                        if entry.symlink {
                            self.is_staged(entry);
                            self.shared.tally.symlink();
                        } else {
                            self.shared.tally.written(bytes.len() as u64);
                            self.file_is_there(entry, bytes.len() as u64, 0);
                        }
                    }
                    Err(Failure { error, is_left, .. }) if self.shared.room.may_postpone(&error) => {
                        let discard = entry.discard || is_left;
                        let entry = SmallEntry { discard, ..entry.clone() };
                        let found = Candidates::default();
                        return self
                            .shared
                            .room
                            .postpone(Postponed::Entry { entry, found, takes: None }, &error);
                    }
                    // Its directory could not be made, and that is reported when the directory is finished.
                    Err(failure) if entry.directory.is_lost() && !is_fatal(&failure.error) => {}
                    Err(failure) => self.entry_failed(entry, failure),
                }
            }
        }
        self.child_done(entry.directory.clone());
    }

    fn file(&mut self, entry: &SmallEntry, bytes: &[u8]) -> Result<Unset, Failure> {
        let directory = self.handles.open(&entry.directory)?;
        let file = self
            .metadata
            .create(directory.as_fd(), &*entry.name, &entry.attributes, OFlags::WRONLY)
            .map_err(Failure::making)?;
        let filled = self.fill(&file, entry, bytes);
        let closed = close(file);
        let result = filled.and_then(|unset| closed.map(|()| unset));
        result.map_err(|error| self.failed_to_fill(directory.as_fd(), entry, error))
    }

    fn fill(&mut self, file: &OwnedFd, entry: &SmallEntry, bytes: &[u8]) -> io::Result<Unset> {
        self.shared.bytes.reserve(file, bytes.len() as u64);
        self.shared.bytes.write(file, bytes, 0)?;
        self.shared.bytes.end(file, bytes.len() as u64)?;
        let unset = self.finish_new_file(file.as_fd(), entry)?;
        self.sync(file)?;
        Ok(unset)
    }

    fn symlink(&mut self, entry: &SmallEntry, target: &[u8]) -> Result<Unset, Failure> {
        let directory = self.handles.open(&entry.directory)?;
        if let Err(errno) = rustix::fs::symlinkat(target, &*directory, &*entry.name) {
            // XFS takes targets of 1,024 bytes, ext4 those that fit into a block.
            let is_of_target = errno == Errno::NAMETOOLONG && look(directory.as_fd(), &*entry.name).is_ok();
            let act = if is_of_target { Act::Link } else { Act::Make };
            return Err(Failure { act, error: errno.into(), is_left: false });
        }
        let result = self.finish_new_symlink(directory.as_fd(), entry);
        result.map_err(|error| self.failed_to_fill(directory.as_fd(), entry, error))
    }

    /// Sets what making a file left. In a directory that is unlike new ones, the file is looked at.
    pub(super) fn finish_new_file(&mut self, file: BorrowedFd<'_>, entry: &SmallEntry) -> io::Result<Unset> {
        if entry.directory.is_unlike_new() {
            return self.metadata.correct_file(file, &entry.attributes, Side::Staging);
        }
        self.metadata.finish_file(file, &entry.attributes)
    }

    /// As [`Self::finish_new_file`], of a link.
    fn finish_new_symlink(&mut self, directory: BorrowedFd<'_>, entry: &SmallEntry) -> io::Result<Unset> {
        let (name, wanted) = (&*entry.name, &entry.attributes);
        if entry.directory.is_unlike_new() {
            let stat = look(directory, name)?.ok_or(io::ErrorKind::NotFound)?;
            return self.metadata.correct_symlink(directory, name, &stat, wanted, Side::Staging);
        }
        self.metadata.finish_symlink(directory, name, wanted)
    }

    /// Removes what was made of an entry that could not be finished.
    fn failed_to_fill(&self, directory: BorrowedFd<'_>, entry: &SmallEntry, error: io::Error) -> Failure {
        let may_wait = self.shared.room.may_postpone(&error);
        let is_left = self.remove_or_wait(directory, entry, may_wait);
        Failure { is_left, ..error.into() }
    }

    pub(super) fn sync(&self, file: &OwnedFd) -> io::Result<()> {
        match self.shared.options.sync {
            Durability::Files => Ok(rustix::fs::fsync(file)?),
            Durability::None | Durability::Filesystem => Ok(()),
        }
    }

    /// Notes that an entry lies finished in the staging tree.
    pub(super) fn is_staged(&self, entry: &SmallEntry) {
        entry.directory.one_staged();
        entry.directory.let_go(&entry.name);
        if entry.frees.is_some() {
            let (directory, name) = (entry.directory.clone(), entry.name.clone());
            self.shared.room.keep_finished(|| Finished::Entry { directory, name });
        }
    }

    /// Counts a file, of which so many bytes were there before.
    ///
    /// Says so if the repository has another size for it than its entry.
    pub(super) fn file_is_there(&self, entry: &SmallEntry, length: u64, reused: u64) {
        self.is_staged(entry);
        self.file_in_place_is_there(entry, length, reused);
    }

    /// As [`Self::file_is_there`], of a file that is in its place already.
    pub(super) fn file_in_place_is_there(&self, entry: &SmallEntry, length: u64, reused: u64) {
        self.shared.tally.file(length, reused);
        self.compare_length(entry, length);
    }

    /// Counts a file of the target that was right as it is.
    pub(super) fn count_kept(&self, entry: &SmallEntry, length: u64) {
        self.shared.tally.kept(length);
        self.compare_length(entry, length);
    }

    fn compare_length(&self, entry: &SmallEntry, length: u64) {
        if length != entry.size {
            let reason = Defect::Length { found: length, stated: entry.size };
            self.shared.tally.problem(entry.path(), reason);
        }
    }
}

/// Refuses what no system takes as the target of a link.
fn as_link_target(target: &[u8]) -> Result<&[u8], Reason> {
    Defect::of_target(target).map_or(Ok(target), |defect| Err(defect.into()))
}
