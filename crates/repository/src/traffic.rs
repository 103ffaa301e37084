//! What is asked of a store, counted: providers ask money for it.

use std::ops::Sub;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_format::BlobId;
use kopia_storage::{BlobBytes, BlobInfo, BlobStore, ReadProfile, Result};

/// How many blobs a server lists at once, as S3, Google and B2 do.
const PAGE: usize = 1000;

/// What was asked of a store. What failed counts, and what the store itself tried again does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Traffic {
    /// Requests that list blobs, a thousand each.
    pub listings: u64,
    /// Requests that read a blob or a range of one.
    pub reads: u64,
    /// How many bytes came.
    pub bytes: u64,
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            listings: self.listings.saturating_sub(earlier.listings),
            reads: self.reads.saturating_sub(earlier.reads),
            bytes: self.bytes.saturating_sub(earlier.bytes),
        }
    }
}

/// A store whose calls are counted.
#[derive(Debug)]
pub(crate) struct Metered {
    inner: Arc<dyn BlobStore>,
    meter: Arc<Meter>,
}

#[derive(Debug, Default)]
pub(crate) struct Meter {
    listings: AtomicU64,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl Meter {
    /// Returns what was counted so far.
    pub(crate) fn read(&self) -> Traffic {
        Traffic {
            listings: self.listings.load(Ordering::Relaxed),
            reads: self.reads.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    fn count<R>(&self, read: Result<R>, length: impl Fn(&R) -> usize) -> Result<R> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let bytes = read.as_ref().map_or(0, length);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        read
    }
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn BlobStore>, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards everything")]
impl BlobStore for Metered {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn directory(&self) -> Option<PathBuf> {
        self.inner.directory()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let listed = self.inner.list(prefix);
        let pages = listed.as_ref().map_or(0, Vec::len).div_ceil(PAGE).max(1);
        self.meter.listings.fetch_add(pages as u64, Ordering::Relaxed);
        listed
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.inner.length(id)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.meter.count(self.inner.read(id), Vec::len)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.meter.count(self.inner.read_range(id, offset, length, buffer), |bytes| bytes.len())
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        self.inner.read_copy(id, number, offset, length)
    }

    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
        self.inner.will_need(id, offset, length);
    }

    fn cold(&self) -> Option<&dyn kopia_storage::ColdStorage> {
        self.inner.cold()
    }

    fn profile(&self) -> ReadProfile {
        self.inner.profile()
    }
}

#[cfg(test)]
mod tests {
    use kopia_storage::MemoryStore;
    use kopia_storage::testing::conformance;

    use super::*;

    #[test]
    fn conforms_and_lies_where_its_store_lies() {
        conformance::check(|blobs| {
            let store: MemoryStore = blobs.iter().cloned().collect();
            let location = store.location();
            let metered = Metered::new(Arc::new(store), Arc::default());
            assert_eq!(metered.location(), location);
            metered
        });
    }
}
