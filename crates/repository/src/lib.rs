//! Opens Kopia repositories and reads contents, objects, manifests and snapshots.
//!
//! This crate joins three others: `kopia-storage` reads blobs, `kopia-codec` opens them, `kopia-format` says
//! what the bytes mean. It writes nothing anywhere; `kopia-restore` builds on it.
//!
//! | module | what |
//! |---|---|
//! | [`repository`](Repository) | opening: keys, indexes, one merged table |
//! | [`contents`] | contents, from their place in a pack to plain bytes, one or many |
//! | [`object`] | files and directories as the contents they consist of |
//! | [`owners`] | other numbers for the owners that a snapshot has |
//! | [`snapshot`](Snapshot) | what was backed up, and when |
//! | [`tree`] | files, directories and links of a snapshot, and the walk over all of them |
//! | [`usage`] | how much there is in trees, and what it takes in the repository |
//! | [`verify`] | proof of what can be read |
//! | [`format_blob`] | the one blob that everything begins with, and its replicas |
//! | [`unindexed`] | packs that no index names, and whether the list of snapshots is whole |
//! | [`beginning`] | what a file is, as far as its first bytes tell |
//! | [`choice`] | which entries below a root are taken, by patterns in the syntax of gitignore(5) |
//! | [`cold`] | what has to be fetched from an archive before it can be read |
//! | [`compare`] | what differs between entries and between trees |
//! | [`history`] | what lay at a path, snapshot by snapshot |
//! | [`search`] | entries by name, size, time or kind, in one snapshot or many |
//! | [`select`] | from what a person types to the entry that is meant |
//!
//! All handles are cheap to clone and may cross threads.

pub mod beginning;
pub mod choice;
pub mod cold;
pub mod compare;
mod content_info;
pub mod contents;
mod defect;
mod deriving;
mod error;
pub mod format_blob;
pub mod history;
mod index;
mod lock;
mod lru;
mod missing;
pub mod object;
pub mod owners;
mod parallel;
mod repository;
mod sealing;
pub mod search;
pub mod select;
mod shard;
pub mod slip;
mod snapshot;
#[cfg(test)]
mod testing;
mod traffic;
pub mod tree;
pub mod unindexed;
mod upkeep;
pub mod usage;
pub mod verify;

pub use content_info::ContentInfo;
pub use contents::{ContentLocation, Contents};
pub use defect::Defect;
pub use error::{Error, Result};
pub use format_blob::FormatBlob;
pub use index::Unreadable;
pub use missing::MissingPack;
pub use repository::{OpenOptions, Repository, Resources, Status};
pub use shard::Shard;
pub use snapshot::{Snapshot, Snapshots};
pub use traffic::Traffic;
pub use tree::{Directory, Entry, Trail};
pub use upkeep::Upkeep;
