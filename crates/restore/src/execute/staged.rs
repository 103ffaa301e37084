//! Opening what an interrupted restore left, and removing what must not get to its place.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::{Shared, Worker, is_fatal};
use crate::Error;
use crate::destination::directory::Directory;
use crate::destination::leftover::Leftover;
use crate::destination::{Side, handles, is_for_now, is_open_elsewhere};
use crate::plan::UNSEEN;
use crate::plan::items::SmallEntry;
use crate::space::is_full;

/// What is said where something stays in the staging tree that must not get to its place.
pub(super) const NOT_REMOVED: &str = "cannot be removed";

impl Worker<'_> {
    /// Opens a directory of the staging tree, making it where that was not done yet, to compare what is in it. What
    /// cannot be opened ends the restore as [`Self::gives_up_staged`] says, before all of it is read anew.
    pub(super) fn open_staged(&mut self, directory: &Arc<Directory>) -> io::Result<Rc<OwnedFd>> {
        self.handles.open(directory).inspect_err(|error| {
            let failed = directory.ancestors().find_map(|above| Some((above, above.failure()?)));
            if let Some((failed, error)) = failed {
                self.gives_up_staged(failed, error);
            } else if directory.left == Leftover::Usable && !is_full(error) {
                // This or another thread had it open, or what it lies in, and has it no more. Nobody else keeps what
                // the system says now, be it a matter of every entry.
                self.give_up_left(directory, b"", (UNSEEN, error));
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

    /// Ends the restore because of something that stays in the staging tree and that nobody has found right: it would
    /// get to its place with the directory that it lies in. What is closed to this process for good does so only where
    /// [`loses_staged`](crate::plan::context::Context::loses_staged) says that, and elsewhere keeps nothing from its
    /// place. A shard that goes on would vouch for it. Where the disk is full, room is what is asked for.
    pub(super) fn give_up_left(
        &self,
        directory: &Directory,
        name: &[u8],
        (what, error): (&'static str, &io::Error),
    ) {
        let Shared { target, staging, room, .. } = self.shared;
        if room.may_postpone(error) {
            return self.shared.give_up(Error::NoRoom {
                target: target.path.clone(),
                missing: None,
                mixed: Vec::new(),
                in_place_helps: false,
                source: handles::copy(error),
                unfinished: staging.path(target),
            });
        }
        let context = self.shared.for_planner();
        if error.kind() != io::ErrorKind::NotFound && context.loses_staged(directory, error) {
            context.give_up(Side::Staging, directory, name, (what, error));
        }
    }

    /// Removes a file or link of the staging tree that must not get to its place; where it stays, the restore ends as
    /// [`Self::give_up_left`] says.
    pub(super) fn remove_staged(&self, handle: BorrowedFd<'_>, entry: &SmallEntry) {
        self.remove_or_wait(handle, entry, false);
    }

    /// As [`Self::remove_staged`], of an entry that is tried again if it `may_wait` for room. Returns whether it is to be
    /// removed then: a full disk may not even take that.
    pub(super) fn remove_or_wait(&self, handle: BorrowedFd<'_>, entry: &SmallEntry, may_wait: bool) -> bool {
        match rustix::fs::unlinkat(handle, &*entry.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => false,
            Err(errno) => {
                let error = io::Error::from(errno);
                let waits = may_wait && self.shared.room.may_postpone(&error);
                if !waits {
                    self.give_up_left(&entry.directory, &entry.name, (NOT_REMOVED, &error));
                }
                waits
            }
        }
    }

    /// Removes what an interrupted restore left of a file that cannot be opened, as it is another user's, or has other
    /// names. What may be opened a moment later ends the restore instead: it may be all but the last of many hours.
    pub(super) fn discard_unopened(&self, handle: BorrowedFd<'_>, entry: &SmallEntry, error: &io::Error) {
        if is_for_now(error) || is_open_elsewhere(error) {
            self.give_up_left(&entry.directory, &entry.name, (UNSEEN, error));
        } else {
            self.remove_staged(handle, entry);
        }
    }
}
