//! A snapshot's tree: its entries, what its directories are read from, and the one walk over all of it.
//!
//! A [`Walk`] goes down from a root and tells a [`Visitor`] what it comes by. Whatever looks at a whole tree
//! is one: the planner of a restore, its dry run, verifying, `ls`.
//!
//! ```
//! use std::ops::ControlFlow::{self, Continue};
//!
//! use kopia_repository::tree::{Problem, Visitor, Walk, Walked};
//! use kopia_repository::{Defect, Entry, Error, Trail};
//! # use kopia_codec::key::Password;
//! # use kopia_format::directory::Summary;
//! # use kopia_repository::Repository;
//! # use kopia_storage::FilesystemStore;
//!
//! /// The paths of all files.
//! struct Files(Vec<String>);
//!
//! impl Visitor for Files {
//!     type Directory = ();
//!
//!     fn leaf(&mut self, parent: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
//!         self.0.push(parent.path_of(entry.name()));
//!         Continue(())
//!     }
//!
//!     fn directory(
//!         &mut self,
//!         _: &mut Walked<()>,
//!         _: &Entry,
//!         _: Result<&Trail, Defect>,
//!     ) -> ControlFlow<(), Option<()>> {
//!         Continue(Some(()))
//!     }
//!
//!     fn problem(&mut self, _: &mut Walked<()>, _: Problem) -> ControlFlow<()> {
//!         Continue(())
//!     }
//!
//!     fn leave(&mut self, _: Walked<()>, _: Result<Option<Summary>, Error>) -> ControlFlow<()> {
//!         Continue(())
//!     }
//! }
//!
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! # let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let snapshots = repository.snapshots()?;
//! let root = snapshots.iter().next().expect("there is one").root()?;
//! let mut files = Files(Vec::new());
//! let _ = Walk::new(&repository).run([(&root, ())], &mut files);
//! assert!(files.0.contains(&"hello.txt".into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod directory;
mod entry;
mod folding;
mod listing;
mod names;
mod near;
mod passed;
mod path;
mod problem;
mod refused;
mod source;
mod trail;
mod walk;

use directory::fetch;
pub use entry::{Directory, Entry};
pub use folding::FoldName;
pub(crate) use listing::Listing;
pub(crate) use names::remember;
pub use path::CurrentPath;
pub(crate) use problem::may_be_directory;
pub use problem::{Clash, Problem};
pub(crate) use refused::{RefusedAt, RefusedPaths, reach};
use source::DirectorySource;
pub use trail::Trail;
pub use walk::{MAX_WAITING, MAX_WAITING_NAMES, Order, Visitor, Walk, Walked};
