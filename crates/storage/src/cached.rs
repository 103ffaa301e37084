//! A store with a cache on the local disk, for those who ask for one.
//!
//! Index blobs and ranges of the packs of directories (`q`) are kept: what every command reads first,
//! whichever snapshot it is about. The format blob is not, as a new password changes it; files are not, as
//! nobody reads them twice. A cache is below one directory and can be deleted at any time, by any process:
//! what cannot be read or written there is as if it were not there. Several processes share it without locks.
//!
//! Nothing in a cache is trusted. What it gives is what the store holds only as far as keys and hashes say
//! so: whoever finds bytes damaged asks for copies, of which the store's own is one, and then the cache
//! forgets the blob.

mod files;

use std::path::{Path, PathBuf};

use kopia_format::BlobId;

use crate::{BlobBytes, BlobInfo, BlobStore, ReadProfile, Result};
use files::Files;

/// A wrapper that keeps what it reads of index blobs and directories, within so many bytes.
///
/// ```
/// use kopia_storage::{BlobStore, CachedStore, MemoryStore};
///
/// # let place = tempfile::tempdir()?;
/// # let cache = place.path();
/// let (inner, id) = (MemoryStore::new(), "xn0_1".parse()?);
/// inner.insert("xn0_1".parse()?, b"an index".to_vec());
/// let store = CachedStore::new(inner.clone(), cache, "id of the repository", 1 << 30);
/// assert_eq!(store.read(&id)?, b"an index");
/// inner.remove(&id);
/// assert_eq!(store.read(&id)?, b"an index");
/// assert!(store.list("x")?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CachedStore<S> {
    inner: S,
    files: Files,
}

impl<S: BlobStore> CachedStore<S> {
    /// Wraps `inner`, whose blobs are kept below `directory`, apart from those of other repositories: what
    /// tells them apart is `repository`, of which letters and digits count. No more than about `limit` bytes
    /// are kept of all.
    pub fn new(inner: S, directory: impl AsRef<Path>, repository: &str, limit: u64) -> Self {
        Self { inner, files: Files::new(directory.as_ref(), repository, limit) }
    }

    /// Returns the store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

/// Returns whether a blob is worth keeping: index blobs, and the packs of directories. Names that kopia does
/// not give are no names of files here.
fn is_kept(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    name.starts_with(['x', 'n', 'q']) && name.bytes().all(is_plain)
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards everything")]
impl<S: BlobStore> BlobStore for CachedStore<S> {
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
        let name = id.as_str();
        if !is_kept(name) {
            return self.inner.read(id);
        }
        if let Some(bytes) = self.files.get(name, None) {
            return Ok(bytes);
        }
        let bytes = self.inner.read(id)?;
        self.files.put(name, &bytes);
        Ok(bytes)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        if !is_kept(id.as_str()) {
            return self.inner.read_range(id, offset, length, buffer);
        }
        let name = format!("{}.{offset}-{length}", id.as_str());
        if let Some(bytes) = self.files.get(&name, Some(length)) {
            return Ok(bytes.into());
        }
        let bytes = self.inner.read_range(id, offset, length, buffer)?;
        self.files.put(&name, &bytes);
        Ok(bytes)
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        if !is_kept(id.as_str()) {
            return self.inner.read_copy(id, number, offset, length);
        }
        // The usual one, which may be the cache's; the store's; the store's further ones.
        match number {
            0 => {}
            1 => self.files.forget(id.as_str()),
            _ => return self.inner.read_copy(id, number - 2, offset, length),
        }
        let read = |length| Ok(self.read_range(id, offset, length, Vec::new())?.to_vec());
        length.map_or_else(|| self.read(id), read).map(Some)
    }

    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
        if !is_kept(id.as_str()) {
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
mod tests;
