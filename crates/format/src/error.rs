//! What can be wrong with bytes.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what is wrong with bytes or text.
///
/// Which blob or object they came from is not known here; `kopia-repository` adds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not what they should be.
    #[error("{what}: {why}")]
    Corrupt {
        /// The thing being read, such as `index`.
        what: &'static str,
        /// What is wrong with it, with the offset where one is known.
        why: String,
    },
    /// The bytes are well formed and ask for something that this crate does not know.
    #[error("unsupported {what}: {found}")]
    Unsupported {
        /// The kind of thing, such as `index version`.
        what: &'static str,
        /// What was found.
        found: String,
    },
}

impl Error {
    pub(crate) fn corrupt(what: &'static str, why: impl Into<String>) -> Self {
        Self::Corrupt { what, why: why.into() }
    }

    pub(crate) fn unsupported(what: &'static str, found: impl ToString) -> Self {
        Self::Unsupported { what, found: found.to_string() }
    }
}
