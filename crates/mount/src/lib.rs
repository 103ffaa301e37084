//! Mounts snapshots of Kopia repositories as a read-only file system (FUSE).
//!
//! What is shown is a [`Folder`]: all snapshots by source and time, or one entry alone. Modes, owners, times to
//! the nanosecond, links and sizes are those of the snapshot. Nothing can be written there (EROFS), and devices
//! and setuid bits mean nothing (`nodev`, `nosuid`). Kopia keeps no hard links, devices, pipes or sockets: each
//! name is a file of its own, and an entry of a type that is not known is left out and told of.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use kopia_mount::{Folder, Options, Problem, mount};
//! # use kopia_codec::key::Password;
//! # use kopia_repository::Repository;
//! # use kopia_storage::FilesystemStore;
//! # let repository = Repository::open(FilesystemStore::open("/backups")?, &Password::new("secret"))?;
//! let all = Folder::of_snapshots(&repository.snapshots()?, &|snapshot| snapshot.start_time().to_string());
//! let tell = Arc::new(|problem: &Problem| eprintln!("{problem}"));
//! let mounted = mount(all.into(), "/mnt".as_ref(), &Options::default(), tell)?;
//! while !mounted.wait(Duration::from_secs(60)) {
//!     println!("nothing was asked for {:?}", mounted.idle());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | `session` | mounting |
//! | `mounted` | what is mounted, until it is unmounted |
//! | `filesystem` | requests of the kernel, and their answers |
//! | `open_folders`, `reading` | the two that take more than a few lines: what is in a folder, bytes of a file |
//! | `folder` | what is shown above snapshots |
//! | `nodes` | what the kernel knows by number |
//! | `listings` | directories, parsed once |
//! | `readers` | open files: read ahead where they are read front to back |
//! | `sweeps` | folders whose files are read one after the other |
//! | `primer` | what will be asked for, put into the page cache |
//!
//! A directory is read when it is listed or something is looked up in it, and kept within a budget. The kernel
//! keeps names, attributes and bytes as long as it has memory for them: nothing of them ever changes. Damage
//! costs what is damaged: EIO, and one [`Problem`] for each file or directory.

#![cfg(target_os = "linux")]

mod attributes;
mod error;
mod filesystem;
mod folder;
mod listings;
mod lock;
mod mounted;
mod mounts;
mod nodes;
mod open_folders;
mod options;
mod primer;
mod problem;
mod readers;
mod reading;
mod session;
mod shared;
mod sweeps;

pub use error::{Error, Result};
pub use folder::{Folder, Item};
pub use mounted::Mounted;
pub use options::Options;
pub use problem::{Problem, Tell};
pub use session::{check, mount};
