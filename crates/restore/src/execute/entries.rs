//! Writing one entry as a whole.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use kopia_repository::Defect;
use rustix::fs::{AtFlags, OFlags};

use super::{Worker, is_fatal};
use crate::Durability;
use crate::decide::existing::Candidates;
use crate::destination::close;
use crate::outcome::Unset;
use crate::plan::items::SmallEntry;
use crate::plan::room::{Finished, Postponed};
use crate::reason::Reason;

impl Worker<'_> {
    /// Writes and finishes a small file or link.
    pub(super) fn small(&mut self, entry: &SmallEntry, plain: Result<&[u8], Reason>) {
        let path = || entry.path();
        match plain {
            Err(reason) => {
                self.discard(entry);
                self.shared.tally.problem(path(), reason);
            }
            Ok(bytes) => {
                self.discard(entry);
                let written =
                    if entry.symlink { self.symlink(entry, bytes) } else { self.file(entry, bytes) };
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
                    Err(error) if self.shared.room.may_postpone(&error) => {
                        let (entry, found) = (entry.clone(), Candidates::default());
                        return self
                            .shared
                            .room
                            .postpone(Postponed::Entry { entry, found, takes: None }, &error);
                    }
                    // Its directory could not be made, and that is reported when the directory is finished.
                    Err(error) if entry.directory.is_lost() && !is_fatal(&error) => {}
                    Err(error) => self.entry_failed(entry, error),
                }
            }
        }
        self.child_done(entry.directory.clone());
    }

    fn file(&mut self, entry: &SmallEntry, bytes: &[u8]) -> io::Result<Unset> {
        let directory = self.handles.open(&entry.directory)?;
        let file = self.metadata.create(directory.as_fd(), &entry.name, &entry.attributes, OFlags::WRONLY)?;
        let filled = self.fill(&file, entry, bytes);
        let closed = close(file);
        let result = filled.and_then(|unset| closed.map(|()| unset));
        if result.is_err() {
            let _ = rustix::fs::unlinkat(&*directory, &*entry.name, AtFlags::empty());
        }
        result
    }

    fn fill(&mut self, file: &OwnedFd, entry: &SmallEntry, bytes: &[u8]) -> io::Result<Unset> {
        self.shared.bytes.reserve(file, bytes.len() as u64);
        self.shared.bytes.write(file, bytes, 0)?;
        self.shared.bytes.end(file, bytes.len() as u64)?;
        let unset = self.metadata.finish_file(file.as_fd(), &entry.attributes)?;
        self.sync(file)?;
        Ok(unset)
    }

    fn symlink(&mut self, entry: &SmallEntry, target: &[u8]) -> io::Result<Unset> {
        let directory = self.handles.open(&entry.directory)?;
        // An empty target or one with NUL is refused by the system, and that is what is reported.
        rustix::fs::symlinkat(target, &*directory, &*entry.name)?;
        let result = self.metadata.finish_symlink(directory.as_fd(), &entry.name, &entry.attributes);
        if result.is_err() {
            let _ = rustix::fs::unlinkat(&*directory, &*entry.name, AtFlags::empty());
        }
        result
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
            self.shared.tally.problem(entry.directory.path_of(&entry.name), reason);
        }
    }
}
