//! Walks the snapshot and gathers batches of bounded size.
//!
//! A batch is all that is known of some thousand files: names, attributes, and for every content where it is
//! stored. The planner keeps two batches ahead of the workers, so memory does not grow with the number of
//! files; only directories that are unfinished, or that the target has already, are kept.
//!
//! It looks and changes nothing. What is to be removed, finished or moved before the end goes to the workers
//! as a chore of the batch, also where the planner has to wait for it. Where there is no target, it plans
//! what would be read.

pub(crate) mod batch;
pub(crate) mod checks;
pub(crate) mod context;
pub(crate) mod figures;
pub(crate) mod items;
mod leaf;
pub(crate) mod room;
mod rounds;
mod shard_slice;
mod visit;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use kopia_format::directory::EntryKind;
use kopia_repository::tree::{FoldName, Walk};
use kopia_repository::{Entry, Trail};
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::decide::directory::DirectoryPolicy;
use crate::decide::existing::Candidates;
use crate::decide::extra_names::ExtraNames;
use crate::decide::leftovers::Leftovers;
use crate::destination::directory::{Directory, DirectoryKind};
use crate::destination::existing::look_into;
use crate::destination::handles::Handles;
use crate::destination::leftover::Leftover;
use crate::destination::merge::Merge;
use crate::destination::metadata::{Attributes, is_newer};
use crate::destination::mounts::is_boundary;
use crate::destination::placeholder::Placeholders;
use crate::destination::staging::pending::Pending;
use crate::destination::{Side, is_fatal, look_for, unless_gone};
use crate::kept::Keeping;
use crate::reason::{NotDeleted, Reason};
use crate::{Options, Portion};
use batch::Batch;
use context::{Context, Destination};
use items::Chore;
use rounds::Rounds;
use shard_slice::Share;
use visit::Visit;

/// When a batch is handed over: entries, bytes of plain contents, and files written in pieces, which stay
/// open meanwhile.
const ENTRIES: usize = 16_384;
const BYTES: u64 = 128 << 20;
const LARGE_FILES: usize = 32;

/// The same where each read takes long: then a batch takes whole packs along, as far as memory goes. Of
/// 100,000 small files 1.6 times as many bytes were read by the smaller batches.
const FAR_ENTRIES: usize = 65_536;
const FAR_BYTES: u64 = 1 << 30;

/// What is said where it is not known what the target has.
pub(crate) const UNSEEN: &str = "cannot be looked at";

/// What is said where the journal of what is replaced cannot be written.
const NOT_KEPT: &str = "what is replaced cannot be kept";

/// Walks the tree on one thread.
pub(crate) struct Planner<'a> {
    context: Context<'a>,
    /// The staging tree, to be looked at.
    staged: Option<Handles<'a>>,
    batch: Batch,
    merge: Merge,
    rounds: Rounds,
    /// What falls to this process, if others restore the rest.
    share: Option<Share>,
    /// What directories get at the end, where a later run could not tell; read once that is asked for.
    pending: Option<Pending>,
    /// Whether a directory keeps some of what it had: then another run of this very command needs what is noted.
    keeps_some: bool,
    /// Whether what was noted had to make room.
    forgot: bool,
    /// The directory that is being visited.
    visit: Visit,
}

impl<'a> Planner<'a> {
    pub(crate) fn new(context: Context<'a>, root: &Entry) -> Self {
        let share = match context.options.portion {
            Portion::Shard(shard) => Some(Share::new(shard, root)),
            Portion::Whole | Portion::Finish(_) => None,
        };
        let rounds = Rounds::new(&context, root);
        let staged = context
            .destination
            .map(|Destination { staging, directories, .. }| Handles::looking(staging.handle(), directories));
        Self {
            context,
            staged,
            batch: Batch::default(),
            merge: Merge::default(),
            rounds,
            share,
            pending: None,
            keeps_some: false,
            forgot: false,
            visit: Visit::default(),
        }
    }

    /// Plans everything below a root and returns what is to be done at the end.
    pub(crate) fn run(mut self, root: &Entry) -> Merge {
        let destination = self.context.destination;
        let is_left = destination.is_some_and(|destination| destination.staging.is_left());
        let left = if is_left { Leftover::Usable } else { Leftover::Nothing };
        let attributes = self.attributes_of_root(root);
        let directory = Directory::root(Trail::root(Some(root.object())), attributes, left);
        let found = destination.and_then(|destination| destination.target.found);
        if let Some(found) = found.filter(|_| self.context.options.keep_replaced) {
            directory.set_found(found);
        }
        self.merge.existing.push(directory.clone());
        match root.kind() {
            EntryKind::File | EntryKind::Symlink => {
                let name = destination.and_then(|destination| destination.target.name.as_deref());
                self.single(root, name.unwrap_or(root.name().as_bytes()), directory);
            }
            EntryKind::Directory => self.walk(root, directory),
        }
        self.end_rounds();
        self.merge
    }

    /// Plans a root that is a file or link and gets this name.
    fn single(&mut self, root: &Entry, name: &[u8], directory: Arc<Directory>) {
        let there = self.look_at(&directory).unwrap_or_else(|error| {
            self.unseen(&directory, error);
            There::default()
        });
        let left = there.left.as_ref().map_or(Leftover::Nothing, |left| left.of(name, root.kind()));
        let refusal = self.context.destination.and_then(|destination| destination.reserved.refusal(name));
        match refusal.map_or_else(|| there.found(&self.context, &directory, name, root, left), Err) {
            Ok(found) => {
                // kopia names placeholders after entries of snapshots, whose names are UTF-8.
                directory.set_placeholders(
                    str::from_utf8(name).map_or_else(|_| Vec::new(), |name| vec![name.into()]),
                );
                self.leaf(&directory, name, root, found);
            }
            Err(reason) => {
                self.problem(&directory, &String::from_utf8_lossy(name), reason);
                self.queue_discard(&directory, vec![name.into()]);
            }
        }
        self.child_done(directory);
    }

    /// Returns what the target itself gets.
    fn attributes_of_root(&mut self, root: &Entry) -> Attributes {
        let options = self.context.options;
        // A run that was interrupted may have made it.
        let destination = self.context.destination.filter(|destination| !destination.target.is_new());
        let found = destination.and_then(|destination| {
            destination.target.found.map(|found| self.root_before(root, destination, found))
        });
        let stays = found.filter(|stat| options.newer && !is_newer(root.modified(), stat));
        stays.map_or_else(|| Attributes::of(root, options), |stat| Attributes::found(&stat))
    }

    /// Returns what the target was like before the first run of this restore changed it, and sees to it that it
    /// gets back the mode that it had then.
    fn root_before(
        &mut self,
        root: &Entry,
        Destination { target, staging, .. }: Destination<'_>,
        found: Stat,
    ) -> Stat {
        let Options { newer, skip_permissions, root_attributes, .. } = *self.context.options;
        let is_directory = root.kind() == EntryKind::Directory;
        let keeps_time = newer && is_directory;
        let keeps_mode = skip_permissions || !root_attributes || !is_directory || root.is_implied();
        let is_opened_up = target.opened_up_from().is_some();
        if !keeps_time && !(keeps_mode && (is_opened_up || staging.is_left())) {
            return found;
        }
        self.keeps_some = true;
        let before = self.before("", Some(&found), (Leftover::Usable, 0), keeps_time || is_opened_up);
        let before = before.unwrap_or(found);
        if before.st_mode != found.st_mode {
            target.set_mode_after(Some(before.st_mode & 0o7777));
        }
        before
    }

    /// Returns what a directory of the target was like before the first run of this restore changed it, as
    /// [`Pending::before`] does. It is noted with others, before anything that is planned is done.
    fn before(
        &mut self,
        path: &str,
        found: Option<&Stat>,
        made: (Leftover, u32),
        may_mislead: bool,
    ) -> Option<Stat> {
        let destination = self.context.destination.filter(|_| !self.context.options.is_shard());
        let Some(destination) = destination else { return found.copied() };
        if self.forgot && !self.keeps_some {
            return found.copied();
        }
        let pending = self.pending.get_or_insert_with(|| Pending::open(destination.staging));
        pending.add(path, found, made, may_mislead)
    }

    /// Plans everything below a directory.
    fn walk(&mut self, root: &Entry, directory: Arc<Directory>) {
        let folding = self.context.folding;
        let fold: FoldName<'_> = &|name| folding.key(name);
        let Options { max_depth, chosen, .. } = self.context.options;
        let walk = Walk::new(root.repository()).max_depth(*max_depth).choosing(chosen);
        let walk = if folding.is_nothing() { walk } else { walk.fold(fold) };
        let stopped = walk.run([(root, directory)], self).is_break();
        self.merge.may_tag |= stopped && self.visit.lacks_tag();
    }

    /// Waits until everything that was handed out is done. What is found to be wrong has to be read after
    /// all.
    fn drain(&mut self) {
        loop {
            self.hand_over();
            let wrong = self.context.crew.checks().wait();
            if wrong.is_empty() {
                return;
            }
            self.take_back(wrong);
        }
    }

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
    fn look_at(&mut self, directory: &Arc<Directory>) -> io::Result<There> {
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
    fn unseen(&self, directory: &Arc<Directory>, error: io::Error) {
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

    /// Queues the removal of what an interrupted restore had salvaged, and waits for it.
    fn discard_salvaged(&mut self, directory: &Arc<Directory>, left: &mut Option<Leftovers>) {
        let names = left.as_mut().map(Leftovers::take_temporaries).unwrap_or_default();
        if !names.is_empty() {
            self.queue_discard(directory, names);
            self.drain();
        }
    }

    /// Queues the removal of what is left of no entry of a directory.
    fn discard_rest(&mut self, directory: &Arc<Directory>, left: Option<Leftovers>) {
        let names = left.map(Leftovers::into_rest).unwrap_or_default();
        if !names.is_empty() {
            self.queue_discard(directory, names);
        }
    }

    fn queue_discard(&mut self, directory: &Arc<Directory>, names: Vec<Box<[u8]>>) {
        directory.expect_one();
        self.batch.chores.push(Chore::Discard(directory.clone(), names));
    }

    /// Has the unfinished directory tagged before what is planned is read: until then, a backup would take it
    /// along if the restore were killed.
    fn tag_first(&mut self) {
        let planned = std::mem::take(&mut self.batch);
        self.batch.chores.push(Chore::Tag);
        self.hand_over();
        self.batch = planned;
    }

    /// Lists the directory of the target, if what the snapshot does not have is to be deleted.
    fn names_of(&self, directory: &Arc<Directory>, there: &There) -> Option<ExtraNames> {
        let existing = there.existing.as_ref().filter(|_| self.context.options.delete_extra)?;
        let names = ExtraNames::read(existing.as_fd());
        names.map_err(|error| self.extra_problem(directory, "", NotDeleted::Unlisted(error.into()))).ok()
    }

    /// Lists placeholders of the target's directory. Where extras are deleted, they are some.
    fn placeholders_of(&self, directory: &Arc<Directory>, there: &There) -> Placeholders {
        let existing = there.existing.as_ref().filter(|_| !self.context.options.delete_extra);
        let listed =
            existing.map_or(Ok(Placeholders::default()), |existing| Placeholders::read(existing.as_fd()));
        listed.unwrap_or_else(|error| {
            self.problem(directory, "", error.into());
            Placeholders::default()
        })
    }

    /// Counts down the children of a directory, and has it finished after the last.
    fn child_done(&mut self, directory: Arc<Directory>) {
        if directory.one_done() {
            self.batch.chores.push(Chore::FinishDirectory(directory));
        }
    }

    fn problem(&self, directory: &Arc<Directory>, name: &str, reason: Reason) {
        self.context.tally.problem(directory.path_of(name), reason);
    }

    /// As [`Self::problem`], of what the snapshot does not have.
    fn extra_problem(&self, directory: &Arc<Directory>, name: &str, reason: NotDeleted) {
        self.context.tally.extra_problem(directory.path_of(name), reason);
    }

    fn is_full(&self) -> bool {
        let is_far = self.context.repository.contents().is_far();
        let (entries, bytes) = if is_far { (FAR_ENTRIES, FAR_BYTES) } else { (ENTRIES, BYTES) };
        self.batch.is_full(entries, bytes)
    }

    fn hand_over_when_full(&mut self) {
        if self.is_full() {
            self.hand_over();
            let wrong = self.context.crew.checks().take();
            self.take_back(wrong);
        }
    }

    /// Has the journal of what is replaced on disk before workers open up closed directories.
    fn sync_closed(&self) {
        let kept = self.context.destination.and_then(|destination| destination.kept);
        if let Err(error) = kept.map_or(Ok(()), Keeping::sync_closed) {
            self.context.give_up_target(NOT_KEPT, &error);
        }
    }

    fn hand_over(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        batch.schedule(self.context.repository.contents(), self.context.read_at_least);
        self.sync_closed();
        self.pending.iter_mut().for_each(Pending::write);
        self.context.crew.take(batch);
    }
}

/// What is there already of the directory that is being planned.
#[derive(Default)]
struct There {
    existing: Option<OwnedFd>,
    left: Option<Leftovers>,
}

/// Returns what a directory gets besides what is in it, from what the target had by its name before.
fn attributes_of(
    context: &Context<'_>,
    parent: &Directory,
    entry: &Entry,
    before: Option<&Stat>,
) -> Attributes {
    if entry.is_implied() {
        // As of any directory that is made on the way: one that is there stays as it is.
        return before.map_or_else(|| context.of_directory(entry, parent), Attributes::found);
    }
    let stays = before.filter(|stat| context.options.newer && !is_newer(entry.modified(), stat));
    stays.map_or_else(|| Attributes::of(entry, context.options), Attributes::found)
}

/// Returns whether what the system says of the target's side of an entry ends the restore: it would hit every entry,
/// or is over a moment later, and what is left of the entry in the staging tree would be removed until then. What
/// shards have left ends it for good reasons as well: they do not look at the target, so a finish is the first that
/// can say what is closed there, and all of them would have to run again.
fn loses(options: &Options, left: Leftover, error: &io::Error) -> bool {
    // Where an entry cannot be recorded, as its path is too long, that is no word of the system.
    let errno = Errno::from_io_error(error);
    let is_closed = |errno: Errno| matches!(errno, Errno::ACCESS | Errno::PERM);
    let loses_left = errno.is_some_and(|errno| options.is_finish() || !is_closed(errno));
    is_fatal(error) || loses_left && left == Leftover::Usable
}

impl There {
    /// Decides how a directory gets to its place, and whether it replaces something else than a directory.
    fn placing(
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
    fn found(
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
    fn look(
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
