//! Reads the blobs of Kopia repositories from where they are stored.
//!
//! A [`BlobStore`] lists blobs, and reads them whole or in ranges. It knows no format but the names of blobs,
//! and it never writes. In the chain of crates it stands above `kopia-format`, which gives it
//! [`BlobId`](kopia_format::BlobId), and below `kopia-repository`, which makes sense of the bytes.
//!
//! | module | what | Kopia's own source |
//! |---|---|---|
//! | [`filesystem`] | a directory on a local or mounted disk | `repo/blob/filesystem` |
//! | [`sharded`] | where blobs lie in directories, here or on a server | `repo/blob/sharded` |
//! | [`memory`] | blobs in memory, for tests and embedding | `internal/blobtesting/map.go` |
//! | [`plain`] | a store of one's own in a few lines | |
//! | [`overlay`] | a wrapper with one blob of its own, in place of a lost one | |
//! | [`cached`] | a wrapper that keeps indexes and directories on the local disk, where that is asked for | `internal/cache` |
//! | [`server`] | what a Kopia repository server gives: contents and manifests instead of blobs | `repo/grpc_repository_client.go` |
//! | [`cold`] | blobs that have to be fetched from an archive first | |
//! | [`failure`] | what a server, or the way to it, said no with | |
//! | [`surroundings`] | what lies around a place where a repository should be | |
//! | `testing` | stores for tests and what every store must do; needs the feature `testing` | `internal/blobtesting` |
//!
//! # Why blobs, and why blocking?
//!
//! Kopia's object stores and its directories have three things in common: listing by prefix, reading a range,
//! asking for a length. A file system has more, but nothing above this crate needs it. Calls block: decoding
//! keeps the cores busy, and a store whose client is asynchronous keeps its runtime to itself.
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

mod blob;
mod bytes;
pub mod cached;
pub mod cold;
mod error;
pub mod failure;
pub mod filesystem;
pub mod memory;
pub mod overlay;
pub mod plain;
mod profile;
mod scratch_file;
pub mod server;
pub mod sharded;
mod store;
pub mod surroundings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use blob::{BlobInfo, MAX_COPIES, WHOLE_BLOB_LIMIT};
pub use bytes::BlobBytes;
pub use cached::CachedStore;
pub use cold::{ColdBlob, ColdStorage, ThawSpeed, ThawTime, Warmth};
pub use error::{Error, ErrorKind, Result};
pub use failure::{Failure, HostKeyProblem};
pub use filesystem::{FilesystemStore, IoMode};
pub use memory::MemoryStore;
pub use overlay::OverlayStore;
pub use plain::{CheckedStore, PlainStore};
pub use profile::{ReadAhead, ReadProfile};
pub use scratch_file::{MappedFile, ScratchFile};
pub use server::ContentServer;
pub use sharded::ShardedStore;
pub use store::BlobStore;
pub use surroundings::{Near, Shape, Surroundings};
