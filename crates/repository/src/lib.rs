//! Opens Kopia repositories and reads contents, objects, manifests and snapshots.
//!
//! This crate joins three others: `kopia-storage` reads blobs, `kopia-codec` opens them, `kopia-format` says what the
//! bytes mean. It writes nothing anywhere; `kopia-restore` builds on it.
//!
//! | module | what |
//! |---|---|
//! | [`repository`](Repository) | opening: keys, indexes, one merged table |
//! | [`content`] | one content, from its place in a pack to plain bytes |
//! | [`read`] | many contents: range by range, each decoded once |
//! | [`schedule`] | in which order contents are read: by pack, neighbours together |
//! | [`object`] | files and directories as the contents they consist of |
//! | [`snapshot`](Snapshot) | what was backed up, and when |
//! | [`entry`](Entry) | files, folders and links of a snapshot |
//! | [`verify`] | proof of what can be read |
//! | [`format_blob`] | the one blob that everything begins with, and its replicas |
//! | [`unindexed`] | packs that no index names, and whether the list of snapshots is whole |
//! | [`select`] | from what a person types to the entry that is meant |
//!
//! All handles are cheap to clone and may cross threads.

pub mod content;
pub(crate) mod entry;
mod error;
pub mod format_blob;
mod index;
mod missing;
pub mod object;
pub mod read;
mod repository;
pub mod schedule;
mod sealing;
pub mod select;
mod snapshot;
mod table;
pub mod unindexed;
pub mod verify;

pub use entry::{Directory, DirectorySource, Entry, Fetched, MAX_WAITING, Trail};
pub use error::{Error, Result};
pub use format_blob::FormatBlob;
pub use missing::MissingPack;
pub use repository::{OpenOptions, Repository, Status};
pub use snapshot::{Snapshot, Snapshots};
pub use table::Place;
