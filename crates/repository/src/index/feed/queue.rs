//! What is to be read, is being read, and was read: the state of a feed, without its threads.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_format::BlobId;
use kopia_storage::{BlobInfo, Result};

/// Small blobs are read and handed on by the dozen.
///
/// Waking a thread costs as much as opening several of them.
const BATCH_BLOBS: usize = 32;
const BATCH_BYTES: u64 = 256 << 10;

/// A blob that was read, or why it was not.
#[derive(Debug)]
pub(in crate::index) struct Blob {
    pub(in crate::index) listed: BlobInfo,
    pub(in crate::index) bytes: Result<Vec<u8>>,
}

impl Blob {
    /// What it takes of the budget, in bytes.
    fn held(&self) -> u64 {
        self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)
    }
}

/// The bytes that may be read and not yet merged, by all who share it.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: u64,
    held: AtomicU64,
}

impl Budget {
    pub(crate) const fn new(bytes: u64) -> Self {
        Self { bytes, held: AtomicU64::new(0) }
    }

    /// Returns how many bytes may be held in all.
    pub(in crate::index) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// The state of a feed.
#[derive(Debug)]
pub(super) struct Queue {
    budget: &'static Budget,
    /// Whether small blobs are read in batches.
    batched: bool,
    /// The bytes of all that is being read, was read, or was taken and not yet released.
    held: u64,
    wanted: VecDeque<BlobInfo>,
    /// What is being read and still wanted.
    reading: HashSet<BlobId>,
    /// What was read, in batches.
    read: VecDeque<Vec<Blob>>,
    /// Whether what is wanted is known to count.
    chosen: bool,
    pub(super) closed: bool,
    /// How many threads read.
    pub(super) readers: usize,
}

impl Queue {
    pub(super) fn new(budget: &'static Budget, batched: bool) -> Self {
        Self {
            budget,
            batched,
            held: 0,
            wanted: VecDeque::new(),
            reading: HashSet::new(),
            read: VecDeque::new(),
            chosen: false,
            closed: false,
            readers: 0,
        }
    }

    pub(super) fn guess(&mut self, blobs: Vec<BlobInfo>) {
        // After the choice a guess is worth nothing any more.
        if !self.chosen && !self.closed {
            self.wanted = blobs.into();
        }
    }

    pub(super) fn choose(&mut self, blobs: Vec<BlobInfo>) {
        let mut missing: HashSet<&BlobId> = blobs.iter().map(|blob| &blob.id).collect();
        // What is not wanted any more leaves the budget when it arrives.
        self.reading.retain(|id| missing.remove(id));
        let mut gone = 0;
        self.read.retain_mut(|batch| {
            batch.retain(|blob| {
                let keep = missing.remove(&blob.listed.id);
                gone += if keep { 0 } else { blob.held() };
                keep
            });
            !batch.is_empty()
        });
        let missing: HashSet<BlobId> = missing.into_iter().cloned().collect();
        self.release(gone);
        self.wanted = blobs.into_iter().filter(|blob| missing.contains(&blob.id)).collect();
        self.chosen = true;
    }

    /// Takes blobs off the list of what is to be read.
    pub(super) fn forget(&mut self, blobs: &[BlobInfo]) {
        let blobs: HashSet<&BlobId> = blobs.iter().map(|blob| &blob.id).collect();
        self.wanted.retain(|blob| !blobs.contains(&blob.id));
    }

    pub(super) fn is_reading(&self, id: &BlobId) -> bool {
        self.reading.contains(id) && !self.closed
    }

    /// Takes one blob out, if it was read.
    pub(super) fn extract(&mut self, id: &BlobId) -> Option<Result<Vec<u8>>> {
        let place = |batch: &Vec<Blob>| batch.iter().position(|blob| blob.listed.id == *id);
        let blob = self.read.iter_mut().find_map(|batch| Some(batch.swap_remove(place(batch)?)))?;
        self.release(blob.held());
        Some(blob.bytes)
    }

    /// Returns how many blobs are still to be read.
    pub(super) fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// Returns what to read next, as one batch; nothing if that is beyond the budget.
    pub(super) fn next(&mut self) -> Vec<BlobInfo> {
        let (mut batch, mut bytes) = (Vec::new(), 0u64);
        // A few blobs are spread over all readers.
        let most = if self.batched { (self.wanted.len() / 32).clamp(1, BATCH_BLOBS) } else { 1 };
        while let Some(blob) = self.wanted.front() {
            let after = bytes.saturating_add(blob.length);
            let within = self.budget.held().saturating_add(after) <= self.budget.bytes;
            // A blob larger than what is left of the budget is read alone, and only if it is known to count.
            let alone = self.chosen && self.held == 0 && batch.is_empty();
            let in_batch = batch.is_empty() || after <= BATCH_BYTES && batch.len() < most;
            if !in_batch || !(within || alone) {
                break;
            }
            bytes = after;
            batch.extend(self.wanted.pop_front());
        }
        self.hold(bytes);
        self.reading.extend(batch.iter().map(|blob| blob.id.clone()));
        batch
    }

    /// Adds what was read, but for what is not wanted any more.
    pub(super) fn arrive(&mut self, mut blobs: Vec<Blob>) {
        for blob in &blobs {
            self.release(blob.listed.length);
        }
        blobs.retain(|blob| self.reading.remove(&blob.listed.id));
        // It may have another length than was listed.
        self.hold(blobs.iter().map(Blob::held).sum());
        if !blobs.is_empty() {
            self.read.push_back(blobs);
        }
    }

    /// Takes a batch, and the bytes to release once it is merged.
    pub(super) fn take(&mut self) -> Option<(Vec<Blob>, u64)> {
        let batch = self.read.pop_front()?;
        let bytes = batch.iter().map(Blob::held).sum();
        Some((batch, bytes))
    }

    /// Returns the bytes of all that is being read, was read, or was taken and not yet released.
    #[cfg(test)]
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    fn hold(&mut self, bytes: u64) {
        // A listing may state any length; what is held stays a sum that can be taken back.
        let bytes = bytes.min(u64::MAX / 4 - self.held.min(u64::MAX / 4));
        self.held += bytes;
        self.budget.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn release(&mut self, bytes: u64) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns whether nothing is left to take, now or later.
    pub(super) fn is_done(&self) -> bool {
        self.closed || self.read.is_empty() && self.reading.is_empty() && self.wanted.is_empty()
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.wanted.clear();
        self.read.clear();
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.release(self.held);
    }
}
