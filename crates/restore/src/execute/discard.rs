//! Removing what an interrupted restore left, and opening up directories that the planner could not look
//! into.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::Worker;
use super::staged::NOT_REMOVED;
use crate::destination::directory::{Directory, DirectoryKind};
use crate::destination::partial;
use crate::destination::remove::remove_tree;
use crate::destination::{Side, is_for_now, is_open_elsewhere};
use crate::kept::path_in;
use crate::plan::items::SmallEntry;
use crate::space::is_full;

/// What the names begin with that NFS gives to files that are open and have been removed. They go once they are closed.
const OPEN_ON_NFS: &[u8] = b".nfs";

impl Worker<'_> {
    /// Removes what an interrupted restore left of an entry that is not written, if that is still to be done.
    pub(super) fn discard(&mut self, entry: &SmallEntry) {
        if entry.discard
            && let Err(error) = self.discard_left(&entry.directory, &entry.name, false)
            && entry.directory.kind != DirectoryKind::Existing
        {
            self.give_up_left(&entry.directory, &entry.name, (NOT_REMOVED, &error));
        }
    }

    /// Removes what is left of an entry before it is written, if that is still to be done.
    ///
    /// # Errors
    /// That the disk is full, which may not even take that: it is to be done when the entry is tried again.
    pub(super) fn make_way(&mut self, entry: &SmallEntry) -> io::Result<()> {
        if entry.discard { self.discard_left(&entry.directory, &entry.name, true) } else { Ok(()) }
    }

    /// Removes what has a name in the staging tree that no entry needs.
    pub(super) fn discard_by_name(&mut self, directory: &Arc<Directory>, name: &[u8]) {
        // What is salvaged of a file gets such a name once more; it can take the place of what has it.
        let is_needed = self.shared.options.salvage && partial::is_temporary(name);
        if let Err(error) = self.discard_left(directory, name, is_needed)
            && directory.kind != DirectoryKind::Existing
        {
            self.give_up_left(directory, name, (NOT_REMOVED, &error));
        }
    }

    /// Removes what has a name in the staging tree. What cannot be removed for good is found in the way by whoever
    /// needs its name, and stays behind where entries are moved out of the directory one by one. What may be removed a
    /// moment later ends the restore, and so does what is open elsewhere if its name `is_needed`, or if it would get to
    /// its place with the directory.
    ///
    /// # Errors
    /// That the disk is full.
    fn discard_left(&mut self, directory: &Arc<Directory>, name: &[u8], is_needed: bool) -> io::Result<()> {
        let error = match self.open_staged(directory) {
            Ok(handle) => match remove_tree(handle.as_fd(), name, None) {
                Ok(kept) => {
                    if !kept.is_nothing() {
                        // Something is mounted there.
                        directory.hold_back(name);
                    }
                    return Ok(());
                }
                Err(error) => {
                    directory.hold_back(name);
                    if is_full(&error) {
                        return Err(error);
                    }
                    let stays = directory.kind == DirectoryKind::Existing || name.starts_with(OPEN_ON_NFS);
                    if is_for_now(&error) || is_open_elsewhere(&error) && (is_needed || !stays) {
                        self.give_up_left(directory, name, (NOT_REMOVED, &error));
                    }
                    error
                }
            },
            Err(error) if is_full(&error) => {
                directory.hold_back(name);
                return Err(error);
            }
            Err(error) => error,
        };
        tracing::debug!(%error, name = %String::from_utf8_lossy(name), "left by an interrupted restore");
        Ok(())
    }

    /// Lets the owner of a directory list and search it, so that the planner can look into it.
    pub(super) fn open_up(&mut self, directory: &Arc<Directory>, side: Side) {
        if side == Side::Target
            && let (Some(kept), Some(found)) = (self.shared.kept, directory.found())
            && let Err(error) = kept.directory(path_in(directory, b""), found)
        {
            tracing::debug!(%error, "what it was like is not noted");
            return;
        }
        let opened = match side {
            Side::Target => self.in_target.open(self.shared.target.directory.as_fd(), directory).map(drop),
            Side::Staging => self.open_staged(directory).map(drop),
        };
        if let Err(error) = opened {
            tracing::debug!(%error, directory = directory.path_of(""), "cannot be opened up");
        }
    }
}
