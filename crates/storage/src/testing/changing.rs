//! A store in which something happens at a moment that a test chooses.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use kopia_format::BlobId;

use crate::{BlobBytes, BlobInfo, BlobStore, ReadProfile, Result};

type Event = Box<dyn FnOnce() + Send>;

/// A wrapper in which something happens before a certain call, such as maintenance that moves blobs.
///
/// Lists, lengths, whole reads and reads of ranges are counted together, from 1; hints are not.
pub struct ChangingStore<S> {
    inner: S,
    calls: AtomicU64,
    events: Mutex<BTreeMap<u64, Event>>,
}

impl<S: BlobStore> ChangingStore<S> {
    /// Wraps `inner`; nothing happens yet.
    pub fn new(inner: S) -> Self {
        Self { inner, calls: AtomicU64::new(0), events: Mutex::default() }
    }

    /// Lets `event` happen when the `n`-th call comes, before it reaches the store.
    ///
    /// It takes the place of what was to happen then. All other calls wait for it to end, so it must not call
    /// this store.
    #[must_use]
    pub fn before_call(self, n: u64, event: impl FnOnce() + Send + 'static) -> Self {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).insert(n, Box::new(event));
        self
    }

    /// Returns how many calls came.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn turn(&self) {
        let turn = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // All that are due, in their order, whichever thread came first; other calls wait for the lock.
        while events.first_key_value().is_some_and(|(due, _)| *due <= turn) {
            if let Some((_, event)) = events.pop_first() {
                event();
            }
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for ChangingStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangingStore")
            .field("inner", &self.inner)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards everything")]
impl<S: BlobStore> BlobStore for ChangingStore<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn directory(&self) -> Option<PathBuf> {
        self.inner.directory()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.turn();
        self.inner.list(prefix)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.turn();
        self.inner.length(id)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.turn();
        self.inner.read(id)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.turn();
        self.inner.read_range(id, offset, length, buffer)
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        self.turn();
        self.inner.read_copy(id, number, offset, length)
    }

    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
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
    use super::*;
    use crate::MemoryStore;

    #[test]
    fn conforms() {
        crate::testing::conformance::check(|blobs| {
            ChangingStore::new(blobs.iter().cloned().collect::<MemoryStore>())
        });
    }

    #[test]
    fn what_happens_happens_before_its_call_and_once() {
        let (inner, id) = (MemoryStore::new(), BlobId::new("p1").unwrap());
        inner.insert(id.clone(), *b"12345");
        let (away, gone) = (inner.clone(), id.clone());
        let store = ChangingStore::new(inner.clone()).before_call(3, move || drop(away.remove(&gone)));
        assert_eq!(store.list("p").unwrap().len(), 1);
        assert_eq!(store.read(&id).unwrap(), b"12345");
        assert!(store.read(&id).unwrap_err().is_not_found());
        inner.insert(id.clone(), *b"again");
        assert_eq!(store.length(&id).unwrap(), 5);
        assert_eq!(store.calls(), 4);
    }
}
