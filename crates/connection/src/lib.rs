//! Reads how kopia and people write down where a repository is.
//!
//! A [`Connection`] says where a repository is kept, with which credentials and limits, and with which password it opens. Kopia
//! writes one into `repository.config` and into tokens; people write URLs, options and variables. This crate turns all of them
//! into the same value. `kopia-remote` opens what it describes.
//!
//! It opens no network connection and writes nothing. It reads the files that it is told to read, and looks at variables and
//! the home directory through an [`Environment`] that the caller hands over, so a library that uses it sees no more of the
//! process than it wants to.
//!
//! | module | what | Kopia's own source |
//! |---|---|---|
//! | [`storage`] | every kind of storage with its fields | `Options` of each package below `repo/blob` |
//! | [`environment`] | variables and the home directory, given by the caller | |
//! | [`limits`] | how much may be asked of a server | `repo/blob/throttling` |
//! | [`secret`] | credentials that are never printed | |

pub mod environment;
pub mod limits;
pub mod secret;
pub mod storage;

pub use environment::Environment;
pub use limits::Limits;
pub use secret::Secret;
pub use storage::Storage;

use kopia_codec::key::Password;

/// Where a repository is, and what opens it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Connection {
    /// Where it is.
    pub storage: Storage,
    /// The password of the repository or, for a Kopia repository server, of the user.
    pub password: Option<Password>,
    /// The user's name that the connection was made for, without the host's.
    pub username: Option<String>,
    /// The host's name that the connection was made for.
    pub hostname: Option<String>,
    /// What the user wrote about it.
    pub description: Option<String>,
    /// How much may be asked of the server.
    pub limits: Limits,
}

impl Connection {
    /// Makes a connection of a place alone.
    pub fn new(storage: Storage) -> Self {
        Self {
            storage,
            password: None,
            username: None,
            hostname: None,
            description: None,
            limits: Limits::default(),
        }
    }
}
