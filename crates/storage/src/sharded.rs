//! Blobs as files in shard directories: the one place that knows where kopia, and others, put them.
//!
//! The blob `ID` is the file `ID.f`, in directories cut from the front of its name as the file `.shards`
//! says. Blobs that lie elsewhere are found, too: in a copy or a mount of a bucket they have no `.f`;
//! `.shards` may be lost or wrong; a layout may be changed halfway. Files of other programs between them are
//! no blobs. Authority: Kopia's `repo/blob/sharded`.
//!
//! # A store over a network
//!
//! It implements two traits of few calls and says nothing of blobs: [`DirectoryTree`] lists directories and
//! asks what a path is; [`FileTree`] reads files. [`ShardedStore`] makes a [`BlobStore`](crate::BlobStore) of
//! them. Paths are bytes below the tree's root, their names joined by `/`; the empty one is the root itself.
//! They come from ids of blobs and from listings, and never have an empty name, `.` or `..` in them; but a
//! name from an id may hold anything else, so trees encode what their protocol cannot carry.
//!
//! The [filesystem](crate::filesystem) implements the first trait alone, as it has its own way of reading.
//!
//! # Rules that all trees share
//!
//! - A blob in its right place costs no more than to read it there. One that is not there is looked for in
//!   the usual forms, then by listing, once a prefix; after a listing, where that found it.
//! - Of several copies the longest counts, then the one in the right place; [`read_copy`] has all.
//! - A listing reads the directories that can hold the prefix and no others, level by level, several at once.
//! - What vanished in the meantime is passed over; what cannot be looked into is an error, never an absence.
//!
//! [`read_copy`]: crate::BlobStore::read_copy

mod form;
mod layout;
mod listing;
mod names;
mod shards;
mod store;
mod tree;

pub use store::ShardedStore;
pub use tree::{DirectoryTree, Entry, EntryKind, Fetched, FileTree, Links, Stat, Visitor};

#[cfg(test)]
pub(crate) use form::path;
pub(crate) use layout::Layout;
pub(crate) use shards::{FILE_NAME, MAX_LENGTH, Shards};
pub(crate) use tree::is_absent;
