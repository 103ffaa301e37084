//! What every store can do, as a trait.
//!
//! Everything above this crate knows stores by this trait alone. It only reads: there is no call that could
//! write to a repository.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use kopia_format::BlobId;

use crate::{BlobBytes, BlobInfo, ColdStorage, ReadProfile, Result};

/// Reads blobs: `Reader` in Kopia's `repo/blob/storage.go`.
///
/// Stores are shared between threads, and all calls may come at once. Blobs never change once they are
/// written, but they can appear and vanish at any time, as kopia's maintenance runs beside readers: what was
/// listed may be [not found](crate::Error::is_not_found) when it is read. What a caller may do about an
/// error, its [kind](crate::Error::kind) says. `testing::conformance::check` tests all that is said here; it
/// needs the feature `testing`.
pub trait BlobStore: Send + Sync + Debug + 'static {
    /// Returns what to call the store in messages, such as the path of its directory.
    fn location(&self) -> String;

    /// Returns the directory of the local system that holds the blobs, if there is one.
    ///
    /// Whatever writes files keeps out of it.
    fn directory(&self) -> Option<PathBuf> {
        None
    }

    /// Lists all blobs whose id begins with `prefix`, sorted by id, each once.
    ///
    /// A list is whole or an error: what could not be looked into is never left out as if nothing were there.
    ///
    /// # Errors
    /// [`Error::List`](crate::Error::List) if a part of the store cannot be listed.
    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>>;

    /// Returns the length of a blob in bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound) and [`Error::Read`](crate::Error::Read).
    fn length(&self, id: &BlobId) -> Result<u64>;

    /// Reads a whole blob of at most [`WHOLE_BLOB_LIMIT`](crate::WHOLE_BLOB_LIMIT) bytes.
    ///
    /// # Errors
    /// As [`read_range`](Self::read_range), and [`Error::TooLarge`](crate::Error::TooLarge).
    fn read(&self, id: &BlobId) -> Result<Vec<u8>>;

    /// Reads exactly `length` bytes at `offset`.
    ///
    /// `buffer` is memory to use if the store has to copy, whatever it holds; [`BlobBytes::into_buffer`]
    /// gives it back. The length is compared with the blob's before anything is allocated, so it may come
    /// from a hostile index.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::Error::NotFound), [`Error::Short`](crate::Error::Short) if the blob ends
    /// before the range does, and [`Error::Read`](crate::Error::Read).
    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes>;

    /// Reads a range, or all without a `length`, of one of several copies of a blob.
    ///
    /// Copies are numbered from 0, [`MAX_COPIES`](crate::MAX_COPIES) at most; `None` stands for a number that
    /// there is not, and for all numbers where there is but one copy. A store may hold a blob twice, such as
    /// a directory whose layout was being changed. The other functions read one of them, the longest; a
    /// caller that finds its bytes damaged can try them all.
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

    /// Announces a range that will be read soon, so that the store can begin to fetch it.
    ///
    /// It is a hint: it cannot fail, and need not do anything.
    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
        let _ = (id, offset, length);
    }

    /// Returns the store's archive, if it has one.
    fn cold(&self) -> Option<&dyn ColdStorage> {
        None
    }

    /// Returns how this store is read best.
    fn profile(&self) -> ReadProfile;
}

/// Implements `BlobStore` for `Arc<S>` and `Box<S>`: callers may box a store, and tests keep one handle of a
/// wrapper.
macro_rules! forward {
    ($pointer:ident) => {
        #[deny(clippy::missing_trait_methods)]
        impl<S: BlobStore + ?Sized> BlobStore for $pointer<S> {
            fn location(&self) -> String {
                (**self).location()
            }

            fn directory(&self) -> Option<PathBuf> {
                (**self).directory()
            }

            fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
                (**self).list(prefix)
            }

            fn length(&self, id: &BlobId) -> Result<u64> {
                (**self).length(id)
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

            fn cold(&self) -> Option<&dyn ColdStorage> {
                (**self).cold()
            }

            fn profile(&self) -> ReadProfile {
                (**self).profile()
            }
        }
    };
}

forward!(Arc);
forward!(Box);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    /// A store that says no more than it must.
    #[derive(Debug)]
    struct Least(MemoryStore);

    impl BlobStore for Least {
        fn location(&self) -> String {
            self.0.location()
        }

        fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
            self.0.list(prefix)
        }

        fn length(&self, id: &BlobId) -> Result<u64> {
            self.0.length(id)
        }

        fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
            self.0.read(id)
        }

        fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
            self.0.read_range(id, offset, length, buffer)
        }

        fn profile(&self) -> ReadProfile {
            self.0.profile()
        }
    }

    #[test]
    fn what_a_store_need_not_say_conforms() {
        crate::testing::conformance::check(|blobs| Least(blobs.iter().cloned().collect()));
        assert_eq!(Least(MemoryStore::new()).directory(), None);
    }
}
