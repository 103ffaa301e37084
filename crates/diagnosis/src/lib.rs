//! Finds out why a repository cannot be opened, a snapshot not found or a target not written, and what to
//! change.
//!
//! This crate looks at the local system around a repository: mount table, modes and ids, free space,
//! neighbouring directories, the memory limit of the control group. It writes nothing, prints nothing and
//! reads no environment variable; it returns values. Two kinds of them matter: a [`Finding`] says what is so,
//! a [`Hint`] what can be done about an error. Programs match on them, or take their text, worded for an
//! [`Audience`].
//!
//! In the chain of crates it stands beside the command: it uses `kopia-restore` and all below, and nothing
//! there uses it.
//!
//! | question | call |
//! |---|---|
//! | why does opening fail? | [`explain`] with an [`OpenFailure`], [`explain_remote`] with a [`RemoteFailure`] |
//! | what can be done about an error? | [`hints`], [`hints_of_storage`], [`hints_of_restore`] |
//! | what was meant by a name that stands for nothing? | [`hints_of_name`], [`no_snapshot`] |
//! | is a location mounted, is it empty? | [`LocalPath::look`] |
//! | can a target be written to, has it room? | [`space::target`], [`space::FreeSpace`], [`pace::measure`] |
//! | is there enough memory? | [`memory::shortage`] |
//! | which repositories of Velero are there, of which volumes? | [`velero::in_store`], [`velero::volumes`] |
//!
//! ```
//! use kopia_diagnosis::{Audience, Effort, Finding, LocalPath, OpenFailure, explain};
//! use kopia_repository::Repository;
//! use kopia_storage::FilesystemStore;
//!
//! # let volume = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources");
//! // The volume is mounted here, but its repository lies one level below, in `repo`.
//! let store = FilesystemStore::open(volume)?;
//! let password = kopia_codec::key::Password::new("golden");
//! let Err(error) = Repository::open(store, &password) else { panic!("this is not the repository") };
//!
//! let location = LocalPath::look(volume.as_ref());
//! let findings = explain(OpenFailure::new(&location, &error), Effort::Hint);
//! let Finding::Elsewhere { found, .. } = &findings[0] else { panic!("{findings:?}") };
//! assert!(found[0].path.ends_with("sources/repo"));
//! println!("{}", findings[0].sentence(Audience::Terminal));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Looking around is bounded by an [`Effort`], because directories may be huge, slow or hostile: symlinks
//! below the location are never followed, and only regular files are opened, without waiting.

pub mod access;
mod advice;
mod around;
mod audience;
mod class;
mod effort;
mod finding;
pub mod identity;
mod ids;
mod local_path;
pub mod memory;
pub mod mounts;
mod names;
pub mod neighbours;
mod no_snapshot;
mod open_failure;
pub mod pace;
pub mod packs;
pub mod password;
mod remote;
pub mod replicas;
mod serialize;
pub mod space;
mod store_failure;
pub mod text;
mod upgrade;
pub mod velero;

pub use advice::{Advice, degraded_helps, hints, hints_of_list, hints_of_restore, hints_of_storage};
pub use around::{RootRelation, StorePlace};
pub use audience::Audience;
pub use class::Class;
pub use effort::Effort;
pub use finding::{BeforeResume, Cause, Finding, Hint, StoreHint, Weight};
pub use identity::Identity;
pub use ids::Ids;
pub use local_path::{Listing, LocalPath, PathState};
pub use names::{hints_of_name, meant};
pub use no_snapshot::{no_snapshot, not_found};
pub use open_failure::{OpenFailure, explain, hints_of_opening};
pub use remote::{Backend, Remote, RemoteFailure, clock, explain_remote, hints_of_remote};
