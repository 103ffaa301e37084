//! Room in the target: what found none, and what can be put into its place to make some.
//!
//! A restore stages everything and moves it at the end, so over an older tree it takes room for both. Where
//! that may be more than there is, the planner works in rounds ([`crate::plan`]): it hands out no more than
//! fits, waits until that is written, and has what replaces something put into its place, which frees the
//! older bytes. A disk that fills up all the same (a quota, others who write) ends the round: what found no
//! room is postponed, and tried again by itself once everything that is finished is in its place. What found
//! none even then is tried once more at the end.
//!
//! Every file is whole before it gets its name. A run that is killed leaves older files and newer ones; the
//! next one keeps what is in its place and takes up what is staged.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;

use super::items::SmallEntry;
use crate::decide::existing::Candidates;
use crate::destination::directory::Directory;
use crate::lock;
use crate::space::{Space, is_full};
use crate::{Options, Portion};

/// How many finished entries are kept in mind at most.
///
/// They can be put into their place before the end: each takes some 60 bytes of memory.
const MOST_FINISHED: usize = 1 << 18;

/// Something that found no room.
#[derive(Debug)]
pub(crate) enum Postponed {
    /// A file or link, of which nothing is left in the staging tree but what it is to discard.
    Entry {
        entry: SmallEntry,
        found: Candidates,
        /// The bytes that the target's own file takes now, if it is changed in place.
        takes: Option<u64>,
    },
    /// A directory that could not be made or finished; everything in it is finished.
    Directory(Arc<Directory>),
}

impl Postponed {
    /// Returns the path of a file that has older bytes and newer ones.
    pub(crate) fn mixed(&self) -> Option<String> {
        match self {
            Self::Entry { entry, found, .. } if found.mixed => Some(entry.path()),
            Self::Entry { .. } | Self::Directory(_) => None,
        }
    }

    /// Returns the bytes that it takes more, and those that are freed when it gets to its place.
    pub(crate) fn bytes(&self, block: u64) -> (u64, u64) {
        match self {
            Self::Entry { entry, takes: Some(takes), .. } => {
                (Space::of(entry.size, block).bytes.saturating_sub(*takes), 0)
            }
            Self::Entry { entry, .. } => (Space::of(entry.size, block).bytes, entry.frees.unwrap_or(0)),
            Self::Directory(_) => (block, 0),
        }
    }
}

/// Something that lies finished in the staging tree.
#[derive(Debug)]
pub(crate) enum Finished {
    /// A file or link of a directory that the target has, which replaces something else than a directory.
    Entry { directory: Arc<Directory>, name: Box<[u8]> },
    /// A directory that replaces something else than a directory.
    Moved(Arc<Directory>),
    /// The staged part of a directory that the target has: all that goes into it is staged or was moved
    /// already.
    Directory(Arc<Directory>),
}

/// What workers tell the planner about room.
#[derive(Debug)]
pub(crate) struct Room {
    /// Whether nobody else writes into the staging tree.
    is_ours: bool,
    /// Whether what is finished may be put into its place before the end.
    publishes: bool,
    ran_out: AtomicBool,
    is_crowded: AtomicBool,
    /// How many entries were put into their place when that was last asked for.
    published: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    postponed: Vec<Postponed>,
    finished: Vec<Finished>,
    /// What the system said last.
    error: Option<Errno>,
}

impl Room {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            is_ours: options.portion == Portion::Whole,
            publishes: options.portion == Portion::Whole && !options.keep_replaced,
            ran_out: AtomicBool::default(),
            is_crowded: AtomicBool::default(),
            published: AtomicUsize::default(),
            state: Mutex::default(),
        }
    }

    /// Returns whether an error is one of missing room, and what it hit may be postponed. Shards stage
    /// everything and share what they write, so there it ends the restore.
    pub(crate) fn may_postpone(&self, error: &io::Error) -> bool {
        self.is_ours && is_full(error)
    }

    /// Postpones what found no room.
    pub(crate) fn postpone(&self, postponed: Postponed, error: &io::Error) {
        let mut state = self.lock();
        state.postponed.push(postponed);
        state.error = Errno::from_io_error(error);
        self.ran_out.store(true, Ordering::Relaxed);
    }

    /// Notes that the disk is full, before what found no room is postponed.
    pub(crate) fn note_full(&self, error: &io::Error) {
        self.lock().error = Errno::from_io_error(error);
        self.ran_out.store(true, Ordering::Relaxed);
    }

    /// Returns whether something was postponed since that was last asked for.
    pub(crate) fn ran_out(&self) -> bool {
        self.ran_out.load(Ordering::Relaxed)
    }

    /// Takes what was postponed. Nothing may be under way.
    pub(crate) fn take_postponed(&self) -> Vec<Postponed> {
        self.ran_out.store(false, Ordering::Relaxed);
        std::mem::take(&mut self.lock().postponed)
    }

    /// Returns what the system said when there was no room.
    pub(crate) fn error(&self) -> io::Error {
        self.lock().error.unwrap_or(Errno::NOSPC).into()
    }

    /// Keeps in mind what can be put into its place; what is too much of that gets there at the end.
    pub(crate) fn keep_finished(&self, finished: impl FnOnce() -> Finished) {
        if !self.publishes {
            return;
        }
        let mut state = self.lock();
        if state.finished.len() < MOST_FINISHED {
            state.finished.push(finished());
        } else {
            self.is_crowded.store(true, Ordering::Relaxed);
        }
    }

    /// Returns whether no more finished entries can be kept in mind.
    pub(crate) fn is_crowded(&self) -> bool {
        self.is_crowded.load(Ordering::Relaxed)
    }

    /// Notes how many entries were put into their place.
    pub(crate) fn note_published(&self, count: usize) {
        self.published.store(count, Ordering::Relaxed);
    }

    /// Takes the number of entries that were put into their place last.
    pub(crate) fn take_published(&self) -> usize {
        self.published.swap(0, Ordering::Relaxed)
    }

    /// Takes what can be put into its place.
    pub(crate) fn take_finished(&self) -> Vec<Finished> {
        self.is_crowded.store(false, Ordering::Relaxed);
        std::mem::take(&mut self.lock().finished)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock::lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_missing_room_are_postponed_and_not_in_shards() {
        let errors = [(Errno::NOSPC, true), (Errno::DQUOT, true), (Errno::IO, false), (Errno::ACCESS, false)];
        let mut options = Options::default();
        for (errno, full) in errors {
            assert_eq!(Room::new(&options).may_postpone(&errno.into()), full, "{errno}");
        }
        options.portion = Portion::Finish(2);
        assert!(!Room::new(&options).may_postpone(&Errno::NOSPC.into()));
    }

    #[test]
    fn what_is_finished_waits_for_the_end_in_shards_and_where_what_it_replaces_is_kept() {
        for (portion, keep_replaced, expected) in [
            (Portion::Whole, false, true),
            (Portion::Whole, true, false),
            (Portion::Finish(2), false, false),
            (Portion::Finish(2), true, false),
        ] {
            let room = Room::new(&Options { portion, keep_replaced, ..Options::default() });
            assert_eq!(room.publishes, expected, "{portion:?} {keep_replaced}");
        }
    }

    #[test]
    fn what_was_put_into_its_place_is_counted_once() {
        let room = Room::new(&Options::default());
        assert_eq!(room.take_published(), 0);
        room.note_published(3);
        assert_eq!((room.take_published(), room.take_published()), (3, 0));
    }
}
