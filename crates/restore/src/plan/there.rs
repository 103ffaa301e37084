//! What is there already of the directory that is being planned: in the target, and left by an interrupted restore.
//!
//! It is looked at once, when the walk enters the directory, and then by the names of its entries. Nothing is
//! changed: where a directory is closed to its owner, a worker opens it up. What cannot be looked at is not known to
//! be right, so it must neither be replaced nor get to its place; whether that ends the restore, or costs what lies
//! there alone, is decided here.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use kopia_repository::Entry;
use rustix::fs::Stat;
use rustix::io::Errno;

use super::context::Context;
use super::items::Chore;
use super::{Planner, UNSEEN};
use crate::Options;
use crate::decide::directory::DirectoryPolicy;
use crate::decide::existing::Candidates;
use crate::decide::extra_names::ExtraNames;
use crate::decide::leftovers::Leftovers;
use crate::destination::directory::{Directory, DirectoryKind};
use crate::destination::existing::look_into;
use crate::destination::leftover::Leftover;
use crate::destination::mounts::is_boundary;
use crate::destination::placeholder::Placeholders;
use crate::destination::{Side, is_fatal, look_for, unless_gone};
use crate::reason::{NotDeleted, Reason};

/// What is there already of the directory that is being planned.
#[derive(Default)]
pub(super) struct There {
    pub(super) existing: Option<OwnedFd>,
    pub(super) left: Option<Leftovers>,
}

impl Planner<'_> {
    /// Looks at what is there already of a directory.
    ///
    /// # Errors
    /// What the system says of something that is there: what it has is not known, so nothing can be planned. That
    /// ends the restore if it would hit every entry, or if what is staged would be lost: what shards have written
    /// there, or all that an earlier run has written into it, or into the directory that is moved as a whole and
    /// that it lies in. It must not get to its place with that, as nobody has compared it, and would be removed as
    /// soon as it can be opened again, or at the end if that is the target's. One that is closed to this process for
    /// good cannot be removed either, and keeps nothing else from its place; but what shards have staged for one of
    /// the target that is closed could be.
    pub(super) fn look_at(&mut self, directory: &Arc<Directory>) -> io::Result<There> {
        let is_root = directory.parent.is_none();
        let existing = self.existing(directory).inspect_err(|error| {
            if is_root || loses(self.context.options, directory.left, error) {
                self.context.give_up(Side::Target, directory, b"", (UNSEEN, error));
            }
        })?;
        let left = self.left(directory).inspect_err(|error| {
            if is_root || self.context.loses_staged(directory, error) {
                self.context.give_up(Side::Staging, directory, b"", (UNSEEN, error));
            }
        })?;
        Ok(There { existing, left })
    }

    /// Opens the directory of the target, if it was there before.
    fn existing(&mut self, directory: &Arc<Directory>) -> io::Result<Option<OwnedFd>> {
        let destination = self.context.destination.filter(|_| !self.context.options.is_shard());
        let Some(destination) = destination.filter(|_| directory.kind == DirectoryKind::Existing) else {
            return Ok(None);
        };
        let root = destination.target.directory.as_fd();
        unless_gone(match look_into(root, directory, false) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.open_up(directory, Side::Target);
                look_into(root, directory, true)
            }
            opened => opened,
        })
    }

    /// Lists what an interrupted restore left of the directory.
    fn left(&mut self, directory: &Arc<Directory>) -> io::Result<Option<Leftovers>> {
        if directory.left != Leftover::Usable || self.context.options.is_shard() {
            return Ok(None);
        }
        let folds = !self.context.folding.is_nothing();
        let opened = match self.open_staged(directory) {
            Some(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.open_up(directory, Side::Staging);
                self.open_staged(directory)
            }
            opened => opened,
        };
        let Some(opened) = opened else { return Ok(None) };
        let left = unless_gone(opened.and_then(|handle| Leftovers::read(handle, folds)))?;
        Ok(left.map(|mut left| {
            if let (None, Some(destination)) = (&directory.parent, self.context.destination) {
                left.spare(destination.staging.name());
            }
            left
        }))
    }

    fn open_staged(&mut self, directory: &Arc<Directory>) -> Option<io::Result<Rc<OwnedFd>>> {
        Some(self.staged.as_mut()?.open(directory))
    }

    /// Reports a directory that cannot be looked at, with all below it, unless that has ended the restore.
    pub(super) fn unseen(&self, directory: &Arc<Directory>, error: io::Error) {
        directory.set_unseen();
        if !self.context.stopped() {
            self.context.tally.lost(directory.path_of(""), Reason::from(error), directory.below);
        }
    }

    /// Queues the opening up of a directory that its owner may not look into, and waits for it.
    fn open_up(&mut self, directory: &Arc<Directory>, side: Side) {
        self.batch.chores.push(Chore::OpenUp(directory.clone(), side));
        self.drain();
    }

    /// Lists the directory of the target, if what the snapshot does not have is to be deleted.
    pub(super) fn names_of(&self, directory: &Arc<Directory>, there: &There) -> Option<ExtraNames> {
        let existing = there.existing.as_ref().filter(|_| self.context.options.delete_extra)?;
        let names = ExtraNames::read(existing.as_fd());
        names.map_err(|error| self.extra_problem(directory, "", NotDeleted::Unlisted(error.into()))).ok()
    }

    /// Lists placeholders of the target's directory. Where extras are deleted, they are some.
    pub(super) fn placeholders_of(&self, directory: &Arc<Directory>, there: &There) -> Placeholders {
        let existing = there.existing.as_ref().filter(|_| !self.context.options.delete_extra);
        let listed =
            existing.map_or(Ok(Placeholders::default()), |existing| Placeholders::read(existing.as_fd()));
        listed.unwrap_or_else(|error| {
            self.problem(directory, "", error.into());
            Placeholders::default()
        })
    }
}

impl There {
    /// Decides how a directory gets to its place, and whether it replaces something else than a directory.
    pub(super) fn placing(
        &self,
        context: &Context<'_>,
        parent: &Directory,
        entry: &Entry,
        (found, left): (Option<&Stat>, Leftover),
    ) -> Result<(DirectoryKind, bool), Reason> {
        // It is made, and left as it is made.
        if context.options.is_shard() || parent.kind != DirectoryKind::Existing {
            return Ok((DirectoryKind::Inner, false));
        }
        let directory = self.existing.as_ref().map(AsFd::as_fd);
        let device = context.destination.map(|destination| destination.target.device);
        let name = entry.name().as_bytes();
        let is_boundary = |stat: &Stat| match directory.zip(device) {
            Some((directory, device)) => is_boundary(directory, name, stat, device)
                .inspect_err(|error| Self::unseen(context, parent, (name, left), error)),
            None => Ok(false),
        };
        let policy = DirectoryPolicy::decide(found, entry.modified(), is_boundary, context.options)?;
        Ok(match policy {
            DirectoryPolicy::Fill => (DirectoryKind::Existing, false),
            DirectoryPolicy::Replace => (DirectoryKind::Moved, true),
            DirectoryPolicy::Make => (DirectoryKind::Moved, false),
        })
    }

    /// Returns what is there already of a file or link.
    pub(super) fn found(
        &self,
        context: &Context<'_>,
        directory: &Directory,
        name: &[u8],
        entry: &Entry,
        left: Leftover,
    ) -> Result<Candidates, Reason> {
        let (stat, creator) = (self.look(context, directory, (name, left))?, context.creator());
        Ok(Candidates { left, ..Candidates::of(stat.as_ref(), entry, context.options, creator) })
    }

    /// Looks at what the target has by the name of an entry of a directory, of which this is left in the staging
    /// tree. What would hit every entry ends the restore, and what would cost what is left.
    pub(super) fn look(
        &self,
        context: &Context<'_>,
        directory: &Directory,
        (name, left): (&[u8], Leftover),
    ) -> io::Result<Option<Stat>> {
        let looked = self.existing.as_ref().map_or(Ok(None), |handle| look_for(handle.as_fd(), name));
        looked.inspect_err(|error| Self::unseen(context, directory, (name, left), error))
    }

    /// Ends the restore where this error is no matter of the entry alone.
    fn unseen(
        context: &Context<'_>,
        directory: &Directory,
        (name, left): (&[u8], Leftover),
        error: &io::Error,
    ) {
        if loses(context.options, left, error) {
            context.give_up(Side::Target, directory, name, (UNSEEN, error));
        }
    }
}

/// Returns whether what the system says of the target's side of an entry ends the restore: it would hit every entry,
/// or is over a moment later, and what is left of the entry in the staging tree would be removed until then. What
/// shards have left ends it for good reasons as well: they do not look at the target, so a finish is the first that
/// can say what is closed there, and all of them would have to run again.
pub(super) fn loses(options: &Options, left: Leftover, error: &io::Error) -> bool {
    // Where an entry cannot be recorded, as its path is too long, that is no word of the system.
    let errno = Errno::from_io_error(error);
    let is_closed = |errno: Errno| matches!(errno, Errno::ACCESS | Errno::PERM);
    let loses_left = errno.is_some_and(|errno| options.is_finish() || !is_closed(errno));
    is_fatal(error) || loses_left && left == Leftover::Usable
}
