//! A store that records what was asked of it.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kopia_format::BlobId;

use crate::{BlobBytes, BlobInfo, BlobStore, ReadProfile, Result};

/// A wrapper that records the calls that reach a store, so that a test can say how many reads a task may
/// take.
///
/// An `Arc` of it is a store as well: the test keeps one and gives away another.
#[derive(Debug)]
pub struct CountingStore<S> {
    inner: S,
    calls: Mutex<Calls>,
}

/// The calls that reached a [`CountingStore`], failed ones too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calls {
    /// The ranges that were read, in order.
    pub ranges: Vec<RangeRead>,
    /// The blobs that were read whole, in order.
    pub whole: Vec<BlobId>,
    /// The prefixes that were listed, in order.
    pub lists: Vec<String>,
    /// How many lengths were asked for.
    pub lengths: usize,
    /// How many hints were given.
    pub hints: usize,
}

/// One read of a range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RangeRead {
    /// The blob.
    pub blob: BlobId,
    /// Where the range begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: usize,
}

impl<S> CountingStore<S> {
    /// Wraps `inner`; nothing is recorded yet.
    pub fn new(inner: S) -> Self {
        Self { inner, calls: Mutex::default() }
    }

    /// Returns the store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Returns what was recorded so far.
    pub fn calls(&self) -> Calls {
        self.record().clone()
    }

    /// Returns what was recorded so far and forgets it.
    pub fn take(&self) -> Calls {
        std::mem::take(&mut *self.record())
    }

    fn record(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards everything")]
impl<S: BlobStore> BlobStore for CountingStore<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn directory(&self) -> Option<PathBuf> {
        self.inner.directory()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.record().lists.push(prefix.to_owned());
        self.inner.list(prefix)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.record().lengths += 1;
        self.inner.length(id)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.record().whole.push(id.clone());
        self.inner.read(id)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.record().ranges.push(RangeRead { blob: id.clone(), offset, length });
        self.inner.read_range(id, offset, length, buffer)
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
        self.record().hints += 1;
        self.inner.will_need(id, offset, length);
    }

    fn cold(&self) -> Option<&dyn crate::ColdStorage> {
        self.inner.cold()
    }

    fn profile(&self) -> ReadProfile {
        self.inner.profile()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::MemoryStore;

    #[test]
    fn conforms() {
        crate::testing::conformance::check(|blobs| {
            CountingStore::new(blobs.iter().cloned().collect::<MemoryStore>())
        });
    }

    #[test]
    fn records_every_call() {
        let blob = BlobId::new("p1").unwrap();
        let store = Arc::new(CountingStore::new(MemoryStore::new()));
        store.inner().insert(blob.clone(), *b"12345");
        let given_away: Box<dyn BlobStore> = Box::new(Arc::clone(&store));
        given_away.list("p").unwrap();
        given_away.read(&blob).unwrap();
        given_away.length(&blob).unwrap();
        given_away.will_need(&blob, 0, 5);
        given_away.read_range(&blob, 1, 2, Vec::new()).unwrap();
        given_away.read_range(&blob, 4, 2, Vec::new()).unwrap_err();
        let range = |offset| RangeRead { blob: blob.clone(), offset, length: 2 };
        let wanted = Calls {
            ranges: vec![range(1), range(4)],
            whole: vec![blob.clone()],
            lists: vec!["p".into()],
            lengths: 1,
            hints: 1,
        };
        assert_eq!(store.calls(), wanted);
        assert_eq!(store.take(), wanted);
        assert_eq!(store.calls(), Calls::default());
    }
}
