//! A store at the pace that limits allow, for one that knows none itself: a directory.
//!
//! Directories may lie on a network, and kopia honours the limits of a connection wherever it leads.

use std::path::PathBuf;

use kopia_connection::Limits;
use kopia_format::BlobId;
use kopia_storage::{BlobBytes, BlobInfo, BlobStore, ColdStorage, ReadProfile, Result};

use crate::Options;
use crate::pace::{Kind, Pace};

/// A store that is read at a pace.
#[derive(Debug)]
pub(crate) struct PacedStore<S> {
    store: S,
    pace: Pace,
}

impl<S: BlobStore> PacedStore<S> {
    pub(crate) fn new(store: S, limits: &Limits, options: &Options) -> Self {
        Self { store, pace: Pace::new(limits, options.limit_download) }
    }

    /// Reads, and waits for as long as so many bytes take.
    fn read_at_pace<T>(&self, read: impl FnOnce() -> Result<T>, length: impl Fn(&T) -> usize) -> Result<T> {
        let _pass = self.pace.enter(Kind::Read);
        let bytes = read()?;
        self.pace.received(length(&bytes));
        Ok(bytes)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: BlobStore> BlobStore for PacedStore<S> {
    fn location(&self) -> String {
        self.store.location()
    }

    fn directory(&self) -> Option<PathBuf> {
        self.store.directory()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let _pass = self.pace.enter(Kind::List);
        self.store.list(prefix)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.read_at_pace(|| self.store.length(id), |_| 0)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.read_at_pace(|| self.store.read(id), Vec::len)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.read_at_pace(|| self.store.read_range(id, offset, length, buffer), |bytes| bytes.len())
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        let read = || self.store.read_copy(id, number, offset, length);
        self.read_at_pace(read, |bytes| bytes.as_ref().map_or(0, Vec::len))
    }

    /// Has nothing fetched ahead: that would be faster than the limits.
    fn will_need(&self, _: &BlobId, _: u64, _: usize) {}

    fn cold(&self) -> Option<&dyn ColdStorage> {
        self.store.cold()
    }

    fn profile(&self) -> ReadProfile {
        self.store.profile()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use kopia_storage::MemoryStore;
    use kopia_storage::testing::conformance;

    use super::*;

    fn limits(set: impl FnOnce(&mut Limits)) -> Limits {
        let mut limits = Limits::default();
        set(&mut limits);
        limits
    }

    #[test]
    fn it_is_the_same_store() {
        let limits = limits(|limits| limits.concurrent_reads = Some(2));
        conformance::check(|blobs| {
            PacedStore::new(blobs.iter().cloned().collect::<MemoryStore>(), &limits, &Options::default())
        });
    }

    #[test]
    fn bytes_reads_and_lists_take_their_time() {
        let id: BlobId = "p01".parse().unwrap();
        for (limits, calls) in [
            (limits(|limits| limits.download_bytes_per_second = Some(1e5)), 2),
            (limits(|limits| limits.reads_per_second = Some(20.0)), 2),
            (limits(|limits| limits.lists_per_second = Some(20.0)), 2),
        ] {
            let memory: MemoryStore = [(id.clone(), vec![7; 5000])].into_iter().collect();
            let store = PacedStore::new(memory, &limits, &Options::default());
            let started = Instant::now();
            for _ in 0..calls {
                store.list("p").unwrap();
                store.read_range(&id, 0, 5000, Vec::new()).unwrap();
            }
            assert!(started.elapsed() >= Duration::from_millis(100), "{limits:?}");
        }
    }
}
