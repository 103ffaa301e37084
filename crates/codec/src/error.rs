//! What can go wrong between stored and plain bytes.

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why bytes could not be decoded.
///
/// Where they came from (blob, offset, content) is not known here; `kopia-repository` adds it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The authentication tag does not fit: the key is wrong or the bytes are damaged.
    #[error("the bytes are not authentic: damaged, or sealed with another key")]
    NotAuthentic,
    /// The bytes contradict themselves or their index entry.
    #[error("{what}: {why}")]
    Corrupt {
        /// The thing being decoded, such as `zstd stream`.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// An algorithm that this crate does not know, by the name or number found.
    #[error("unsupported {what}: {found}")]
    Unsupported {
        /// The kind of algorithm, such as `hash`.
        what: &'static str,
        /// The name or number found.
        found: String,
    },
}

impl Error {
    /// Makes a [`Error::Corrupt`].
    pub(crate) fn corrupt(what: &'static str, why: impl Into<String>) -> Self {
        Self::Corrupt { what, why: why.into() }
    }
}
