//! Reads how kopia and people write down where a repository is.
//!
//! A [`Connection`] says where a repository is kept, with which credentials and limits, and with which
//! password it opens. Kopia writes one into `repository.config` and into tokens; people write URLs, options
//! and variables. This crate turns all of them into the same value. `kopia-remote` opens what it describes.
//!
//! It opens no network connection and writes nothing. It reads the files that it is told to read, and looks
//! at variables and the home directory through an [`Environment`] that the caller hands over, so a library
//! that uses it sees no more of the process than it wants to.
//!
//! | module | what | Kopia's own source |
//! |---|---|---|
//! | [`storage`] | every kind of storage with its fields and options | `Options` of each package below `repo/blob` |
//! | [`config_file`] | `repository.config` | `repo/local_config.go` |
//! | [`connecting`] | what `kopia repository connect` takes and writes | `cli/storage_*.go` |
//! | [`token`] | reconnect tokens | `repo/token.go` |
//! | [`url`] | paths and URLs | |
//! | [`stored_password`] | passwords that kopia stored | `internal/passwordpersist` |
//! | [`places`] | where kopia keeps its configurations | `internal/ospath` |
//! | [`environment`] | variables and the home directory, given by the caller | |
//! | [`limits`] | how much may be asked of a server | `repo/blob/throttling` |
//! | [`secret`] | credentials that are never printed | |

pub mod config_file;
pub mod connecting;
mod duration;
pub mod environment;
mod error;
mod file;
pub mod limits;
pub mod places;
pub mod secret;
pub mod storage;
pub mod stored_password;
pub mod token;
pub mod url;

pub use environment::Environment;
pub use error::{Error, Result};
pub use limits::Limits;
pub use secret::Secret;
pub use storage::Storage;

use std::fmt;
use std::io::Read;

use kopia_codec::key::Password;
use zeroize::Zeroizing;

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
    /// Names the place in words, without who asks for it: no user, key or option is part of it.
    pub fn location(&self) -> String {
        self.storage.to_string()
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.storage.fmt(f)
    }
}

/// Parses a duration as Go writes it: `1h2m3.5s`.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    duration::parse(text)
}

/// Reads a whole text that may hold secrets, such as a token from standard input: bounded, and into one
/// buffer that is wiped.
///
/// # Errors
/// What the source says; that it is longer than 1 MiB, or no UTF-8.
pub fn read_text(source: impl Read, what: &str) -> std::io::Result<Zeroizing<String>> {
    file::text(source, what)
}
