//! Why nothing can be shown.

use std::io;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Standard input or output is no terminal.
    #[error("{stream} is no terminal, which browsing needs")]
    NoTerminal {
        /// Which of them.
        stream: &'static str,
    },
    /// The variable TERM names a terminal whose cursor cannot be moved.
    #[error("the terminal is of a kind that cannot be browsed on: TERM is {name}")]
    Dumb {
        /// What TERM says.
        name: String,
    },
    /// The terminal does not do what it is asked for.
    #[error("the terminal: {source}")]
    Terminal {
        /// What the system says.
        #[from]
        source: io::Error,
    },
    /// There is nothing to browse.
    #[error("the repository holds no snapshots")]
    NoSnapshots,
}
