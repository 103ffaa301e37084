//! Browses snapshots of Kopia repositories on a terminal, read-only.
//!
//! [`Browser::run`] takes the terminal over until the person leaves, or wants something done that the caller
//! does: a restore, an archive. The screen is given back before it returns; called again, it goes on where it
//! was. Nothing is ever written but to the terminal.
//!
//! ```no_run
//! use kopia_browse::{Browser, Leave, Options};
//! # use kopia_codec::key::Password;
//! # use kopia_repository::Repository;
//! # use kopia_storage::FilesystemStore;
//! let repository = Repository::open(FilesystemStore::open("/backups/kopia")?, &Password::new("secret"))?;
//! let mut browser = Browser::new(&repository.snapshots()?, Options::default())?;
//! while let Leave::Restore { picked, target } = browser.run()? {
//!     println!("{} into {target}", picked.len());
//!     browser.done("restored", true);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `model` is what is shown and what keys do to it, without a terminal; `view` draws it into a buffer; `read`
//! reads folders and files on threads of their own, which `session` starts and listens to; `screen` is the
//! terminal itself.

mod catalogue;
mod error;
mod key;
mod leave;
mod look;
mod model;
mod options;
mod read;
mod screen;
mod session;
mod text;
mod view;

pub use error::{Error, Result};
pub use leave::Leave;
pub use model::Picked;
pub use options::Options;
pub use screen::{check, give_back};
pub use session::Browser;
