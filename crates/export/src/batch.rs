//! Some entries in their order, and the contents that they need.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kopia_format::stub::Stub;
use kopia_format::{ContentId, Timestamp};
use kopia_repository::contents::{ContentLocation, Contents, Located, ReadStep, Steps};
use kopia_repository::object::Extent;
use kopia_repository::owners::Owners;
use kopia_repository::{Defect, Entry};

use crate::Problem;
use crate::lock::lock;

/// What an entry counts for in the window beside its bytes and its path: its attributes and locations.
const ENTRY: u64 = 512;

/// What an archive says of an entry.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    /// Its path below the root, empty for the root.
    pub(crate) path: Box<str>,
    pub(crate) attributes: Attributes,
    /// The size that its entry states, in bytes.
    pub(crate) size: u64,
}

/// Mode, owner and time of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) modified: Timestamp,
}

impl Attributes {
    /// Returns what is said of an entry that belongs to whom `owners` say.
    pub(crate) fn of(entry: &Entry, owners: &Owners) -> Self {
        let (mode, modified) = (owners.mode(entry) & 0o7777, entry.modified());
        Self { mode, owner: owners.of(entry), modified }
    }
}

/// What is to be written next.
#[derive(Debug)]
pub(crate) enum Item {
    Directory(Meta),
    /// A link; the slot has its target.
    Symlink(Meta, usize),
    /// A file whose bytes are in these slots, all of them in this batch.
    File(Meta, Range<usize>),
    /// The header of a file with so many bytes; that they can be had was checked.
    Begin(Meta, u64),
    /// The next bytes of a file that was begun.
    Piece(usize),
    /// The end of a file that was begun.
    End,
    /// An entry that is left out, with so many below it.
    Problem(Problem, u64),
    /// A file that stands for another: it comes next.
    Stub(Box<str>, Stub),
}

impl Item {
    /// Returns how many bytes its path has.
    fn path_length(&self) -> usize {
        match self {
            Self::Directory(meta) | Self::Symlink(meta, _) | Self::File(meta, _) | Self::Begin(meta, _) => {
                meta.path.len()
            }
            Self::Problem(problem, _) => problem.path.len(),
            Self::Stub(path, _) => path.len(),
            Self::Piece(_) | Self::End => 0,
        }
    }
}

/// What was found out about a file that is too long to wait in memory: where the first of its lost bytes
/// begins, and why they are lost.
#[derive(Debug, Default)]
pub(crate) struct Checked(Mutex<Option<(u64, Defect)>>);

impl Checked {
    /// Notes that bytes are lost.
    pub(crate) fn fail(&self, start: u64, defect: Defect) {
        let mut first = lock(&self.0);
        if first.as_ref().is_none_or(|(known, _)| start < *known) {
            *first = Some((start, defect));
        }
    }

    /// Returns why the first lost bytes are lost, if any are.
    pub(crate) fn defect(&self) -> Option<Defect> {
        lock(&self.0).as_ref().map(|(_, defect)| defect.clone())
    }
}

/// Adds a range that begins at or after the last one's beginning.
pub(crate) fn add_range(ranges: &mut Vec<Range<u64>>, range: Range<u64>) {
    match ranges.last_mut().filter(|last| range.start <= last.end) {
        Some(last) => last.end = last.end.max(range.end),
        None => ranges.push(range),
    }
}

/// The bytes of a content, or why they cannot be had.
pub(crate) type Plain = Result<Arc<Vec<u8>>, Defect>;

/// Where the bytes of a content are put for one entry.
#[derive(Debug)]
pub(crate) struct Slot {
    /// How many bytes they should be.
    pub(crate) length: u64,
    plain: Mutex<Option<Plain>>,
}

impl Slot {
    /// Takes what was put here.
    pub(crate) fn take(&self) -> Option<Plain> {
        lock(&self.plain).take()
    }

    pub(crate) fn put(&self, plain: Plain) {
        *lock(&self.plain) = Some(plain);
    }
}

/// A content that an entry needs.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) content: ContentId,
    location: ContentLocation,
    /// Whether the content begins with a compression header of its own (`Z`), and how long it is without.
    pub(crate) compressed: Option<Option<u64>>,
    /// How long the lists say that it is, where there are lists.
    pub(crate) length: Option<u64>,
    /// Where it begins in the file, in bytes, and ends.
    pub(crate) range: Range<u64>,
    /// The number of its slot; nothing is put there where contents are only checked.
    pub(crate) slot: usize,
}

impl Located for Need {
    fn content(&self) -> ContentId {
        self.content
    }

    fn location(&self) -> ContentLocation {
        self.location
    }
}

/// Entries that are decoded together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    items: Vec<Item>,
    /// Sorted by location once the batch is scheduled.
    pub(crate) needs: Vec<Need>,
    pub(crate) slots: Vec<Slot>,
    reads: Vec<ReadStep>,
    /// How many steps are not done.
    remaining: AtomicUsize,
    /// How many bytes its contents have when they are decoded, and its paths: each may be thousands of names
    /// long.
    bytes: u64,
    /// What contents are only checked for.
    pub(crate) checked: Option<Arc<Checked>>,
}

impl Batch {
    /// Begins with a batch whose contents are only checked.
    pub(crate) fn checking(checked: Arc<Checked>) -> Self {
        Self { checked: Some(checked), ..Self::default() }
    }

    /// Adds what is to be written next.
    pub(crate) fn push(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(item.path_length() as u64);
        self.items.push(item);
    }

    /// Returns what is to be written, in order.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Adds a content that is needed, and returns the number of its slot. `size` is what the entry states,
    /// for contents of which nothing else says how long they are.
    pub(crate) fn need(&mut self, contents: &Contents, extent: &Extent, size: u64) -> usize {
        let length = extent.length.or(Some(size));
        match contents.assume(&extent.content, length) {
            Ok(location) => {
                let plain = extent.length.unwrap_or_else(|| location.plain_length().max(size));
                let range = extent.start..extent.start.saturating_add(plain);
                self.bytes = self.bytes.saturating_add(plain);
                self.needs.push(Need {
                    content: extent.content,
                    location,
                    compressed: extent.compressed.then_some(extent.length),
                    length: extent.length,
                    range,
                    slot: self.slots.len(),
                });
                self.slot(plain)
            }
            Err(error) => self.lose(extent.start, length.unwrap_or_default(), error.into()),
        }
    }

    /// Adds bytes that cannot be had, and returns the number of their slot.
    pub(crate) fn lose(&mut self, start: u64, length: u64, defect: Defect) -> usize {
        match &self.checked {
            Some(checked) => checked.fail(start, defect),
            None => {
                let slot = self.slot(length);
                self.slots[slot].put(Err(defect));
            }
        }
        self.slots.len().saturating_sub(1)
    }

    fn slot(&mut self, length: u64) -> usize {
        if self.checked.is_none() {
            self.slots.push(Slot { length, plain: Mutex::default() });
        }
        self.slots.len().saturating_sub(1)
    }

    /// Returns whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.needs.is_empty()
    }

    /// Returns how many bytes its contents have when they are decoded, and its paths.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how much of the window it takes.
    pub(crate) fn cost(&self) -> u64 {
        // Nothing stays of what is only checked. Few such batches wait: whoever makes them waits for them, and
        // could give back nothing before.
        if self.checked.is_some() {
            return 0;
        }
        self.bytes.saturating_add((self.items.len() + self.needs.len()) as u64 * ENTRY)
    }

    /// Puts what is to be read into the order in which it is stored.
    pub(crate) fn schedule(&mut self, contents: &Contents, read_at_least: u64) {
        self.reads = contents.schedule(&mut self.needs, read_at_least);
        *self.remaining.get_mut() = self.reads.len();
    }

    /// Returns a step.
    pub(crate) fn step(&self, number: usize) -> Option<&ReadStep> {
        self.reads.get(number)
    }

    /// Counts down the steps; returns whether that was the last.
    pub(crate) fn one_done(&self) -> bool {
        self.remaining.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Returns whether all steps are done.
    pub(crate) fn is_done(&self) -> bool {
        self.remaining.load(Ordering::Acquire) == 0
    }
}

/// A batch on its way through the workers.
pub(crate) struct Work(pub(crate) Arc<Batch>);

impl Steps for Work {
    fn reads(&self) -> &[ReadStep] {
        &self.0.reads
    }

    fn count(&self) -> usize {
        self.0.reads.len()
    }

    fn entries(&self, number: usize) -> usize {
        self.0.reads[number].serves().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lost_bytes_count() {
        let checked = Checked::default();
        assert!(checked.defect().is_none());
        for start in [30, 10, 20] {
            checked.fail(start, Defect::TooDeep { limit: start as usize });
        }
        assert!(matches!(checked.defect(), Some(Defect::TooDeep { limit: 10 })));
    }

    #[test]
    fn paths_take_their_part_of_the_window() {
        let (mut short, mut long) = (Batch::default(), Batch::default());
        let attributes = Attributes { mode: 0, owner: (0, 0), modified: Timestamp::default() };
        for (batch, length) in [(&mut short, 1), (&mut long, 400_000)] {
            let path = || "n".repeat(length);
            let meta = || Meta { path: path().into(), attributes, size: 0 };
            batch.push(Item::Directory(meta()));
            batch.push(Item::Symlink(meta(), 0));
            batch.push(Item::File(meta(), 0..0));
            batch.push(Item::Begin(meta(), 0));
            batch.push(Item::Piece(0));
            batch.push(Item::End);
            let problem = Problem { path: path(), defect: Defect::NoPieces, lost: Vec::new() };
            batch.push(Item::Problem(problem, 0));
        }
        assert_eq!((short.bytes(), short.cost()), (5, 5 + 7 * ENTRY));
        assert_eq!((long.bytes(), long.cost()), (2_000_000, 2_000_000 + 7 * ENTRY));
    }

    #[test]
    fn lost_bytes_that_follow_each_other_are_joined() {
        let mut ranges = Vec::new();
        [0..10, 10..20, 25..30, 30..40].into_iter().for_each(|range| add_range(&mut ranges, range));
        assert_eq!(ranges, [0..20, 25..40]);
    }
}
