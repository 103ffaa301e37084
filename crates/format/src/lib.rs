//! The bytes of Kopia repositories, turned into validated values.
//!
//! Every parser takes a byte slice, checks all geometry once with checked arithmetic, and returns a value
//! whose accessors cannot fail. There is no I/O here, no thread and no key: what is encrypted or compressed
//! arrives as plain bytes. In the chain of crates this is the lowest link; `kopia-storage` and
//! `kopia-repository` build on it.
//!
//! | module | what | Kopia's own source |
//! |---|---|---|
//! | [`id`] | ids of blobs, contents, objects, manifests | `repo/content/index/id.go`, `repo/object/objectid.go` |
//! | [`format_blob`] | the format blob, outside and inside | `repo/format` |
//! | [`index`] | index blobs, versions 1 and 2 | `repo/content/index` |
//! | [`epoch`] | which index blobs of epochs are active | `internal/epoch` |
//! | [`compaction`] | which index blobs are active without epochs | `repo/content/indexblob` |
//! | [`indirect`] | the pieces of a split object | `repo/object` |
//! | [`maintenance`] | how often maintenance is to run, and when it ran | `repo/maintenance` |
//! | [`manifest`] | the lists of manifests | `repo/manifest` |
//! | [`snapshot`] | one snapshot manifest | `snapshot/manifest.go` |
//! | [`directory`] | one directory, entry by entry | `snapshot/manifest.go` |
//! | [`stub`] | files in place of entries that were lost or left out | `snapshot/snapshotfs/dir_rewriter.go` |
//! | [`postamble`] | the end of a pack | `repo/content/content_index_recovery.go` |
//! | [`go_json`] | JSON as Go reads it | `encoding/json` of Go |
//! | [`text`] | numbers and names, as people read them | `internal/units` |
//! | [`time`] | points in time, to the nanosecond | `fs/utc_timestamp.go` |
//!
//! ```
//! use kopia_format::id::ObjectId;
//!
//! let id: ObjectId = "Ixf64b5326b106469a05e8a093f9d5dd98".parse()?;
//! assert_eq!(id.indirection(), 1);
//! assert_eq!(id.content().prefix(), Some('x'));
//! # Ok::<(), kopia_format::Error>(())
//! ```

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod bytes;
pub mod compaction;
pub mod directory;
pub mod epoch;
mod error;
pub mod format_blob;
pub mod go_json;
pub mod id;
pub mod index;
pub mod indirect;
mod json;
pub mod maintenance;
pub mod manifest;
mod memory;
pub mod postamble;
pub mod snapshot;
pub mod stub;
pub mod text;
pub mod time;

pub use error::{Error, Result};
pub use id::{BlobId, ContentId, ManifestId, ObjectId};
pub use time::Timestamp;
