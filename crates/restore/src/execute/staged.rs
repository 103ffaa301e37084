//! Opening what an interrupted restore left of directories.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use super::{Worker, is_fatal};
use crate::destination::Side;
use crate::destination::directory::Directory;
use crate::destination::leftover::Leftover;
use crate::plan::UNSEEN;

impl Worker<'_> {
    /// Opens a directory of the staging tree, making it where that was not done yet, to compare what is in it. What
    /// cannot be opened ends the restore as [`Self::gives_up_staged`] says, before all of it is read anew.
    pub(super) fn open_staged(&mut self, directory: &Arc<Directory>) -> io::Result<Rc<OwnedFd>> {
        self.handles.open(directory).inspect_err(|_| {
            let failed = directory.ancestors().find_map(|above| Some((above, above.failure()?)));
            if let Some((failed, error)) = failed {
                self.gives_up_staged(failed, error);
            }
        })
    }

    /// Ends the restore if an interrupted one left a directory that could not be opened now: nobody compares what is
    /// in it, so it must not get to its place, and the next run takes it up. Returns whether it did.
    ///
    /// That is as where the planner cannot look at it. What would hit every entry ends the restore elsewhere, and
    /// shards move nothing and remove nothing.
    pub(super) fn gives_up_staged(&self, directory: &Directory, error: &io::Error) -> bool {
        let is_left = directory.left == Leftover::Usable && !self.shared.options.is_shard();
        let context = self.shared.for_planner();
        let gives_up = is_left && !is_fatal(error) && context.loses_staged(directory, error);
        if gives_up {
            context.give_up(Side::Staging, directory, b"", (UNSEEN, error));
        }
        gives_up
    }
}
