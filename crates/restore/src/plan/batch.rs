//! Some thousand entries, and in which order their contents are read.

use std::ops::Range;

use kopia_format::ContentId;
use kopia_repository::contents::{ContentLocation, Contents, Located, ReadStep, Steps};
use kopia_repository::object::Extent;

use super::hand_over::LARGE_FILES;
use super::items::{Check, Chore, Item, SmallEntry};

/// How many files without bytes, finished directories and the like one worker takes in a row.
const CHORES: usize = 64;

/// How many files, or pieces of large ones, one worker checks in a row.
const CHECKED: usize = 16;

#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// The contents that are needed; sorted by location once the batch is scheduled.
    pub(crate) needs: Vec<ContentRef>,
    reads: Vec<ReadStep>,
    /// What needs no content.
    pub(crate) chores: Vec<Chore>,
    /// What may be there already.
    pub(crate) checks: Vec<Check>,
    pub(crate) large_files: usize,
    /// Files and links without bytes, among the chores.
    written: usize,
    bytes: u64,
}

/// One content that one entry needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ContentRef {
    pub(crate) location: ContentLocation,
    pub(crate) content: ContentId,
    /// Whether the content begins with a compression header of its own (`Z`), and how long it is without.
    pub(crate) compressed: Option<Option<u64>>,
    /// Where it belongs in the file, in bytes.
    pub(crate) offset: u64,
    /// How long the lists say that it is, where there are lists.
    pub(crate) length: Option<u64>,
    /// The number of the entry in [`Batch::items`].
    pub(crate) item: usize,
}

impl ContentRef {
    pub(crate) fn of(extent: &Extent, location: ContentLocation, item: usize) -> Self {
        Self {
            location,
            content: extent.content,
            compressed: extent.compressed.then_some(extent.length),
            offset: extent.start,
            length: extent.length,
            item,
        }
    }

    /// Returns which bytes of the file it holds.
    pub(crate) fn range(&self) -> Range<u64> {
        let length = self.length.unwrap_or_else(|| self.location.plain_length());
        self.offset..self.offset.saturating_add(length)
    }
}

/// A step of a batch, which one worker does in a row.
pub(crate) enum Step<'b> {
    Read(&'b ReadStep),
    /// Some of [`Batch::checks`].
    Check(Range<usize>),
    /// Some of [`Batch::chores`].
    Chores(Range<usize>),
}

impl Batch {
    /// Adds an entry, or a piece of one, with the content that it needs.
    pub(crate) fn add(&mut self, item: Item, location: ContentLocation, extent: &Extent) {
        self.needs.push(ContentRef::of(extent, location, self.items.len()));
        self.items.push(item);
        self.bytes += location.plain_length();
    }

    /// Adds a file or link that needs nothing from packs.
    pub(crate) fn write(&mut self, entry: SmallEntry) {
        self.written += 1;
        self.chores.push(Chore::Write(entry));
    }

    /// Returns whether it is to be handed over, as it has so many entries or bytes. How many chores there are
    /// depends on how far the workers are: they must not change which contents are read together, unless
    /// there are very many.
    pub(crate) fn is_full(&self, entries: usize, bytes: u64) -> bool {
        self.items.len() + self.written + self.checks.len() >= entries
            || self.chores.len() >= 2 * entries
            || self.bytes >= bytes
            || self.large_files >= LARGE_FILES
    }

    /// Puts what is to be read into the order in which it is stored; reads get `at_least` bytes long where
    /// there is as much.
    pub(crate) fn schedule(&mut self, contents: &Contents, at_least: u64) {
        self.reads = contents.schedule(&mut self.needs, at_least);
    }

    pub(crate) fn step(&self, number: usize) -> Step<'_> {
        let Some(number) = number.checked_sub(self.reads.len()) else {
            return Step::Read(&self.reads[number]);
        };
        let checked = self.checks.len().div_ceil(CHECKED);
        if number < checked {
            Step::Check(some(self.checks.len(), number, CHECKED))
        } else {
            Step::Chores(some(self.chores.len(), number - checked, CHORES))
        }
    }
}

/// Returns one of the parts that all are cut into.
fn some(all: usize, number: usize, length: usize) -> Range<usize> {
    let start = number * length;
    start..(start + length).min(all)
}

impl Located for ContentRef {
    fn content(&self) -> ContentId {
        self.content
    }

    fn location(&self) -> ContentLocation {
        self.location
    }
}

impl Steps for Batch {
    fn reads(&self) -> &[ReadStep] {
        &self.reads
    }

    fn count(&self) -> usize {
        self.reads.len() + self.checks.len().div_ceil(CHECKED) + self.chores.len().div_ceil(CHORES)
    }

    fn entries(&self, number: usize) -> usize {
        match self.step(number) {
            Step::Read(read) => read.serves().len(),
            Step::Check(checks) => checks.len(),
            Step::Chores(chores) => chores.len(),
        }
    }
}
