//! Shows snapshots of Kopia repositories in a web browser and by WebDAV, read-only.
//!
//! [`Server::bind`] opens a listening socket, [`Server::run`] answers until the process ends. Pages are plain
//! HTML without scripts; nothing is loaded from elsewhere. Nothing is shown without the [`Token`], which is in
//! the URL for the user.
//!
//! ```no_run
//! use kopia_serve::{Listen, Options, Server};
//! # use kopia_codec::key::Password;
//! # use kopia_repository::Repository;
//! # use kopia_storage::FilesystemStore;
//! let repository = Repository::open(FilesystemStore::open("/backups/kopia")?, &Password::new("secret"))?;
//! let snapshots = repository.snapshots()?;
//! let server = Server::bind(&repository, snapshots, &Listen::default(), Options::default())?;
//! println!("{}", server.url());
//! server.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The way of a request: `server` accepts connections, a bounded number at a time; `gate` looks at Host and
//! token before anything else; `route` runs on a thread that may block, and makes an answer: bytes, or a
//! function that writes them piece by piece while the client takes them.

mod answer;
mod archive;
mod body;
mod dav;
mod download;
mod error;
mod gate;
mod listen;
mod lock;
mod options;
mod pages;
mod range;
mod request;
mod route;
mod server;
mod site;
mod token;
mod url;

pub use error::{Error, Result};
pub use listen::Listen;
pub use options::Options;
pub use server::Server;
pub use token::Token;
