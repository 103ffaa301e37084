//! Why a text is no connection. No token, password or text of a configuration is ever part of a message.

use std::io;
use std::path::PathBuf;

/// Why a connection cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text is no location of a repository.
    #[error("{text:?} is not a location: {why}")]
    BadLocation {
        /// The text, without what may be a password in it.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Storage of a kind that kopia does not have either.
    #[error("{name} is no storage that kopia knows")]
    UnknownStorage {
        /// What it was called, such as `foo://`.
        name: String,
    },
    /// A configuration of kopia makes no sense.
    #[error("{what}: {why}")]
    Config {
        /// The configuration: its file, or what it came by.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A token makes no sense.
    #[error("this is no token of kopia: {why}")]
    Token {
        /// What is wrong with it.
        why: String,
    },
    /// An option says what the storage has no use for, or what makes no sense.
    #[error("option {name}: {why}")]
    Option {
        /// The option, without hyphens.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file cannot be read.
    #[error("{} cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
