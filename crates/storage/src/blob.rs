//! What a listing says of a blob, and how large and how many blobs may be.

use std::time::SystemTime;

use kopia_format::BlobId;

/// The largest blob that [`BlobStore::read`](crate::BlobStore::read) reads, in bytes: 2 GiB.
///
/// Only the format blob, index blobs and compaction logs are read whole. The largest of them are index blobs
/// made by compaction, which kopia splits at 16 million contents: some 850 MB, and twice that with the most
/// error correction.
pub const WHOLE_BLOB_LIMIT: u64 = 2 << 30;

/// How many copies of a blob a store has at most.
pub const MAX_COPIES: usize = 8;

/// A blob in a listing: `Metadata` in Kopia's `repo/blob/storage.go`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Its name.
    pub id: BlobId,
    /// Its length in bytes.
    pub length: u64,
    /// When it was written, if the store can tell. Whatever copies a repository may have changed it.
    pub modified: Option<SystemTime>,
}

impl BlobInfo {
    /// Makes the entry of a blob whose time of writing is not known.
    pub fn new(id: BlobId, length: u64) -> Self {
        Self { id, length, modified: None }
    }

    /// Adds when the blob was written.
    #[must_use]
    pub fn with_modified(self, modified: Option<SystemTime>) -> Self {
        Self { modified, ..self }
    }
}
