//! What can go wrong between a store and its reader.
//!
//! A variant says which call failed and at what; its [kind](Error::kind) what a caller may do about it.

mod kind;

use std::io;

use kopia_format::{BlobId, ContentId};

use crate::Failure;

pub use kind::ErrorKind;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a store could not do.
///
/// The cause, where there is one, is the [source](std::error::Error::source) and not part of the message.
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
        /// What the system or the server said.
        source: io::Error,
    },
    /// A blob ends before the range that was asked for does: it was cut short, or an index is wrong.
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
    /// Blobs cannot be listed: nothing is known of which there are.
    #[error("{place} cannot be listed")]
    List {
        /// The store, or the directory in it.
        place: String,
        /// What the system or the server said.
        source: io::Error,
    },
    /// The store, or the file that holds its layout, cannot be opened: missing, no directory, or not
    /// permitted.
    #[error("{place} cannot be opened")]
    Open {
        /// The store, or the file in it.
        place: String,
        /// What the system or the server said.
        source: io::Error,
    },
    /// A server of contents has no such content, or does not show it to this user.
    #[error("content {content} is not in {place}")]
    NoContent {
        /// The content that was asked for.
        content: ContentId,
        /// The server.
        place: String,
    },
    /// A server of contents was asked for something and did not give it.
    #[error("{place} does not give {what}")]
    NotServed {
        /// What was asked for, such as `content kab12` or `the list of snapshots`.
        what: String,
        /// The server.
        place: String,
        /// What the system or the server said.
        source: io::Error,
    },
    /// Blobs were asked for where there is a server of contents.
    ///
    /// So whatever looks at packs and indexes cannot be done: proving packs, salvaging, counting what is
    /// stored.
    #[error("{place} is a Kopia repository server: it gives contents, and neither packs nor indexes")]
    NoBlobs {
        /// The server.
        place: String,
    },
    /// The storage is of a kind that this build has no reader of.
    #[error("this build cannot read {name}, only folders of local and mounted file systems")]
    UnsupportedBackend {
        /// What people call it, such as `Amazon S3`.
        name: String,
    },
}

impl Error {
    /// Returns what a caller may do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } | Self::NoContent { .. } => ErrorKind::NotFound,
            Self::Read { source, .. }
            | Self::List { source, .. }
            | Self::Open { source, .. }
            | Self::NotServed { source, .. } => ErrorKind::of(source),
            Self::Short { .. } | Self::TooLarge { .. } => ErrorKind::Broken,
            Self::NoBlobs { .. } | Self::UnsupportedBackend { .. } => ErrorKind::Location,
        }
    }

    /// Returns whether a blob or content was not there, in a store that could be asked. Listing again may
    /// then help.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::NoContent { .. })
    }

    /// Returns the same once more if a read failed that may succeed later, or once rights were given: for
    /// reads of the same blob that are not tried, as they would only take as long to fail.
    pub fn repeated(&self) -> Option<Self> {
        let Self::Read { blob, place, offset, source } = self else { return None };
        let again = matches!(self.kind(), ErrorKind::TryAgain | ErrorKind::NotAllowed);
        let (blob, place) = (blob.clone(), place.clone());
        again.then(|| Self::Read { blob, place, offset: *offset, source: repeat(source) })
    }

    /// Returns what a server said no with, if it was one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Read { source, .. }
            | Self::List { source, .. }
            | Self::Open { source, .. }
            | Self::NotServed { source, .. } => Failure::of(source),
            _ => None,
        }
    }

    pub(crate) fn not_found(blob: &BlobId, place: impl Into<String>) -> Self {
        Self::NotFound { blob: blob.clone(), place: place.into() }
    }
}

/// Returns an error of the system or of a server once more, with what the server said.
pub(crate) fn repeat(error: &io::Error) -> io::Error {
    match (Failure::of(error), error.raw_os_error()) {
        (Some(failure), _) => io::Error::new(error.kind(), failure.clone()),
        (None, Some(errno)) => io::Error::from_raw_os_error(errno),
        (None, None) => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Checks that a range lies within a blob of `length` bytes; `place` is called only if it does not.
pub(crate) fn check_range(
    blob: &BlobId,
    place: impl FnOnce() -> String,
    offset: u64,
    wanted: usize,
    length: u64,
) -> Result<()> {
    let wanted = wanted as u64;
    match offset.checked_add(wanted) {
        Some(end) if end <= length => Ok(()),
        _ => Err(Error::Short { blob: blob.clone(), place: place(), offset, wanted, length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_store_that_could_be_asked_says_that_a_blob_is_not_there() {
        let blob = BlobId::new("p1").unwrap();
        let place = || "store".to_string();
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let errors = [
            (Error::not_found(&blob, place()), ErrorKind::NotFound, true),
            (Error::Open { place: place(), source: gone() }, ErrorKind::NotFound, false),
            (Error::List { place: place(), source: gone() }, ErrorKind::NotFound, false),
            (
                Error::List { place: place(), source: io::ErrorKind::TimedOut.into() },
                ErrorKind::TryAgain,
                false,
            ),
            (check_range(&blob, place, 1, 2, 2).unwrap_err(), ErrorKind::Broken, false),
            (Error::TooLarge { blob: blob.clone(), place: place(), length: 3 }, ErrorKind::Broken, false),
            (Error::UnsupportedBackend { name: "S3".into() }, ErrorKind::Location, false),
        ];
        for (error, kind, not_found) in errors {
            assert_eq!((error.kind(), error.is_not_found()), (kind, not_found), "{error:?}");
        }
    }

    #[test]
    fn a_failed_read_is_told_again_where_it_may_succeed_later() {
        let read = |source| {
            let blob = BlobId::new("p1").unwrap();
            Error::Read { blob, place: "store".into(), offset: 7, source }
        };
        let refused = crate::Failure::Refused { host: "h".into() };
        for source in [
            io::ErrorKind::TimedOut.into(),
            io::Error::from_raw_os_error(rustix::io::Errno::ACCESS.raw_os_error()),
            refused.into(),
        ] {
            let error = read(source);
            let again = error.repeated().unwrap();
            assert_eq!((again.kind(), again.to_string()), (error.kind(), error.to_string()));
            assert_eq!(again.failure(), error.failure());
        }
        assert!(read(io::Error::other("a disk that is broken")).repeated().is_none());
        assert!(Error::not_found(&BlobId::new("p1").unwrap(), "store").repeated().is_none());
    }
}
