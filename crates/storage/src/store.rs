//! What every store can do.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use kopia_format::BlobId;

use crate::{BlobBytes, Result};

/// Reads blobs.
///
/// Stores are shared between threads, and all calls may come at once. Blobs never change once they are written, but they can
/// appear and vanish at any time, as kopia's maintenance runs beside readers: what was listed may be
/// [not found](crate::Error::is_not_found) when it is read. `testing::conformance::check` tests all that is said here; it
/// needs the feature `testing`. The trait corresponds to `Reader` in Kopia's `repo/blob/storage.go`.
pub trait BlobStore: Send + Sync + Debug + 'static {
    /// Returns what to call the store in messages, such as the folder's path.
    fn location(&self) -> String;

    /// Returns the folder of the local system that holds the blobs, if there is one.
    ///
    /// Who writes files uses it to keep out of the repository.
    fn folder(&self) -> Option<PathBuf> {
        None
    }

    /// Lists all blobs whose id begins with `prefix`, sorted by id, each once.
    ///
    /// # Errors
    /// [`Error::List`](crate::Error::List) if a part of the store cannot be listed.
    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>>;

    /// Returns the length of a blob in bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) and [`Error::Read`](crate::Error::Read).
    fn length(&self, id: &BlobId) -> Result<u64>;

    /// Returns when a blob was written, as far as the store knows; copying a repository may have changed it.
    ///
    /// # Errors
    /// As [`length`](Self::length).
    fn modified(&self, id: &BlobId) -> Result<Option<SystemTime>> {
        self.length(id).map(|_| None)
    }

    /// Reads a whole blob of at most [`WHOLE_BLOB_LIMIT`] bytes.
    ///
    /// # Errors
    /// As [`read_range`](Self::read_range), and [`Error::TooLarge`](crate::Error::TooLarge).
    fn read(&self, id: &BlobId) -> Result<Vec<u8>>;

    /// Reads exactly `length` bytes at `offset`.
    ///
    /// `buffer` is memory to use if the store has to copy, whatever it holds; [`BlobBytes::into_buffer`] gives it back. The
    /// length is compared with the blob's before anything is allocated, so it may come from a hostile index.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound), [`Error::Short`](crate::Error::Short) if the blob ends before the range
    /// does, and [`Error::Read`](crate::Error::Read).
    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes>;

    /// Reads a range, or all without a `length`, of one of several copies of a blob, numbered from 0 and [`MAX_COPIES`] at
    /// most; `None` if there are no several copies, or not so many.
    ///
    /// A store may hold a blob twice, such as a directory whose layout was being changed. What the other functions give is
    /// one of them, the whole one as far as lengths tell; who finds its bytes damaged can try them all.
    ///
    /// # Errors
    /// As [`read_range`](Self::read_range).
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

    /// Says that a range will be read soon, so that the store can begin to fetch it.
    ///
    /// It is a hint: it cannot fail, and need not do anything.
    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
        let _ = (id, offset, length);
    }

    /// Returns how this store likes to be read.
    fn profile(&self) -> ReadProfile;
}

/// The largest blob that [`BlobStore::read`] reads, in bytes: 2 GiB.
///
/// Only the format blob, index blobs and compaction logs are read whole. The largest of them are index blobs made by
/// compaction, which kopia splits at 16 million contents: some 850 MB, and twice that with the most error correction.
pub const WHOLE_BLOB_LIMIT: u64 = 2 << 30;

/// How many copies of a blob a store has at most.
pub const MAX_COPIES: usize = 8;

/// A blob in a listing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobInfo {
    /// Its name.
    pub id: BlobId,
    /// Its length in bytes.
    pub length: u64,
}

/// How a store likes to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadProfile {
    /// The largest number of unwanted bytes between two wanted ranges for which reading both at once is no slower than
    /// reading each alone.
    pub merge_gap: u64,
    /// The number of bytes after which a merged read should end, so that work spreads over threads and buffers stay small.
    /// A single range may be longer.
    pub merge_limit: usize,
    /// How many threads may read at once where the bytes are not in memory yet.
    pub parallel_reads: usize,
    /// Who keeps them under way.
    pub ahead: ReadAhead,
}

/// How bytes get into memory before they are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAhead {
    /// Who needs bytes reads them, and announces those after them by [`BlobStore::will_need`], unless they follow on: the
    /// system reads on by itself.
    Hints,
    /// Threads of their own read ahead, because a read takes so long that a core would stand still.
    Threads,
}

impl ReadProfile {
    /// Memory: nothing is gained by merging, but a call less.
    pub const MEMORY: Self =
        Self { merge_gap: 4 << 10, merge_limit: 1 << 20, parallel_reads: 1, ahead: ReadAhead::Hints };

    /// A local disk. A cold random read takes an SSD as long as 64 KiB more of a sequential one; a warm one costs a system
    /// call and the page tables, some 32 KiB worth. 8 threads get 2.5 times as many cold reads done as one, 32 hardly more;
    /// hints of one thread 3.5 times as many.
    pub const LOCAL: Self =
        Self { merge_gap: 32 << 10, merge_limit: 1 << 20, parallel_reads: 8, ahead: ReadAhead::Hints };

    /// One disk that spins: to seek costs as much as a megabyte, and two readers would make it seek all the time.
    pub const SPINNING: Self =
        Self { merge_gap: 1 << 20, merge_limit: 4 << 20, parallel_reads: 1, ahead: ReadAhead::Threads };

    /// Several disks that spin, as one device: each can be at another place.
    pub const SPINNING_ARRAY: Self =
        Self { merge_gap: 512 << 10, merge_limit: 4 << 20, parallel_reads: 8, ahead: ReadAhead::Threads };

    /// A network: a round trip costs as much as hundreds of KiB, and many can be under way.
    pub const NETWORK: Self =
        Self { merge_gap: 256 << 10, merge_limit: 4 << 20, parallel_reads: 16, ahead: ReadAhead::Threads };
}

/// Makes pointers to stores stores, so that a test can keep a hand on the wrapper that it gave away, and a store whose kind is
/// known only at run time can be given to who wants any store.
macro_rules! forward {
    ($pointer:ident) => {
        #[deny(clippy::missing_trait_methods)]
        impl<S: BlobStore + ?Sized> BlobStore for $pointer<S> {
            fn location(&self) -> String {
                (**self).location()
            }

            fn folder(&self) -> Option<PathBuf> {
                (**self).folder()
            }

            fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
                (**self).list(prefix)
            }

            fn length(&self, id: &BlobId) -> Result<u64> {
                (**self).length(id)
            }

            fn modified(&self, id: &BlobId) -> Result<Option<SystemTime>> {
                (**self).modified(id)
            }

            fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
                (**self).read(id)
            }

            fn read_range(
                &self,
                id: &BlobId,
                offset: u64,
                length: usize,
                buffer: Vec<u8>,
            ) -> Result<BlobBytes> {
                (**self).read_range(id, offset, length, buffer)
            }

            fn read_copy(
                &self,
                id: &BlobId,
                number: usize,
                offset: u64,
                length: Option<usize>,
            ) -> Result<Option<Vec<u8>>> {
                (**self).read_copy(id, number, offset, length)
            }

            fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
                (**self).will_need(id, offset, length);
            }

            fn profile(&self) -> ReadProfile {
                (**self).profile()
            }
        }
    };
}

forward!(Arc);
forward!(Box);
