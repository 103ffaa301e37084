//! What ends an export before its end.

use std::io;

use crate::Problem;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why nothing, or no more, could be exported. The archive is not whole then. What concerns single entries is
/// a [`Problem`] instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository could not be read at all.
    #[error(transparent)]
    Repository(#[from] kopia_repository::Error),
    /// The archive could not be written.
    #[error("the archive cannot be written")]
    Output {
        /// What the writer said.
        source: io::Error,
    },
    /// Something could not be exported, and that was to end the export.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The observer said so.
    #[error("the export was stopped")]
    Stopped,
    /// The system gives this process no thread.
    #[error("no thread can be started")]
    Threads {
        /// What the system said.
        source: io::Error,
    },
    /// This build cannot write the format.
    #[error("tar.zst needs a build with the feature native")]
    NoZstd,
}
