//! Removing what an interrupted restore left, and opening up directories that the planner could not look
//! into.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::Worker;
use super::staged::NOT_REMOVED;
use crate::destination::directory::Directory;
use crate::destination::remove::remove_tree;
use crate::destination::{Side, is_for_now};
use crate::kept::path_in;
use crate::plan::items::SmallEntry;

impl Worker<'_> {
    /// Removes what an interrupted restore left of an entry, if that is still to be done.
    pub(super) fn discard(&mut self, entry: &SmallEntry) {
        if entry.discard {
            self.discard_by_name(&entry.directory, &entry.name);
        }
    }

    /// Removes what has a name in the staging tree. What cannot be removed for good is found in the way by whoever
    /// needs its name; what may be a moment later ends the restore.
    pub(super) fn discard_by_name(&mut self, directory: &Arc<Directory>, name: &[u8]) {
        let removed = self.open_staged(directory).and_then(|handle| {
            remove_tree(handle.as_fd(), name, None).inspect_err(|error| {
                if is_for_now(error) {
                    self.give_up_left(directory, name, (NOT_REMOVED, error));
                }
            })
        });
        if let Err(error) = removed {
            tracing::debug!(%error, name = %String::from_utf8_lossy(name), "left by an interrupted restore");
        }
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
