//! Why an entry of a snapshot cannot be restored as it was backed up, wherever it is restored to.
//!
//! Verifying, listing and restoring all come to these conclusions; they stand here once, as data and as the
//! sentences that people read. This room reads nothing.

use std::fmt;
use std::sync::Arc;

use kopia_format::directory::Refused;
use kopia_format::{BlobId, ContentId};

use crate::Error;

/// Why an entry cannot be restored as it was backed up. Displayed, each reads as what is wrong with "the
/// entry".
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Defect {
    /// The repository cannot give its bytes; the error names the content, or the blob and the offset.
    Unreadable(Arc<Error>),
    /// It needs a content that was found damaged; [`verify::Report::damage`](crate::verify::Report::damage)
    /// says how.
    Damaged {
        /// The content.
        content: ContentId,
        /// The pack that it lies in.
        blob: BlobId,
        /// Where it begins there, in bytes.
        offset: u64,
        /// The word for what is wrong with the content, as of [`Error::word`].
        word: &'static str,
    },
    /// It has no place of its own: its name is none, or is that of another entry.
    Refused(Box<Refused>),
    /// It is a directory that contains itself.
    ContainsItself,
    /// Its directory is nested too deep.
    TooDeep {
        /// How deep directories may be nested.
        limit: usize,
    },
    /// It is one of more directories than are kept in memory until their turn comes.
    TooManyWaiting {
        /// How many directories may wait.
        limit: usize,
    },
    /// It is one of directories whose names are longer together than is kept in memory until their turn comes.
    LongWaiting {
        /// How many bytes the names of those that wait may have.
        limit: usize,
    },
    /// It is a directory with more entries than are kept in memory.
    TooManyEntries {
        /// How many bytes of memory they may take.
        limit: usize,
    },
    /// It is a symbolic link whose target no system takes for its length: it has more than 4,095 bytes, or more
    /// than one content.
    LongTarget,
    /// It is a symbolic link whose target no system takes: it is empty, or has a NUL byte.
    LinkTarget,
    /// Its path is too long for an archive of this kind.
    LongPath {
        /// How many bytes a path may have.
        limit: usize,
    },
    /// On Windows, where `\` divides names and `C:` is a drive, its path would lead out of the folder that an
    /// archive of this kind is unpacked in.
    LeadsOut,
    /// It has no pieces although its entry says that it has bytes.
    NoPieces,
    /// It has another length than its entry says.
    Length {
        /// How many bytes it has.
        found: u64,
        /// How many its entry says.
        stated: u64,
    },
    /// A content of it has another length than the list of its contents says.
    ContentLength {
        /// The content.
        content: ContentId,
        /// How many bytes it has.
        found: u64,
        /// How many the list says.
        stated: u64,
    },
}

/// The longest target that a symbolic link can have on Linux, in bytes.
const LONGEST_TARGET: usize = 4095;

impl Defect {
    /// Returns why no system takes a symbolic link whose target has so many bytes, if that is so.
    pub fn of_target_length(length: u64) -> Option<Self> {
        match length {
            0 => Some(Self::LinkTarget),
            _ if length > LONGEST_TARGET as u64 => Some(Self::LongTarget),
            _ => None,
        }
    }

    /// Returns why no system takes these bytes as the target of a symbolic link, if that is so.
    pub fn of_target(target: &[u8]) -> Option<Self> {
        let of_length = Self::of_target_length(target.len() as u64);
        of_length.or_else(|| target.contains(&0).then_some(Self::LinkTarget))
    }

    /// Returns the blob that has to be fetched from an archive first, if that is all that is wrong.
    pub fn cold_blob(&self) -> Option<&BlobId> {
        match self {
            Self::Unreadable(error) => error.cold_blob(),
            _ => None,
        }
    }

    /// Returns the word that stands for this defect in machine-readable output.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable(error) => error.word(),
            Self::Damaged { word, .. } => word,
            Self::Refused(refused) => refused.why.word(),
            Self::ContainsItself => "contains_itself",
            Self::TooDeep { .. } => "too_deep",
            Self::TooManyWaiting { .. } | Self::LongWaiting { .. } => "too_many_waiting",
            Self::TooManyEntries { .. } => "too_many_entries",
            Self::LongTarget => "long_link_target",
            Self::LinkTarget => "bad_link_target",
            Self::LongPath { .. } => "long_path",
            Self::LeadsOut => "leads_out",
            Self::NoPieces => "no_pieces",
            Self::Length { .. } => "wrong_length",
            Self::ContentLength { .. } => "wrong_content_length",
        }
    }

    /// Returns the content that is missing or damaged, if it is known.
    pub fn content_id(&self) -> Option<ContentId> {
        match self {
            Self::Unreadable(error) => error.content_id(),
            Self::Damaged { content, .. } | Self::ContentLength { content, .. } => Some(*content),
            _ => None,
        }
    }

    /// Returns the blob that is missing or damaged, if it is known.
    pub fn blob_id(&self) -> Option<&BlobId> {
        match self {
            Self::Unreadable(error) => error.blob_id(),
            Self::Damaged { blob, .. } => Some(blob),
            _ => None,
        }
    }

    /// Returns where in the blob the damaged bytes begin, if it is known.
    pub fn offset(&self) -> Option<u64> {
        match self {
            Self::Unreadable(error) => error.offset(),
            Self::Damaged { offset, .. } => Some(*offset),
            _ => None,
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write_chain(f, error),
            Self::Damaged { content, blob, offset, .. } => {
                write!(f, "content {content} in pack {blob} at {offset} cannot be read")
            }
            Self::Refused(refused) => f.write_str(&refused.reason()),
            Self::ContainsItself => f.write_str("the folder contains itself"),
            Self::TooDeep { limit } => write!(f, "folders are nested more than {limit} deep"),
            Self::TooManyWaiting { limit } => {
                write!(f, "more than {limit} folders are still to be read; name this one by itself")
            }
            Self::LongWaiting { limit } => {
                write!(
                    f,
                    "names of folders still to be read have more than {limit} bytes; name this one by itself"
                )
            }
            Self::TooManyEntries { limit } => {
                write!(f, "the folder has entries that take more than {limit} bytes of memory")
            }
            Self::LongTarget => f.write_str("it is a link whose target is too long"),
            Self::LinkTarget => f.write_str("it is a link whose target is empty or has a NUL byte"),
            Self::LongPath { limit } => write!(f, "its path has more than {limit} bytes"),
            Self::LeadsOut => f.write_str(
                "its path would lead out of the folder that a zip is unpacked in on Windows; a tar can hold it",
            ),
            Self::NoPieces => f.write_str("it has no pieces"),
            Self::Length { found, stated } => write!(f, "it has {found} bytes, its entry says {stated}"),
            Self::ContentLength { content, found, stated } => {
                write!(f, "content {content} has {found} bytes, its list says {stated}")
            }
        }
    }
}

/// Writes an error and its sources: what the system said to a store, for example that a permission is
/// missing.
pub(crate) fn write_chain(f: &mut fmt::Formatter<'_>, error: &Error) -> fmt::Result {
    write!(f, "{error}")?;
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        write!(f, ": {cause}")?;
        source = cause.source();
    }
    Ok(())
}

impl From<Error> for Defect {
    fn from(error: Error) -> Self {
        Self::Unreadable(Arc::new(error))
    }
}

impl From<Refused> for Defect {
    fn from(refused: Refused) -> Self {
        Self::Refused(Box::new(refused))
    }
}
