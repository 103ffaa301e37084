//! What keeps a server from listening.

use std::io;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing can be served. What concerns single requests is answered to who made them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is none, or the name stands for none.
    #[error("{given:?} is no address to listen on")]
    Address {
        /// What was given.
        given: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not let this process listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where it was to listen.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no random numbers.
    #[error("no random numbers for a token: {0}")]
    Random(String),
    /// The system gives this process no thread, or nothing to wait for sockets with.
    #[error("the server cannot be started")]
    Start {
        /// What the system said.
        source: io::Error,
    },
}
