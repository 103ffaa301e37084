//! What can go wrong in a repository, each with the thing it went wrong with.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use kopia_format::{BlobId, ContentId, ManifestId, ObjectId, Timestamp};
use kopia_storage::ErrorKind;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what could not be read, and why. What the user can do about it is the caller's to say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no `kopia.repository` at the place.
    #[error("{location} holds no Kopia repository: it has no blob kopia.repository")]
    NotARepository {
        /// Where it was looked for.
        location: String,
    },
    /// There is a `kopia.repository`, and nothing that a repository has from its first moment on: it was not
    /// copied, or not yet.
    #[error("the repository at {location} is incomplete: it holds no {lacks}")]
    Incomplete {
        /// Where the repository is.
        location: String,
        /// What is not there: `index blobs`, or more.
        lacks: &'static str,
    },
    /// The format blob does not open with the password.
    #[error(
        "the password does not open the repository at {location} (or its blob kopia.repository is damaged)"
    )]
    WrongPassword {
        /// Where the repository is.
        location: String,
    },
    /// An upgrade is under way, so that the layout may change at any moment.
    #[error("{owner} has been upgrading the repository since {}{}", instant(since), parenthesized(message))]
    Locked {
        /// Who upgrades it.
        owner: String,
        /// When that was announced.
        since: Timestamp,
        /// The copy of `kopia.repository` from before the upgrade, if there is one. As long as the upgrade
        /// has not ended, everything that was there before can be read by it.
        backup: Option<BlobId>,
        /// How many such copies there are, with those of earlier upgrades: a rollback takes the oldest of
        /// them.
        backups: usize,
        /// What the owner says.
        message: String,
    },
    /// The repository asks for something that is not known here.
    #[error("{place}: unsupported {what}: {found}")]
    Unsupported {
        /// The blob, content or manifest that asks for it.
        place: String,
        /// The kind of thing, such as `hash`.
        what: &'static str,
        /// What was found.
        found: String,
    },
    /// A blob is not what it should be.
    #[error("blob {blob} is corrupt: {why}")]
    CorruptBlob {
        /// The blob.
        blob: BlobId,
        /// What is wrong with it.
        why: String,
    },
    /// A content is not what it should be.
    #[error("content {content} is corrupt: {why} (blob {blob}, offset {offset}, {length} bytes)")]
    CorruptContent {
        /// The content.
        content: ContentId,
        /// The pack it lies in; where contents do not come from packs, a name made from its id.
        blob: BlobId,
        /// Where it begins there, in bytes.
        offset: u64,
        /// How many bytes it has there.
        length: u64,
        /// What is wrong with it.
        why: String,
    },
    /// No index knows a content.
    #[error("content {content} is in no index")]
    ContentNotFound {
        /// The content.
        content: ContentId,
    },
    /// No index that was read knows a content, and others may have been written since: they could not be
    /// listed again.
    #[error(
        "content {content} is in no index that was read, and index blobs cannot be listed again: {source}"
    )]
    Unconfirmed {
        /// The content.
        content: ContentId,
        /// Why they could not be listed.
        source: Arc<Error>,
    },
    /// An object's contents are there, but do not make the object.
    #[error("object {object} is corrupt: {why}")]
    CorruptObject {
        /// The object.
        object: ObjectId,
        /// What is wrong with it.
        why: String,
    },
    /// A snapshot's manifest is not what it should be.
    #[error("snapshot {id} is corrupt: {why}")]
    CorruptSnapshot {
        /// The snapshot.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such snapshot, source or path.
    #[error("{what} not found")]
    NotFound {
        /// What was asked for, in words.
        what: String,
        /// What there is instead, such as the sources of the repository.
        candidates: Vec<String>,
    },
    /// Several things answer to the name.
    #[error("{what} is ambiguous")]
    Ambiguous {
        /// What was asked for, in words.
        what: String,
        /// The things that answer to it.
        candidates: Vec<String>,
    },
    /// A time or `incomplete` was given, but the name is an id, which leaves nothing to choose.
    #[error("{id} is an id, so neither a time nor `incomplete` can choose")]
    NothingToChoose {
        /// The id.
        id: String,
    },
    /// No pattern of what is to be taken matches anything.
    #[error("nothing matches {}", quoted(patterns))]
    NothingChosen {
        /// The patterns.
        patterns: Vec<String>,
    },
    /// A path leads through something that is no directory, or a directory was read as a file.
    #[error("{path} is not a {wanted}")]
    WrongKind {
        /// The path.
        path: String,
        /// What was wanted: `folder` or `file`.
        wanted: &'static str,
    },
    /// The system gives this process no thread.
    #[error("no thread can be started: {why}")]
    Threads {
        /// What the system said.
        why: String,
    },
    /// The merged index cannot be kept in a file, as [`Resources::index_directory`] wants it.
    ///
    /// [`Resources::index_directory`]: crate::Resources::index_directory
    #[error("the merged index cannot be kept in a file in {}: {source}", directory.display())]
    IndexFile {
        /// The directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] kopia_storage::Error),
}

impl Error {
    /// Returns what a caller may do about it where the store could not be read; `None` if another thing is
    /// wrong.
    pub fn storage_kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Storage(error) => Some(error.kind()),
            Self::Unconfirmed { source, .. } => source.storage_kind(),
            _ => None,
        }
    }

    /// Returns the word that stands for this error in machine-readable output.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotARepository { .. } => "not_a_repository",
            Self::Incomplete { .. } => "incomplete_repository",
            Self::WrongPassword { .. } => "wrong_password",
            Self::Locked { .. } => "locked",
            Self::Unsupported { .. } => "unsupported",
            Self::CorruptBlob { .. } => "corrupt_blob",
            Self::CorruptContent { .. } => "corrupt_content",
            Self::ContentNotFound { .. } => "not_in_index",
            Self::Unconfirmed { .. } => "index_unconfirmed",
            Self::CorruptObject { .. } => "corrupt_object",
            Self::CorruptSnapshot { .. } => "corrupt_snapshot",
            Self::NotFound { .. } => "not_found",
            Self::Ambiguous { .. } => "ambiguous",
            Self::NothingToChoose { .. } => "nothing_to_choose",
            Self::NothingChosen { .. } => "nothing_chosen",
            Self::WrongKind { .. } => "wrong_kind",
            Self::Threads { .. } => "no_threads",
            Self::IndexFile { .. } => "no_index_file",
            Self::Storage(kopia_storage::Error::Short { .. }) => "truncated_blob",
            Self::Storage(_) if self.cold_blob().is_some() => "archived_blob",
            Self::Storage(error) => match error.kind() {
                ErrorKind::NotFound => "missing_blob",
                ErrorKind::NotAllowed => "blob_not_permitted",
                ErrorKind::TryAgain => "store_unavailable",
                _ => "unreadable_blob",
            },
        }
    }

    /// Returns the content that the error is about, if it is about one.
    pub fn content_id(&self) -> Option<ContentId> {
        match self {
            Self::CorruptContent { content, .. }
            | Self::ContentNotFound { content }
            | Self::Unconfirmed { content, .. } => Some(*content),
            _ => None,
        }
    }

    /// Returns the blob that is missing or damaged, if the error is about one.
    pub fn blob_id(&self) -> Option<&BlobId> {
        use kopia_storage::Error as Store;
        match self {
            Self::CorruptBlob { blob, .. } | Self::CorruptContent { blob, .. } => Some(blob),
            Self::Storage(
                Store::NotFound { blob, .. }
                | Store::Read { blob, .. }
                | Store::Short { blob, .. }
                | Store::TooLarge { blob, .. },
            ) => Some(blob),
            _ => None,
        }
    }

    /// Returns where in that blob, in bytes, the damaged or unreadable range begins, if it is known.
    pub fn offset(&self) -> Option<u64> {
        use kopia_storage::Error as Store;
        match self {
            Self::CorruptContent { offset, .. }
            | Self::Storage(Store::Read { offset, .. } | Store::Short { offset, .. }) => Some(*offset),
            _ => None,
        }
    }

    /// Says that `blob` is corrupt or unsupported, as the format says.
    pub(crate) fn blob(blob: &BlobId, error: kopia_format::Error) -> Self {
        match error {
            kopia_format::Error::Unsupported { what, found } => {
                Self::Unsupported { place: format!("blob {blob}"), what, found }
            }
            error => Self::CorruptBlob { blob: blob.clone(), why: error.to_string() },
        }
    }

    /// Says that the manifest of a snapshot is corrupt, or larger than is read, as the format says.
    pub(crate) fn manifest(id: &ManifestId, error: kopia_format::Error) -> Self {
        match error {
            kopia_format::Error::Unsupported { what, found } => {
                Self::Unsupported { place: format!("manifest {id}"), what, found }
            }
            error => Self::CorruptSnapshot { id: id.to_string(), why: error.to_string() },
        }
    }

    /// Says that `object` is corrupt.
    pub(crate) fn object(object: ObjectId, why: impl ToString) -> Self {
        Self::CorruptObject { object, why: why.to_string() }
    }
}

/// Writes an instant as people read it.
fn instant(time: &Timestamp) -> String {
    time.to_string().replace('T', " ").replace('Z', " UTC")
}

/// Names a few patterns.
fn quoted(patterns: &[String]) -> String {
    let named: Vec<_> = patterns.iter().take(3).map(|pattern| format!("{pattern:?}")).collect();
    match patterns.len() - named.len() {
        0 => named.join(" or "),
        more => format!("{} or {more} other patterns", named.join(", ")),
    }
}

fn parenthesized(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

#[cfg(test)]
mod tests {
    use kopia_storage::Failure;

    use super::*;
    use crate::Defect;

    const CONTENT: &str = "k00000000000000000000000000000001";
    const PACK: &str = "q00000000000000000000000000000002";

    fn content() -> ContentId {
        CONTENT.parse().unwrap()
    }

    fn pack() -> BlobId {
        PACK.parse().unwrap()
    }

    fn unread(source: impl Into<io::Error>) -> Error {
        Error::Storage(kopia_storage::Error::Read {
            blob: pack(),
            place: "here".into(),
            offset: 5,
            source: source.into(),
        })
    }

    fn cold() -> io::Error {
        io::Error::new(io::ErrorKind::ResourceBusy, Failure::Cold { class: "GLACIER".into() })
    }

    /// The errors that are about a blob or a content.
    fn errors() -> [(Error, &'static str, Option<u64>); 10] {
        let (blob, place) = (pack(), String::from("here"));
        let short = kopia_storage::Error::Short {
            blob: pack(),
            place: place.clone(),
            offset: 5,
            wanted: 9,
            length: 7,
        };
        let corrupt = Error::CorruptContent {
            content: content(),
            blob: pack(),
            offset: 5,
            length: 9,
            why: String::new(),
        };
        [
            (corrupt, "corrupt_content", Some(5)),
            (Error::CorruptBlob { blob, why: String::new() }, "corrupt_blob", None),
            (Error::ContentNotFound { content: content() }, "not_in_index", None),
            (
                Error::Unconfirmed { content: content(), source: Arc::new(unread(cold())) },
                "index_unconfirmed",
                None,
            ),
            (Error::Storage(short), "truncated_blob", Some(5)),
            (Error::Storage(kopia_storage::Error::NotFound { blob: pack(), place }), "missing_blob", None),
            (unread(io::ErrorKind::PermissionDenied), "blob_not_permitted", Some(5)),
            (unread(io::ErrorKind::TimedOut), "store_unavailable", Some(5)),
            (unread(io::ErrorKind::InvalidData), "unreadable_blob", Some(5)),
            (unread(cold()), "archived_blob", Some(5)),
        ]
    }

    #[test]
    fn what_an_error_is_about_is_known_of_the_defect_as_well() {
        for (error, word, offset) in errors() {
            let has_content = matches!(word, "corrupt_content" | "not_in_index" | "index_unconfirmed");
            let has_blob = !matches!(word, "not_in_index" | "index_unconfirmed");
            let is_cold = word == "archived_blob";
            let (content, pack) = (has_content.then(content), has_blob.then(pack));
            assert_eq!((error.word(), error.content_id(), error.offset()), (word, content, offset));
            assert_eq!((error.blob_id(), error.cold_blob().is_some()), (pack.as_ref(), is_cold), "{word}");
            let defect = Defect::from(error);
            assert_eq!((defect.word(), defect.content_id(), defect.offset()), (word, content, offset));
            assert_eq!((defect.blob_id(), defect.cold_blob().is_some()), (pack.as_ref(), is_cold), "{word}");
        }
    }

    #[test]
    fn what_can_be_done_is_known_where_a_store_could_not_be_read() {
        let kinds: Vec<_> = errors().iter().map(|(error, ..)| error.storage_kind()).collect();
        let [broken, again] = [Some(ErrorKind::Broken), Some(ErrorKind::TryAgain)];
        let (absent, refused) = (Some(ErrorKind::NotFound), Some(ErrorKind::NotAllowed));
        assert_eq!(kinds, [None, None, None, again, broken, absent, refused, again, broken, again]);
    }
}
