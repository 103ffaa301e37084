//! Some thousand entries, and in which order their contents are read.

use kopia_format::ContentId;
use kopia_repository::contents::schedule::{self, Limits, ReadStep};
use kopia_repository::object::Extent;
use kopia_repository::{ContentLocation, contents};

use super::items::{Check, Chore, Item};
use super::{BYTES, ENTRIES, LARGE_FILES};
use crate::queue::Parts;

/// How many reads ahead of itself a worker announces scattered ones. Cold random reads of 4 to 64 KiB came 3.5 times as
/// fast with 128 announced as with none.
const ANNOUNCED: usize = 128;

/// How many files without bytes, finished directories and the like one worker takes in a row.
const CHORES: usize = 64;

/// How many files, or pieces of large ones, one worker checks in a row.
const CHECKED: usize = 16;

#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// What is needed from packs; sorted by location once the batch is scheduled.
    pub(crate) uses: Vec<ContentRef>,
    pub(crate) reads: Vec<ReadStep>,
    /// What needs nothing from packs.
    pub(crate) chores: Vec<Chore>,
    /// What may be there already.
    pub(crate) checks: Vec<Check>,
    pub(crate) large_files: usize,
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

/// A part of a batch that one worker does in a row.
pub(crate) enum Part<'b> {
    Read(&'b ReadStep),
    Check(&'b [Check]),
    Chores(&'b [Chore]),
}

impl Batch {
    /// Adds an entry, or a piece of one, with the content that it needs.
    pub(crate) fn add(&mut self, item: Item, location: ContentLocation, extent: &Extent) {
        let item_number = self.items.len();
        self.items.push(item);
        self.bytes += u64::from(location.original_length);
        self.uses.push(ContentRef {
            location,
            content: extent.content,
            compressed: extent.compressed.then_some(extent.length),
            offset: extent.start,
            length: extent.length,
            item: item_number,
        });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() + self.chores.len() + self.checks.len() >= ENTRIES
            || self.bytes >= BYTES
            || self.large_files >= LARGE_FILES
    }

    /// Puts reads into the order of packs.
    pub(crate) fn schedule(&mut self, limits: Limits) {
        self.reads = schedule::schedule(&mut self.uses, limits);
    }

    /// Returns the reads to announce when a part is taken: those a good way ahead of it that do not follow on.
    pub(crate) fn to_announce(&self, number: usize) -> impl Iterator<Item = &ReadStep> {
        let first = if number == 0 { 1 } else { number + ANNOUNCED };
        let last = (number + ANNOUNCED).min(self.reads.len().saturating_sub(1));
        self.reads.iter().take(last + 1).skip(first).filter(|read| !read.follows)
    }

    pub(crate) fn part(&self, number: usize) -> Part<'_> {
        if let Some(read) = self.reads.get(number) {
            return Part::Read(read);
        }
        let number = number - self.reads.len();
        let checked = self.checks.len().div_ceil(CHECKED);
        match number < checked {
            true => Part::Check(some(&self.checks, number, CHECKED)),
            false => Part::Chores(some(&self.chores, number - checked, CHORES)),
        }
    }
}

/// Returns one of the parts that all are cut into.
fn some<T>(all: &[T], number: usize, length: usize) -> &[T] {
    let start = number * length;
    &all[start..(start + length).min(all.len())]
}

impl contents::Located for ContentRef {
    fn content(&self) -> ContentId {
        self.content
    }

    fn location(&self) -> ContentLocation {
        self.location
    }
}

impl Parts for Batch {
    fn count(&self) -> usize {
        self.reads.len() + self.checks.len().div_ceil(CHECKED) + self.chores.len().div_ceil(CHORES)
    }
}
