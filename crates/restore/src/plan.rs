//! Walks the snapshot and gathers batches of bounded size.
//!
//! A batch is all that is known of some thousand files: names, attributes, and for every content where it is
//! stored. The planner keeps two batches ahead of the workers, so memory does not grow with the number of
//! files; only directories that are unfinished, or that the target has already, are kept.
//!
//! It looks and changes nothing. What is to be removed, finished or moved before the end goes to the workers
//! as a chore of the batch, also where the planner has to wait for it. Where there is no target, it plans
//! what would be read.
//!
//! Here it begins and ends, and queues what is to be removed. Below it are rooms for what it does with each
//! directory (`visit`) and entry (`leaf`), what is there of them already (`there`), what directories get besides
//! what is in them (`attributes`), and when a batch goes to the workers (`hand_over`).

mod attributes;
pub(crate) mod batch;
pub(crate) mod checks;
pub(crate) mod context;
pub(crate) mod figures;
mod hand_over;
pub(crate) mod items;
mod leaf;
pub(crate) mod room;
mod rounds;
mod shard_slice;
mod there;
mod visit;

use std::sync::Arc;

use kopia_format::directory::EntryKind;
use kopia_repository::tree::{FoldName, Walk};
use kopia_repository::{Entry, Trail};

use crate::decide::leftovers::Leftovers;
use crate::destination::directory::Directory;
use crate::destination::handles::Handles;
use crate::destination::leftover::Leftover;
use crate::destination::merge::Merge;
use crate::destination::staging::pending::Pending;
use crate::reason::{NotDeleted, Reason};
use crate::{Options, Portion};
use batch::Batch;
use context::{Context, Destination};
use items::Chore;
use rounds::Rounds;
use shard_slice::Share;
use there::There;
use visit::Visit;

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
            .map(|Destination { staging, directories, .. }| Handles::of_made(staging.handle(), directories));
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
}
