//! Reads the blobs of Kopia repositories from where they are stored.
//!
//! A [`BlobStore`] lists blobs, and reads them whole or in ranges. It knows no format but the names of blobs, and it never
//! writes. In the chain of crates it stands above `kopia-format`, which gives it [`BlobId`](kopia_format::BlobId), and below
//! `kopia-repository`, which makes sense of the bytes.
//!
//! | module | what | Kopia's own source |
//! |---|---|---|
//! | [`filesystem`] | a folder on a local or mounted disk | `repo/blob/filesystem`, `repo/blob/sharded` |
//! | [`memory`] | blobs in memory, for tests and embedding | `internal/blobtesting/map.go` |
//! | [`overlay`] | a wrapper with one blob of its own, in place of a lost one | |
//! | [`counting`] | a wrapper that records what is asked | |
//! | [`changing`] | a wrapper that changes what is there at a chosen moment | |
//! | [`faulty`] | a wrapper that fails on purpose | `internal/blobtesting/faulty.go` |
//! | [`conformance`] | what every store must do, as a test to call | `internal/blobtesting/verify.go` |
//! | [`location`] | how people write down where a repository is | |
//!
//! # Why blobs, and why blocking?
//!
//! Kopia's object stores and its folders have three things in common: listing by prefix, reading a range, asking for a
//! length. A file system has more, but nothing above this crate needs it. Calls block: decoding keeps the cores busy, and a
//! store whose client is asynchronous keeps its runtime to itself.
//!
//! ```
//! use kopia_format::BlobId;
//! use kopia_storage::{BlobStore, MemoryStore};
//!
//! let store = MemoryStore::new();
//! store.insert(BlobId::new("kopia.repository")?, b"{}".to_vec());
//! assert_eq!(store.list("kopia.")?.len(), 1);
//! let bytes = store.read_range(&BlobId::new("kopia.repository")?, 1, 1, Vec::new())?;
//! assert_eq!(&*bytes, b"}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bytes;
pub mod changing;
pub mod conformance;
pub mod counting;
mod error;
pub mod faulty;
pub mod filesystem;
pub mod location;
pub mod memory;
pub mod overlay;
mod store;

pub use bytes::BlobBytes;
pub use changing::ChangingStore;
pub use counting::CountingStore;
pub use error::{Error, Result};
pub use faulty::FaultyStore;
pub use filesystem::{FilesystemStore, IoMode};
pub use location::Location;
pub use memory::MemoryStore;
pub use overlay::OverlayStore;
pub use store::{BlobInfo, BlobStore, MAX_COPIES, ReadAhead, ReadProfile, WHOLE_BLOB_LIMIT};
