//! A store with one blob of its own.

use std::path::PathBuf;
use std::sync::Arc;

use kopia_format::BlobId;

use crate::error::check_range;
use crate::{BlobBytes, BlobInfo, BlobStore, ReadProfile, Result};

/// A store with one blob in place of another store's, or beside all of them.
///
/// So a repository is read whose format blob is lost, without writing to it.
///
/// ```
/// use kopia_storage::{BlobStore, MemoryStore, OverlayStore};
///
/// let store = OverlayStore::new(MemoryStore::new(), "kopia.repository".parse()?, b"{}".to_vec());
/// assert_eq!(store.read(&"kopia.repository".parse()?)?, b"{}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct OverlayStore<S> {
    inner: S,
    id: BlobId,
    bytes: Arc<[u8]>,
}

impl<S> OverlayStore<S> {
    /// Puts a blob over `inner`.
    pub fn new(inner: S, id: BlobId, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { inner, id, bytes: bytes.into() }
    }

    fn is_own(&self, id: &BlobId) -> bool {
        *id == self.id
    }
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards everything")]
impl<S: BlobStore> BlobStore for OverlayStore<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn directory(&self) -> Option<PathBuf> {
        self.inner.directory()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let mut blobs = self.inner.list(prefix)?;
        if self.id.as_str().starts_with(prefix) {
            let own = BlobInfo::new(self.id.clone(), self.bytes.len() as u64);
            match blobs.binary_search_by(|blob| blob.id.cmp(&self.id)) {
                Ok(place) => blobs[place] = own,
                Err(place) => blobs.insert(place, own),
            }
        }
        Ok(blobs)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        if self.is_own(id) { Ok(self.bytes.len() as u64) } else { self.inner.length(id) }
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        if self.is_own(id) { Ok(self.bytes.to_vec()) } else { self.inner.read(id) }
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, mut buffer: Vec<u8>) -> Result<BlobBytes> {
        if !self.is_own(id) {
            return self.inner.read_range(id, offset, length, buffer);
        }
        check_range(id, || self.location(), offset, length, self.bytes.len() as u64)?;
        let start = offset as usize;
        buffer.clear();
        buffer.extend_from_slice(&self.bytes[start..start + length]);
        Ok(buffer.into())
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        if self.is_own(id) { Ok(None) } else { self.inner.read_copy(id, number, offset, length) }
    }

    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
        if !self.is_own(id) {
            self.inner.will_need(id, offset, length);
        }
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

    /// A store that holds all of these, one of them only as the overlay, and under it perhaps another one of
    /// that name.
    fn store(blobs: &[(BlobId, Vec<u8>)], own: usize, under: bool) -> Box<dyn BlobStore> {
        let inner: MemoryStore = blobs.iter().cloned().collect();
        let Some((id, bytes)) = blobs.get(own) else { return Box::new(inner) };
        inner.remove(id);
        if under {
            inner.insert(id.clone(), *b"another");
        }
        Box::new(OverlayStore::new(inner, id.clone(), bytes.clone()))
    }

    #[test]
    fn all_but_the_one_blob_is_the_inner_stores() {
        let directory = tempfile::tempdir().unwrap();
        let [own, other] = ["kopia.repository", "p0"].map(|name| BlobId::new(name).unwrap());
        for name in [&own, &other] {
            std::fs::write(directory.path().join(format!("{}.f", name.as_str())), "inner").unwrap();
            std::fs::write(directory.path().join(name.as_str()), "again").unwrap();
        }
        let inner = Arc::new(crate::FilesystemStore::open(directory.path()).unwrap());
        let store = OverlayStore::new(inner.clone(), own.clone(), *b"over it");
        // Whoever must not write into the repository asks for its directory.
        assert!(store.directory().is_some());
        assert_eq!((store.directory(), store.location()), (inner.directory(), inner.location()));
        let (listed, below) = (store.list("").unwrap(), inner.list("").unwrap());
        assert_eq!(listed[0], BlobInfo::new(own.clone(), 7), "nobody knows how old the bytes are");
        assert!(listed[1].modified.is_some());
        assert_eq!((listed.len(), &listed[1]), (2, &below[1]));
        assert_eq!((store.length(&own).unwrap(), store.length(&other).unwrap()), (7, 5));
        assert_eq!(
            (store.read(&own).unwrap(), store.read(&other).unwrap()),
            (b"over it".to_vec(), b"inner".to_vec())
        );
        for number in 0..2 {
            assert_eq!(store.read_copy(&own, number, 0, None).unwrap(), None);
            let copy = |store: &dyn BlobStore| store.read_copy(&other, number, 0, None).unwrap();
            assert!(copy(&store).is_some());
            assert_eq!(copy(&store), copy(&*inner));
        }
        assert_eq!(store.profile(), inner.profile());
    }

    #[test]
    fn hints_and_archives_are_the_inner_stores() {
        let [own, other] = ["kopia.repository", "p0"].map(|name| BlobId::new(name).unwrap());
        let archive = crate::testing::ArchivingStore::new(MemoryStore::new());
        let inner = Arc::new(crate::testing::CountingStore::new(archive));
        let store = OverlayStore::new(inner.clone(), own.clone(), *b"over it");
        store.will_need(&own, 0, 1);
        assert_eq!(inner.take().hints, 0);
        store.will_need(&other, 0, 1);
        assert_eq!(inner.take().hints, 1);
        assert!(store.cold().is_some());
    }

    #[test]
    fn conforms() {
        for own in [0, 3, 8] {
            for under in [false, true] {
                crate::testing::conformance::check(|blobs| store(blobs, own, under));
            }
        }
    }
}
