//! What can go wrong between a store and its reader.

use std::io;

use kopia_format::BlobId;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what a store could not do. The cause, where there is one, is the [source](std::error::Error::source) and not part
/// of the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such blob, or no longer.
    #[error("blob {blob} is not in {place}")]
    NotFound {
        /// The blob that was asked for.
        blob: BlobId,
        /// The store.
        place: String,
    },
    /// A blob is there and cannot be read: a bad disk, a missing permission, a lost connection.
    #[error("blob {blob} in {place} cannot be read at offset {offset}")]
    Read {
        /// The blob.
        blob: BlobId,
        /// The store.
        place: String,
        /// Where in the blob reading began, in bytes; 0 also if it could not even be opened.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// A blob ends before the range that was asked for does: the blob was cut short, or who asked is wrong.
    #[error("blob {blob} in {place} has {length} bytes, too few to read {wanted} at offset {offset}")]
    Short {
        /// The blob.
        blob: BlobId,
        /// The store.
        place: String,
        /// Where the range begins, in bytes.
        offset: u64,
        /// The length of the range in bytes.
        wanted: u64,
        /// The length of the blob in bytes.
        length: u64,
    },
    /// A blob is too large to be read whole.
    #[error("blob {blob} in {place} has {length} bytes, too many to read at once")]
    TooLarge {
        /// The blob.
        blob: BlobId,
        /// The store.
        place: String,
        /// The length of the blob in bytes.
        length: u64,
    },
    /// Blobs cannot be listed.
    #[error("{place} cannot be listed")]
    List {
        /// The store, or the folder in it.
        place: String,
        /// What the system says.
        source: io::Error,
    },
    /// The store, or the file that tells its layout, cannot be opened: it is missing, of another kind, or not permitted.
    #[error("{place} cannot be opened")]
    Open {
        /// The store, or the file in it.
        place: String,
        /// What the system says.
        source: io::Error,
    },
    /// Text does not say where a repository is.
    #[error("{text:?} is not a location: {why}")]
    BadLocation {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The location is of a kind that cannot be read yet.
    #[error("repositories in {name} cannot be read yet, only folders of local and mounted file systems")]
    UnsupportedBackend {
        /// What people call it, such as `Amazon S3`.
        name: String,
    },
}

impl Error {
    /// Tells whether a blob was not there. Reading anew from the listing on may then help.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub(crate) fn not_found(blob: &BlobId, place: impl Into<String>) -> Self {
        Self::NotFound { blob: blob.clone(), place: place.into() }
    }
}

/// Checks that a range lies within a blob of `length` bytes; `place` is called only if it does not.
pub(crate) fn check_range(
    blob: &BlobId,
    place: impl FnOnce() -> String,
    (offset, wanted): (u64, usize),
    length: u64,
) -> Result<()> {
    let wanted = wanted as u64;
    match offset.checked_add(wanted) {
        Some(end) if end <= length => Ok(()),
        _ => Err(Error::Short { blob: blob.clone(), place: place(), offset, wanted, length }),
    }
}
