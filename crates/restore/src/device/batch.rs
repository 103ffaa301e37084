//! Pieces of a file that are read together, in the order of the packs.

use kopia_repository::contents::{Contents, ReadStep, Steps};

use crate::plan::batch::ContentRef;

/// How many bytes of plain contents are planned at once, and where each read takes long.
pub(super) const BYTES: u64 = 128 << 20;
pub(super) const FAR_BYTES: u64 = 1 << 30;

#[derive(Default)]
pub(super) struct Batch {
    /// Sorted by location once it is scheduled.
    pub(super) needs: Vec<ContentRef>,
    reads: Vec<ReadStep>,
}

impl Batch {
    pub(super) fn schedule(mut self, contents: &Contents, at_least: u64) -> Self {
        self.reads = contents.schedule(&mut self.needs, at_least);
        self
    }
}

impl Steps for Batch {
    fn reads(&self) -> &[ReadStep] {
        &self.reads
    }

    fn count(&self) -> usize {
        self.reads.len()
    }

    fn entries(&self, number: usize) -> usize {
        self.reads.get(number).map_or(0, |read| read.serves().len())
    }
}
