//! Writes snapshots of Kopia repositories as archives: tar, plain or compressed, and zip.
//!
//! [`export`] writes to whatever takes bytes, and to nothing else. What it writes is what a restore would
//! leave in a directory: names, bytes, modes, owners, times to the nanosecond (zip keeps seconds), links,
//! empty directories.
//!
//! ```
//! use kopia_export::{Options, export};
//! # use kopia_codec::key::Password;
//! # use kopia_repository::Repository;
//! # use kopia_storage::FilesystemStore;
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! # let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let root = repository.snapshots()?.iter().next().expect("there is one").root()?;
//! let mut archive = Vec::new();
//! let outcome = export(&root, &mut archive, &Options::default(), &())?;
//! assert_eq!(outcome.problem_count, 0);
//! assert_eq!(&archive[257..262], b"ustar");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An archive is never broken by damage: a file's bytes are read and decoded before its header is written,
//! and one that cannot be had is left out and named. A file longer than half of [`Options::window`] does not
//! wait in memory for that: all its contents are read twice, first to see that they can be had. Should one
//! vanish between the two, the rest of the file is written, with zeros in its place, and named.
//!
//! Several things go into one archive by [`export_all`], each below a path of its own.
//!
//! Entries come in the order of the snapshot, each directory before what lies in it, and all of a directory
//! together, so `tar` can set the times of directories as it goes.
//!
//! The way of a file: `plan` visits the tree and gathers batches of entries, each with the places of its
//! contents; the repository's `contents` reads and decodes a batch in the order of packs, on all cores, each
//! content once; `write` takes the batches in order and hands entries to `tar` or `zip`. What is decoded and
//! not yet written stays within the window.

mod archive;
mod batch;
mod buffers;
mod compress;
mod error;
mod export;
mod lock;
mod observer;
mod options;
mod outcome;
mod plan;
mod refused;
mod root;
mod shared;
mod tar;
mod work;
mod write;
mod zip;

pub use error::{Error, Result};
pub use export::{export, export_all};
pub use observer::Observer;
pub use options::{Format, Options};
pub use outcome::{FoundStub, Outcome, Problem};
pub use refused::refused;
pub use root::Root;
