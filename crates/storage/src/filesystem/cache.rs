//! The few blobs that were used last, kept open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kopia_format::BlobId;

use super::OpenBlob;
use crate::profile::eighth_of_open_files;

/// How many blobs are kept open.
///
/// Reads come sorted by pack, so a few packs are in use at a time, one a thread. More would cost file
/// handles, of which a process may have as few as 64, and count as resident memory where they are mapped: a
/// pack has some 20 MiB. Opening and mapping a pack again costs as much as reading some 60 KiB.
const CAPACITY: usize = 16;

/// The blobs that were used last.
#[derive(Debug)]
pub(super) struct Cache {
    capacity: usize,
    /// The one used last comes first. So few are found faster by looking at all of them than by hashing.
    blobs: Mutex<Vec<Arc<OpenBlob>>>,
}

impl Default for Cache {
    /// Keeps at most an eighth of the files that this process may have open.
    fn default() -> Self {
        let capacity = eighth_of_open_files().map_or(CAPACITY, |eighth| eighth.clamp(1, CAPACITY));
        Self { capacity, blobs: Mutex::default() }
    }
}

impl Cache {
    /// Returns a blob, if it is open.
    pub(super) fn get(&self, id: &BlobId) -> Option<Arc<OpenBlob>> {
        let mut blobs = self.lock();
        let place = blobs.iter().position(|blob| blob.id() == id)?;
        blobs[..=place].rotate_right(1);
        blobs.first().cloned()
    }

    /// Keeps a blob, unless another thread was faster; returns the one that is kept.
    pub(super) fn insert(&self, blob: Arc<OpenBlob>) -> Arc<OpenBlob> {
        let mut blobs = self.lock();
        if let Some(first) = blobs.iter().find(|other| other.id() == blob.id()) {
            return Arc::clone(first);
        }
        let evicted = if blobs.len() >= self.capacity { blobs.pop() } else { None };
        blobs.insert(0, Arc::clone(&blob));
        drop(blobs);
        // Unmapping takes a while, so it happens outside the lock.
        drop(evicted);
        blob
    }

    /// Keeps this blob no longer.
    pub(super) fn forget(&self, blob: &Arc<OpenBlob>) {
        self.lock().retain(|other| !Arc::ptr_eq(other, blob));
    }

    /// Keeps no blob any longer.
    pub(super) fn clear(&self) {
        drop(std::mem::take(&mut *self.lock()));
    }

    // No code panics while it holds the lock, so a poisoned list is as good as any.
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<OpenBlob>>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
