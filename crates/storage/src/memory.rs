//! A store in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use kopia_format::BlobId;

use crate::{BlobBytes, BlobInfo, BlobStore, Error, ReadProfile, Result};

/// Blobs in memory, for tests and for repositories that came from elsewhere.
///
/// Clones share their blobs, so a test can keep one and change what a repository reads. It knows no times.
///
/// ```
/// use kopia_storage::{BlobStore, MemoryStore};
///
/// let store = MemoryStore::new();
/// store.insert("p1".parse()?, b"bytes".to_vec());
/// assert_eq!(store.length(&"p1".parse()?)?, 5);
/// assert!(store.length(&"p2".parse()?).is_err_and(|error| error.is_not_found()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    blobs: Arc<RwLock<BTreeMap<BlobId, Arc<[u8]>>>>,
}

impl MemoryStore {
    /// Returns a store without blobs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a blob there, in place of one of the same name.
    pub fn insert(&self, id: BlobId, bytes: impl Into<Arc<[u8]>>) {
        self.blobs.write().unwrap_or_else(PoisonError::into_inner).insert(id, bytes.into());
    }

    /// Takes a blob away and returns its bytes, if it was there.
    pub fn remove(&self, id: &BlobId) -> Option<Arc<[u8]>> {
        self.blobs.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    fn get(&self, id: &BlobId) -> Result<Arc<[u8]>> {
        let blobs = self.blobs.read().unwrap_or_else(PoisonError::into_inner);
        let missing = || Error::not_found(id, self.location());
        blobs.get(id).map(Arc::clone).ok_or_else(missing)
    }
}

impl FromIterator<(BlobId, Vec<u8>)> for MemoryStore {
    fn from_iter<I: IntoIterator<Item = (BlobId, Vec<u8>)>>(blobs: I) -> Self {
        let blobs: BTreeMap<_, _> = blobs.into_iter().map(|(id, bytes)| (id, bytes.into())).collect();
        Self { blobs: Arc::new(RwLock::new(blobs)) }
    }
}

#[deny(clippy::missing_trait_methods, reason = "there is nothing to inherit")]
impl BlobStore for MemoryStore {
    fn location(&self) -> String {
        "memory".into()
    }

    fn directory(&self) -> Option<PathBuf> {
        None
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let blobs = self.blobs.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = blobs.iter().filter(|(id, _)| id.as_str().starts_with(prefix));
        Ok(wanted.map(|(id, bytes)| BlobInfo::new(id.clone(), bytes.len() as u64)).collect())
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        Ok(self.get(id)?.len() as u64)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        Ok(self.get(id)?.to_vec())
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, mut buffer: Vec<u8>) -> Result<BlobBytes> {
        let bytes = self.get(id)?;
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(length)?));
        let part = range.and_then(|range| bytes.get(range)).ok_or_else(|| Error::Short {
            place: self.location(),
            blob: id.clone(),
            offset,
            wanted: length as u64,
            length: bytes.len() as u64,
        })?;
        buffer.clear();
        buffer.extend_from_slice(part);
        Ok(buffer.into())
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        let _ = (id, number, offset, length);
        Ok(None)
    }

    fn will_need(&self, _id: &BlobId, _offset: u64, _length: usize) {}

    fn cold(&self) -> Option<&dyn crate::ColdStorage> {
        None
    }

    fn profile(&self) -> ReadProfile {
        ReadProfile::MEMORY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conforms() {
        crate::testing::conformance::check(|blobs| blobs.iter().cloned().collect::<MemoryStore>());
    }

    #[test]
    fn pointers_to_stores_conform() {
        let store = |blobs: &[(BlobId, Vec<u8>)]| blobs.iter().cloned().collect::<MemoryStore>();
        crate::testing::conformance::check(|blobs| Arc::new(store(blobs)) as Arc<dyn BlobStore>);
        crate::testing::conformance::check(|blobs| Box::new(store(blobs)) as Box<dyn BlobStore>);
    }

    #[test]
    fn clones_share_their_blobs() {
        let (store, id) = (MemoryStore::new(), BlobId::new("p1").unwrap());
        assert_eq!((store.location(), store.directory()), ("memory".into(), None));
        store.clone().insert(id.clone(), *b"one");
        assert_eq!(store.read(&id).unwrap(), b"one");
        assert_eq!(store.remove(&id).as_deref(), Some(&b"one"[..]));
        assert!(store.read(&id).unwrap_err().is_not_found());
    }
}
