//! What a degraded repository cannot read: gathered by threads, kept as data.

use std::fmt;
use std::sync::{Arc, Mutex};

use kopia_format::BlobId;

use crate::lock::{into_inner, lock};
use crate::{Error, Result};

/// A part of the indexes that could not be read when a damaged repository was opened.
///
/// All but [`MissingEpochs`](Self::MissingEpochs) make opening fail, or are left out in silence as kopia
/// does, unless it is degraded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Unreadable {
    /// There is no index blob at all.
    NoIndexBlobs,
    /// An index blob.
    IndexBlob(BlobId, Arc<Error>),
    /// An index blob that counts only together with others, which are missing.
    IncompleteSet(BlobId),
    /// All index blobs of the epochs from the first number to the second.
    MissingEpochs(u64, u64),
    /// A log of compactions, which says which index blobs count.
    CompactionLog(BlobId, Arc<Error>),
    /// A pack, which therefore does not say what it holds.
    Pack(BlobId, Arc<Error>),
    /// The list of all packs whose names begin with this letter.
    PackList(char, Arc<Error>),
}

impl Unreadable {
    /// Returns the word that stands for it in machine-readable output.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoIndexBlobs => "no_index_blobs",
            Self::IndexBlob(..) => "index_blob",
            Self::IncompleteSet(_) => "incomplete_set",
            Self::MissingEpochs(..) => "missing_epochs",
            Self::CompactionLog(..) => "compaction_log",
            Self::Pack(..) => "pack",
            Self::PackList(..) => "pack_list",
        }
    }

    /// Returns the blob that cannot be read, if it is one.
    pub fn blob_id(&self) -> Option<&BlobId> {
        match self {
            Self::NoIndexBlobs | Self::MissingEpochs(..) | Self::PackList(..) => None,
            Self::IndexBlob(blob, _)
            | Self::IncompleteSet(blob)
            | Self::CompactionLog(blob, _)
            | Self::Pack(blob, _) => Some(blob),
        }
    }

    /// Returns why it cannot be read, if that is more than that something is missing.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Self::NoIndexBlobs | Self::IncompleteSet(_) | Self::MissingEpochs(..) => None,
            Self::IndexBlob(_, error)
            | Self::CompactionLog(_, error)
            | Self::Pack(_, error)
            | Self::PackList(_, error) => Some(error),
        }
    }

    /// Returns whether it is a pack: what indexes say is complete without it.
    fn is_of_packs(&self) -> bool {
        matches!(self, Self::Pack(..) | Self::PackList(..))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIndexBlobs => f.write_str("all index blobs: there is none"),
            Self::IndexBlob(blob, error) => write!(f, "index blob {blob}: {error}"),
            Self::IncompleteSet(blob) => write!(f, "index blob {blob}: others of its set are missing"),
            Self::MissingEpochs(first, last) if first == last => {
                write!(f, "all index blobs of epoch {first}: there is none")
            }
            Self::MissingEpochs(first, last) => {
                write!(f, "all index blobs of epochs {first} to {last}: there is none")
            }
            Self::CompactionLog(blob, error) => write!(f, "compaction log {blob}: {error}"),
            Self::Pack(blob, error) => write!(f, "pack {blob} does not say what it holds: {error}"),
            Self::PackList(prefix, error) => {
                write!(f, "all packs whose names begin with {prefix}: {error}")
            }
        }
    }
}

/// Gathers what threads cannot read.
#[derive(Debug)]
pub(crate) struct UnreadableLog {
    /// Whether a blob that is listed and not there is lost: it may have been removed in between.
    vanished: bool,
    found: Mutex<Vec<Unreadable>>,
}

/// What could not be read, sorted: parts of the indexes, then packs.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnreadableParts {
    pub(crate) all: Vec<Unreadable>,
    /// How many are no packs.
    pub(crate) of_indexes: usize,
}

impl UnreadableParts {
    /// Returns whether a blob is missing that the indexes need.
    pub(crate) fn lacks(&self, blob: &BlobId) -> bool {
        self.all[..self.of_indexes].iter().any(|part| part.blob_id() == Some(blob))
    }

    /// Returns whether epochs have no index blobs.
    pub(super) fn lacks_epochs(&self) -> bool {
        self.all.iter().any(|part| matches!(part, Unreadable::MissingEpochs(..)))
    }
}

impl UnreadableLog {
    pub(super) fn new(vanished: bool) -> Self {
        Self { vanished, found: Mutex::default() }
    }

    pub(super) fn add(&self, part: Unreadable) {
        lock(&self.found).push(part);
    }

    /// Adds what an error made unreadable, unless listing again may help: then it returns the error.
    pub(super) fn take(&self, error: Error, part: impl FnOnce(Arc<Error>) -> Unreadable) -> Result<()> {
        match error {
            Error::Storage(ref missing) if missing.is_not_found() && !self.vanished => Err(error),
            error => {
                self.add(part(Arc::new(error)));
                Ok(())
            }
        }
    }

    pub(super) fn into_sorted(self) -> UnreadableParts {
        let mut all = into_inner(self.found);
        all.sort_by_cached_key(|part| (part.is_of_packs(), part.to_string()));
        UnreadableParts { of_indexes: all.iter().filter(|part| !part.is_of_packs()).count(), all }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_blob_that_vanished_is_lost_once_listing_again_does_not_help_and_a_damaged_one_at_once() {
        let blob: BlobId = "xn0_1".parse().unwrap();
        let vanished = || kopia_storage::Error::NotFound { blob: blob.clone(), place: String::new() };
        let damaged = || kopia_storage::Error::Read {
            blob: blob.clone(),
            place: String::new(),
            offset: 0,
            source: io::Error::other("a bad sector"),
        };
        let taken = |is_lost, error: kopia_storage::Error| {
            let log = UnreadableLog::new(is_lost);
            let taken = log.take(error.into(), |error| Unreadable::IndexBlob(blob.clone(), error));
            (taken.is_ok(), log.into_sorted().of_indexes)
        };
        assert_eq!(taken(false, vanished()), (false, 0));
        assert_eq!(taken(true, vanished()), (true, 1));
        assert_eq!(taken(false, damaged()), (true, 1));
    }
}
