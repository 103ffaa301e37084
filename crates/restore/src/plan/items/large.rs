//! A file of several contents, written piece by piece by whoever has them: what all know of it.

pub(crate) mod turn;

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};

use kopia_repository::object::Extent;

use self::turn::Turn;
use super::SmallEntry;
use crate::decide::existing::Candidates;
use crate::destination::handles;
use crate::destination::large::Handle;
use crate::lock;
use crate::plan::batch::ContentRef;
use crate::reason::Reason;

/// A file of several contents, while they are written.
#[derive(Debug)]
pub(crate) struct LargeFile {
    pub(crate) entry: SmallEntry,
    pub(crate) found: Candidates,
    pub(crate) handle: RwLock<Handle>,
    /// Pieces that are not settled, and one for the planner while it still adds some.
    pending: AtomicU64,
    /// Where the last piece ends, of all that the planner saw.
    pub(crate) end: AtomicU64,
    /// Bytes of pieces that are where they belong.
    pub(crate) there: AtomicU64,
    /// Bytes of these that were there before this restore.
    pub(crate) reused: AtomicU64,
    /// Whether any piece was written.
    pub(crate) changed: AtomicBool,
    /// Who writes pieces at this time, and what is left to them.
    pub(crate) turn: Turn,
    /// Pieces in which the target's own file differs.
    ///
    /// Those that are decoded so far, if it is changed in place.
    decoded: Mutex<Decoded>,
    compared: Mutex<Compared>,
    /// Whether the disk was full when some of it was written: then all of it is tried again.
    pub(crate) no_room: AtomicBool,
    failed: Mutex<Failed>,
}

/// What is known of the target's own file, as long as it is only read.
#[derive(Debug, Default)]
struct Compared {
    /// Whether it has to be replaced.
    differs: bool,
    /// Pieces of it that are right.
    right: Vec<Extent>,
}

/// What is known of the pieces that are to be written into the target's own file. None is written before all
/// of them have been decoded once, so that damage in the repository leaves the file as it was.
#[derive(Debug, Default)]
struct Decoded {
    pieces: Vec<Extent>,
    /// Whether all were decoded, and are now written.
    all: bool,
}

/// Why a file is not whole.
#[derive(Debug, Default)]
pub(crate) struct Failed {
    pub(crate) reason: Option<Reason>,
    /// Which bytes are lost.
    pub(crate) lost: Vec<Range<u64>>,
    /// Whether more than pieces is lost.
    pub(crate) beyond_help: bool,
}

impl LargeFile {
    pub(crate) fn new(entry: SmallEntry, found: Candidates) -> Self {
        Self {
            entry,
            found,
            handle: RwLock::new(Handle::New),
            // The planner, as long as it adds pieces.
            pending: AtomicU64::new(1),
            end: AtomicU64::default(),
            there: AtomicU64::default(),
            reused: AtomicU64::default(),
            changed: AtomicBool::default(),
            turn: Turn::default(),
            decoded: Mutex::default(),
            compared: Mutex::default(),
            no_room: AtomicBool::default(),
            failed: Mutex::default(),
        }
    }

    /// Notes that a piece ends somewhere, whoever writes it.
    pub(crate) fn ends_at(&self, end: u64) {
        self.end.fetch_max(end, Ordering::Relaxed);
    }

    /// Notes that one more piece is to be settled.
    pub(crate) fn expect_one(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a piece is settled or lost, or that the planner adds no more; returns whether that was the
    /// last thing.
    pub(crate) fn one_done(&self) -> bool {
        self.pending.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Notes that bytes are lost; the first reason is kept.
    pub(crate) fn fail(&self, reason: Reason, lost: Range<u64>) {
        let mut failed = lock::lock(&self.failed);
        failed.reason.get_or_insert(reason);
        match failed.lost.last_mut().filter(|last| last.end == lost.start) {
            Some(last) => last.end = lost.end,
            None => failed.lost.push(lost),
        }
    }

    /// Notes that the file cannot be written.
    pub(crate) fn fail_to_write(&self, error: &io::Error) {
        let mut failed = lock::lock(&self.failed);
        failed.reason.get_or_insert(handles::copy(error).into());
        failed.beyond_help = true;
    }

    /// Returns whether the disk was full when some of it was written.
    pub(crate) fn found_no_room(&self) -> bool {
        self.no_room.load(Ordering::Relaxed)
    }

    pub(crate) fn take_failed(&self) -> Failed {
        std::mem::take(&mut *lock::lock(&self.failed))
    }

    /// Notes that the target's own file has to be replaced.
    ///
    /// Returns the pieces of it that were taken for settled.
    pub(crate) fn differs(&self) -> Vec<Extent> {
        let mut compared = lock::lock(&self.compared);
        compared.differs = true;
        let right = std::mem::take(&mut compared.right);
        for extent in &right {
            self.expect_one();
            self.there.fetch_sub(extent.length.unwrap_or_default(), Ordering::Relaxed);
        }
        right
    }

    /// Notes that a piece can be had; returns whether it must wait for others.
    ///
    /// Nothing is written into the target's own file before all of its pieces were decoded once.
    pub(crate) fn waits_for_others(&self, used: &ContentRef) -> bool {
        if !matches!(*lock::read(&self.handle), Handle::InPlace(_)) {
            return false;
        }
        let mut decoded = lock::lock(&self.decoded);
        if !decoded.all {
            let (start, length, content) = (used.offset, used.length, used.content);
            decoded.pieces.push(Extent { start, length, content, compressed: used.compressed.is_some() });
        }
        !decoded.all
    }

    /// Returns the pieces that were all decoded and are now to be written into the target's own file.
    pub(crate) fn take_decoded(&self) -> Vec<Extent> {
        let mut decoded = lock::lock(&self.decoded);
        decoded.all = true;
        let pieces = std::mem::take(&mut decoded.pieces);
        pieces.iter().for_each(|_| self.expect_one());
        pieces
    }

    /// Takes a piece of the target's own file for settled, unless that file has to be replaced.
    pub(crate) fn settle(&self, extent: Extent) -> bool {
        let mut compared = lock::lock(&self.compared);
        if !compared.differs {
            self.there.fetch_add(extent.length.unwrap_or_default(), Ordering::Relaxed);
            compared.right.push(extent);
        }
        !compared.differs
    }
}
