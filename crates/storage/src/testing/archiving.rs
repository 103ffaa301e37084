//! A store some of whose blobs lie in an archive.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kopia_format::BlobId;

use crate::{
    BlobBytes, BlobInfo, BlobStore, ColdBlob, ColdStorage, Error, Failure, ReadProfile, Result, ThawSpeed,
    ThawTime, Warmth,
};

/// The storage class of all that is archived here.
pub const CLASS: &str = "GLACIER";

/// A wrapper that refuses to read what a test has put into the archive, until that was asked for and the test
/// has it [arrive](Self::arrive).
#[derive(Debug)]
pub struct ArchivingStore<S> {
    inner: S,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What lies in the archive, and how far it is on its way.
    archived: BTreeMap<BlobId, Way>,
    asked: Vec<(BlobId, ThawSpeed, u32)>,
    refuses: Option<BlobId>,
    looks: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Archived,
    Thawing,
    Arrived,
}

impl<S: BlobStore> ArchivingStore<S> {
    /// Wraps `inner`; nothing is archived yet.
    pub fn new(inner: S) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Puts all blobs whose names begin so into the archive.
    ///
    /// # Errors
    /// That they cannot be listed.
    pub fn archive(&self, prefix: &str) -> Result<()> {
        let blobs = self.inner.list(prefix)?;
        self.state().archived.extend(blobs.into_iter().map(|blob| (blob.id, Way::Archived)));
        Ok(())
    }

    /// Has everything arrive that was asked for.
    pub fn arrive(&self) {
        self.state()
            .archived
            .values_mut()
            .filter(|way| **way == Way::Thawing)
            .for_each(|way| *way = Way::Arrived);
    }

    /// Refuses to fetch a blob.
    pub fn refuse(&self, id: &BlobId) {
        self.state().refuses = Some(id.clone());
    }

    /// Returns what was asked for so far, sorted by id.
    pub fn asked(&self) -> Vec<(BlobId, ThawSpeed, u32)> {
        let mut asked = self.state().asked.clone();
        asked.sort_by(|a, b| a.0.cmp(&b.0));
        asked
    }

    /// Returns how often it was asked whether a blob can be read.
    pub fn looks(&self) -> usize {
        self.state().looks
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, id: &BlobId, offset: u64) -> Result<()> {
        match self.state().archived.get(id) {
            None | Some(Way::Arrived) => Ok(()),
            Some(_) => Err(self.error(id, offset, Failure::Cold { class: CLASS.into() })),
        }
    }

    fn error(&self, id: &BlobId, offset: u64, failure: Failure) -> Error {
        Error::Read { blob: id.clone(), place: self.inner.location(), offset, source: failure.into() }
    }
}

impl<S: BlobStore> ColdStorage for ArchivingStore<S> {
    fn list_cold(&self, prefix: &str) -> Result<Vec<ColdBlob>> {
        let mut blobs = self.inner.list(prefix)?;
        blobs.retain(|blob| self.state().archived.contains_key(&blob.id));
        Ok(blobs.into_iter().map(|blob| ColdBlob::new(blob, CLASS)).collect())
    }

    fn warmth(&self, id: &BlobId) -> Result<Warmth> {
        self.inner.length(id)?;
        let mut state = self.state();
        state.looks += 1;
        Ok(match state.archived.get(id) {
            None | Some(Way::Arrived) => Warmth::Warm { until: None },
            Some(Way::Archived) => Warmth::Cold { class: CLASS.into() },
            Some(Way::Thawing) => Warmth::Thawing,
        })
    }

    fn thaw(&self, id: &BlobId, speed: ThawSpeed, days: u32) -> Result<Warmth> {
        let mut state = self.state();
        if state.refuses.as_ref() == Some(id) {
            drop(state);
            let host = "archive.lan".to_string();
            return Err(self.error(id, 0, Failure::Busy { host, status: 503 }));
        }
        state.asked.push((id.clone(), speed, days));
        if let Some(way) = state.archived.get_mut(id).filter(|way| **way == Way::Archived) {
            *way = Way::Thawing;
        }
        drop(state);
        self.warmth(id)
    }

    fn thaw_time(&self, _class: &str, _speed: ThawSpeed) -> ThawTime {
        ThawTime::Unknown
    }

    fn thaws_for_good(&self) -> bool {
        false
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards everything")]
impl<S: BlobStore> BlobStore for ArchivingStore<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn directory(&self) -> Option<PathBuf> {
        self.inner.directory()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.inner.list(prefix)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.inner.length(id)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.check(id, 0)?;
        self.inner.read(id)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.check(id, offset)?;
        self.inner.read_range(id, offset, length, buffer)
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        self.check(id, offset)?;
        self.inner.read_copy(id, number, offset, length)
    }

    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
        self.inner.will_need(id, offset, length);
    }

    fn cold(&self) -> Option<&dyn ColdStorage> {
        Some(self)
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
            ArchivingStore::new(blobs.iter().cloned().collect::<MemoryStore>())
        });
    }

    #[test]
    fn what_is_archived_is_read_once_it_has_arrived() {
        let (p1, p2) = (BlobId::new("p1").unwrap(), BlobId::new("p2").unwrap());
        let store = ArchivingStore::new(MemoryStore::new());
        store.inner.insert(p1.clone(), *b"cold");
        store.archive("p").unwrap();
        store.inner.insert(p2.clone(), *b"warm");
        assert!(matches!(store.read(&p1).unwrap_err().failure(), Some(Failure::Cold { .. })));
        assert_eq!((store.read(&p2).unwrap(), store.list_cold("").unwrap().len()), (b"warm".to_vec(), 1));
        assert_eq!(store.thaw(&p1, ThawSpeed::Bulk, 2).unwrap(), Warmth::Thawing);
        store.read_range(&p1, 0, 1, Vec::new()).unwrap_err();
        store.arrive();
        assert_eq!(store.warmth(&p1).unwrap(), Warmth::Warm { until: None });
        assert_eq!(
            (store.read(&p1).unwrap(), store.asked()),
            (b"cold".to_vec(), vec![(p1, ThawSpeed::Bulk, 2)])
        );
    }
}
