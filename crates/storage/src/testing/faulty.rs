//! A store that fails as a test tells it to.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kopia_format::BlobId;

use crate::{BlobBytes, BlobInfo, BlobStore, Error, ReadProfile, Result};

/// A wrapper that makes some reads and listings of a store fail: `internal/blobtesting/faulty.go` of Kopia.
///
/// Whole reads and reads of ranges are counted together, from 1. Without a setting everything is passed on.
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    reads: AtomicU64,
    passed: u64,
    fail_every: u64,
    short_every: u64,
    delay: Duration,
    kind: io::ErrorKind,
    missing: BTreeSet<BlobId>,
    unlisted: Vec<String>,
    unmeasured: bool,
}

impl<S: BlobStore> FaultyStore<S> {
    /// Wraps `inner`; nothing fails yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            reads: AtomicU64::new(0),
            passed: 0,
            fail_every: 0,
            short_every: 0,
            delay: Duration::ZERO,
            kind: io::ErrorKind::Other,
            missing: BTreeSet::new(),
            unlisted: Vec::new(),
            unmeasured: false,
        }
    }

    /// Lets the first `n` reads pass; the others are counted from 1 after them.
    #[must_use]
    pub fn after(self, n: u64) -> Self {
        Self { passed: n, ..self }
    }

    /// Lets every `n`-th read fail with [`Error::Read`]; 1 is each, 0 is none.
    #[must_use]
    pub fn fail_every(self, n: u64) -> Self {
        Self { fail_every: n, ..self }
    }

    /// Lets every `n`-th read find the blob one byte too short for it, [`Error::Short`]; 1 is each, 0 is
    /// none.
    #[must_use]
    pub fn short_every(self, n: u64) -> Self {
        Self { short_every: n, ..self }
    }

    /// Lets reads and listings that fail have this cause, in place of one that stands for damage.
    #[must_use]
    pub fn because(self, kind: io::ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// Lets every call take so much longer.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Lets these blobs be listed but not found, as if they were removed between the two.
    #[must_use]
    pub fn missing(mut self, blobs: impl IntoIterator<Item = BlobId>) -> Self {
        self.missing.extend(blobs);
        self
    }

    /// Lets listings of blobs that begin so fail with [`Error::List`].
    #[must_use]
    pub fn unlisted(mut self, prefix: &str) -> Self {
        self.unlisted.push(prefix.into());
        self
    }

    /// Lets asking for the length of a blob fail with [`Error::Read`].
    #[must_use]
    pub fn unmeasured(self) -> Self {
        Self { unmeasured: true, ..self }
    }

    /// Returns how many reads were tried.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    fn wait(&self) {
        if !self.delay.is_zero() {
            std::thread::sleep(self.delay);
        }
    }

    fn is_there(&self, id: &BlobId) -> Result<()> {
        if self.missing.contains(id) { Err(Error::not_found(id, self.location())) } else { Ok(()) }
    }

    /// Counts a read of `wanted` bytes at `offset` and fails if it is its turn.
    fn turn(&self, id: &BlobId, offset: u64, wanted: u64) -> Result<()> {
        let turn = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        let turn = turn.saturating_sub(self.passed);
        let is_due = |every: u64| every != 0 && turn != 0 && turn.is_multiple_of(every);
        let (location, blob) = (self.location(), id.clone());
        if is_due(self.fail_every) {
            let source = io::Error::new(self.kind, "this read was told to fail");
            return Err(Error::Read { place: location, blob, offset, source });
        }
        if is_due(self.short_every) {
            let length = offset.saturating_add(wanted).saturating_sub(1);
            return Err(Error::Short { place: location, blob, offset, wanted, length });
        }
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards everything")]
impl<S: BlobStore> BlobStore for FaultyStore<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn directory(&self) -> Option<PathBuf> {
        self.inner.directory()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.wait();
        if self.unlisted.iter().any(|unlisted| unlisted == prefix) {
            let source = io::Error::new(self.kind, "this listing was told to fail");
            return Err(Error::List { place: self.location(), source });
        }
        self.inner.list(prefix)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.wait();
        self.is_there(id)?;
        if self.unmeasured {
            let source = io::Error::new(self.kind, "this length was told to fail");
            return Err(Error::Read { place: self.location(), blob: id.clone(), offset: 0, source });
        }
        self.inner.length(id)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.wait();
        self.is_there(id)?;
        let bytes = self.inner.read(id)?;
        self.turn(id, 0, bytes.len() as u64)?;
        Ok(bytes)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.wait();
        self.is_there(id)?;
        self.turn(id, offset, length as u64)?;
        self.inner.read_range(id, offset, length, buffer)
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        self.wait();
        self.is_there(id)?;
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
    use std::time::Instant;

    use super::*;
    use crate::{ErrorKind, MemoryStore};

    fn store() -> (FaultyStore<MemoryStore>, BlobId) {
        let (inner, id) = (MemoryStore::new(), BlobId::new("p1").unwrap());
        inner.insert(id.clone(), *b"12345");
        (FaultyStore::new(inner), id)
    }

    #[test]
    fn conforms_if_not_told_to_fail() {
        crate::testing::conformance::check(|blobs| {
            FaultyStore::new(blobs.iter().cloned().collect::<MemoryStore>())
        });
    }

    #[test]
    fn fails_when_it_is_due() {
        let (store, id) = store();
        let store = store.fail_every(2).short_every(3);
        let results: Vec<_> = (0..6).map(|_| store.read_range(&id, 1, 2, Vec::new())).collect();
        assert!(results[0].is_ok() && results[4].is_ok());
        assert!(matches!(&results[1], Err(Error::Read { offset: 1, .. })));
        assert!(matches!(&results[2], Err(Error::Short { offset: 1, wanted: 2, length: 2, .. })));
        assert!(matches!(&results[5], Err(Error::Read { .. })));
        assert_eq!(store.reads(), 6);
    }

    #[test]
    fn missing_blobs_are_listed_but_not_there() {
        let (store, id) = store();
        let store = store.missing([id.clone()]);
        assert_eq!(store.list("p").unwrap().len(), 1);
        assert!(store.read(&id).unwrap_err().is_not_found());
        assert!(store.length(&id).unwrap_err().is_not_found());
        assert!(store.read_range(&id, 0, 1, Vec::new()).unwrap_err().is_not_found());
    }

    #[test]
    fn fails_for_the_reason_it_was_given() {
        let (store, id) = store();
        let store = store.fail_every(1).unlisted("p").because(io::ErrorKind::TimedOut);
        assert_eq!(store.read(&id).unwrap_err().kind(), ErrorKind::TryAgain);
        assert_eq!(store.list("p").unwrap_err().kind(), ErrorKind::TryAgain);
        assert!(store.list("").is_ok() && store.length(&id).is_ok());
        assert_eq!(store.unmeasured().length(&id).unwrap_err().kind(), ErrorKind::TryAgain);
    }

    #[test]
    fn takes_its_time() {
        let (store, id) = store();
        let (store, start) = (store.delay(Duration::from_millis(5)), Instant::now());
        store.read(&id).unwrap();
        assert!(start.elapsed() >= Duration::from_millis(5));
    }
}
