//! Rounds: no more is handed out than there is room for, and what finds none is tried again.

use std::os::fd::AsFd;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use super::Planner;
use super::context::{Context, Destination};
use super::items::{Chore, SmallEntry};
use super::room::Postponed;
use crate::decide::existing::Candidates;
use crate::decide::existing::ExistingPolicy;
use crate::destination::staging::pending;
use crate::destination::target::Target;
use crate::destination::{look, staging};
use crate::space::{InTurn, Space};
use crate::{Error, Options, Portion};

/// How many entries may find no room before the restore is given up.
const MOST_STUCK: usize = 4096;

/// How many files that were changed in place an error names.
const MOST_MIXED: usize = 8;

/// No limit of a round is below this.
const SMALLEST: u64 = 1 << 20;

/// What the planner knows about room.
pub(super) struct Rounds {
    /// What may still be handed out in this round; `None` as long as there is room for everything.
    left: Option<Space>,
    /// What was free when the restore began.
    at_first: Space,
    /// The most bytes of one round. A quota may allow less than is free.
    limit: u64,
    /// The bytes that were handed out in this round.
    handed_out: u64,
    /// The file system's unit of room in bytes.
    block: u64,
    /// Whether the target had something before, so that putting files into their place may free room.
    over_existing: bool,
    /// What all takes at most, as far as that is known.
    total: Option<Space>,
    /// What found no room even when nothing else was under way.
    stuck: Vec<Postponed>,
    /// Whether what is replaced is kept.
    keeps: bool,
    /// Whether what was replaced is known to be freed.
    flushed: bool,
}

impl Rounds {
    pub(super) fn new(context: &Context<'_>, root: &Entry) -> Self {
        let mut rounds = Self {
            left: None,
            at_first: Space { bytes: u64::MAX, inodes: u64::MAX },
            limit: u64::MAX,
            handed_out: 0,
            block: 4096,
            over_existing: false,
            total: None,
            stuck: Vec::new(),
            keeps: context.options.keep_replaced,
            flushed: false,
        };
        if let Some(Destination { target, .. }) = context.destination {
            let Options { portion, chosen, .. } = context.options;
            rounds.look_at(target, root, *portion == Portion::Whole, chosen.is_some());
        }
        rounds
    }

    /// Finds out what is free, and whether all of a root fits, or the part of it that is chosen.
    fn look_at(&mut self, target: &Target, root: &Entry, is_whole: bool, is_part: bool) {
        self.block = rustix::fs::fstatvfs(&target.directory).map_or(4096, |stat| stat.f_frsize);
        self.at_first = Space::free(&target.directory);
        self.total = match root.kind() {
            EntryKind::Directory if is_part => None,
            EntryKind::Directory => root.summary().map(|summary| Space::of_all(summary, self.block)),
            EntryKind::File | EntryKind::Symlink => Some(Space::of(root.size(), self.block)),
        };
        let is_there = || match &target.name {
            Some(name) => look(target.directory.as_fd(), &**name).is_ok_and(|stat| stat.is_some()),
            None => staging::has_others(&target.directory).unwrap_or(true),
        };
        // What is kept frees nothing.
        self.over_existing = is_whole && !self.keeps && is_there();
        let available = self.at_first.but_a_reserve();
        let fits = self.total.is_some_and(|total| available.has_room_for(total));
        self.left = (self.over_existing && !fits).then_some(available);
    }
}

impl Planner<'_> {
    /// Takes room for a directory, which is made or has a counterpart in the staging tree.
    pub(super) fn take_room_for_directory(&mut self) {
        self.take_room(Space::of(1, self.rounds.block));
    }

    /// Takes room for a file or link, ending the round where there is too little.
    pub(super) fn take_room_for(&mut self, entry: &SmallEntry, found: Candidates) {
        let mut takes = Space::of(entry.size, self.rounds.block);
        if self.context.options.in_place
            && found.existing == Some(ExistingPolicy::Compare)
            && entry.object.indirection() > 0
        {
            // It grows where it is.
            takes = Space { bytes: takes.bytes.saturating_sub(entry.frees.unwrap_or(0)), inodes: 0 };
        }
        self.take_room(takes);
    }

    fn take_room(&mut self, takes: Space) {
        let Some(Destination { room, .. }) = self.context.destination else { return };
        let is_over = self.rounds.left.is_some_and(|left| !left.has_room_for(takes) || room.is_crowded());
        if is_over || room.ran_out() {
            self.end_round();
        }
        let rounds = &mut self.rounds;
        rounds.handed_out = rounds.handed_out.saturating_add(takes.bytes);
        rounds.left = rounds.left.map(|left| left.without(takes));
    }

    /// Waits until everything that was handed out is done, and makes room if there is little.
    fn end_round(&mut self) {
        self.drain();
        let Some(Destination { room, .. }) = self.context.destination else { return };
        if self.context.stopped() {
            return;
        }
        let postponed = room.take_postponed();
        let ran_out = !postponed.is_empty();
        let (free, at_first) = (self.free(), self.rounds.at_first);
        let is_scarce = free.bytes < at_first.bytes / 2 || free.inodes < at_first.inodes / 2;
        if ran_out || is_scarce || room.is_crowded() {
            self.publish();
        }
        if ran_out {
            let limit = (self.rounds.handed_out / 2).max(SMALLEST);
            self.rounds.limit = self.rounds.limit.min(limit);
            for one in postponed {
                self.try_alone(one);
            }
        }
        if ran_out || self.rounds.left.is_some() {
            let Space { bytes, inodes } = self.free().but_a_reserve();
            self.rounds.left = Some(Space { bytes: bytes.min(self.rounds.limit), inodes });
        }
        self.rounds.handed_out = 0;
    }

    /// Tries something once more with nothing else under way.
    ///
    /// Goes on as long as something can be put into its place to make room.
    fn try_alone(&mut self, postponed: Postponed) {
        let mut waiting = vec![postponed];
        while !self.context.stopped() {
            for postponed in waiting {
                match postponed {
                    Postponed::Directory(directory) => {
                        self.batch.chores.push(Chore::FinishDirectory(directory))
                    }
                    Postponed::Entry { entry, found, .. } => self.contents(entry, found, None),
                }
            }
            self.drain();
            waiting = self.take_postponed();
            if waiting.is_empty() {
                return;
            }
            if self.publish() == 0 && !self.flush() {
                self.rounds.stuck.append(&mut waiting);
                if !self.rounds.over_existing || self.rounds.stuck.len() > MOST_STUCK {
                    self.give_up_for_room();
                }
                return;
            }
        }
    }

    /// Tries everything that found no room once more, after all else.
    ///
    /// What grows least comes first. If nothing helps, the restore ends.
    pub(super) fn end_rounds(&mut self) {
        loop {
            self.drain();
            let mut waiting = std::mem::take(&mut self.rounds.stuck);
            waiting.extend(self.take_postponed());
            if waiting.is_empty() || self.context.stopped() {
                return;
            }
            self.publish();
            let block = self.rounds.block;
            waiting.sort_by_key(|postponed| {
                let (takes, frees) = postponed.bytes(block);
                i128::from(takes) - i128::from(frees)
            });
            let count = waiting.len();
            for one in waiting {
                self.try_alone(one);
            }
            if self.rounds.stuck.len() >= count {
                self.give_up_for_room();
            }
        }
    }

    /// Has what is finished and replaces something put into its place; returns how many entries got there.
    fn publish(&mut self) -> usize {
        let Some(Destination { room, .. }) = self.context.destination else { return 0 };
        if self.rounds.keeps {
            return 0;
        }
        self.batch.chores.push(Chore::Publish);
        self.drain();
        let count = room.take_published();
        if count > 0 {
            tracing::info!(count, "put into place, because room is short");
            self.rounds.flushed = false;
        }
        count
    }

    /// Has the file system free what was replaced, if that may help; returns whether it did.
    fn flush(&mut self) -> bool {
        if !self.rounds.over_existing || std::mem::replace(&mut self.rounds.flushed, true) {
            return false;
        }
        self.batch.chores.push(Chore::Flush);
        self.drain();
        self.forget_pending();
        true
    }

    /// Frees the room that notes take of directories, where only a later run with other options would need them.
    fn forget_pending(&mut self) {
        let Options { newer, skip_permissions, chosen, .. } = self.context.options;
        if let Some(Destination { staging, .. }) = self.context.destination
            && !self.keeps_some
            && !newer
            && !skip_permissions
            && chosen.is_none()
        {
            (self.pending, self.forgot) = (None, true);
            pending::forget(staging);
        }
    }

    fn take_postponed(&self) -> Vec<Postponed> {
        self.context.destination.map_or_else(Vec::new, |destination| destination.room.take_postponed())
    }

    fn free(&self) -> Space {
        self.context
            .destination
            .map_or(self.rounds.at_first, |destination| Space::free(&destination.target.directory))
    }

    /// Ends the restore because there is no room for the rest.
    fn give_up_for_room(&mut self) {
        let Some(destination) = self.context.destination else { return };
        let mut waiting = std::mem::take(&mut self.rounds.stuck);
        waiting.extend(self.take_postponed());
        let (free, block) = (self.free().bytes, self.rounds.block);
        let rest = || Some(self.rounds.total?.bytes.saturating_sub(self.context.tally.bytes_there()));
        let needed = if self.rounds.over_existing {
            Some(waiting.iter().map(|postponed| postponed.bytes(block)).collect::<InTurn>().most())
        } else {
            rest()
        };
        let replaces = waiting.iter().any(|postponed| match postponed {
            Postponed::Entry { entry, .. } => entry.frees.is_some() && entry.object.indirection() > 0,
            Postponed::Directory(_) => false,
        });
        let mut mixed: Vec<String> = waiting.iter().filter_map(Postponed::mixed).collect();
        mixed.sort_unstable();
        mixed.truncate(MOST_MIXED);
        self.context.crew.give_up(Error::NoRoom {
            target: destination.target.path.clone(),
            // Where a quota is used up, what is free says nothing.
            missing: needed.and_then(|needed| needed.checked_sub(free)).filter(|missing| *missing > 0),
            mixed,
            in_place_helps: replaces && !self.context.options.in_place,
            source: destination.room.error(),
            unfinished: destination.unfinished(),
        });
    }
}
