//! What happened to an entry: one reason for each that is missing, doubled, incomplete or could not be
//! deleted.
//!
//! Programs match on it; `Display` writes the sentences that people read, and [`Reason::word`] the words of
//! JSON.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use kopia_format::directory::Refused;
use kopia_repository::Defect;
use kopia_repository::tree::Clash;
use rustix::io::Errno;

use crate::destination::folding::differ_in_form;

mod target;

pub use target::{NotDeleted, Operation, SystemError, Unfit};

/// The entry that is restored instead of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameHolder {
    /// Its name.
    pub name: Box<str>,
    /// Whether the names look the same.
    ///
    /// They differ in nothing but their Unicode normalization form (NFC, NFD).
    pub looks_same: bool,
}

/// Why an entry is missing, doubled or incomplete, or could not be deleted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Reason {
    /// It cannot be restored as it was backed up, wherever it is restored to.
    Defect(Defect),
    /// The target has it already, and [`Existing::Error`](crate::Existing::Error) leaves that alone.
    Exists,
    /// What is in the place of a directory is as new or newer, and [`Options::newer`](crate::Options::newer)
    /// leaves that alone.
    NotNewer,
    /// A directory with something in it is in its place.
    NotEmpty,
    /// Another file system or a subvolume is mounted in its place.
    Mounted,
    /// It would have to be moved to another file system.
    OtherFileSystem,
    /// Another directory took its place while the restore ran.
    Replaced,
    /// So many entries of it were gone from the unfinished directory before they could be moved.
    Vanished(u64),
    /// No shard wrote it.
    NotWritten,
    /// It was to be changed in place, and has bytes of the snapshot beside older ones.
    Mixed {
        /// Why the rest could not be written.
        reason: Box<Reason>,
        /// How many of its bytes are the snapshot's.
        written: u64,
        /// How many bytes the snapshot's file has.
        size: u64,
    },
    /// Some of its bytes cannot be had, and the rest is on the device that it is restored to.
    Lost {
        /// Why they cannot be had.
        reason: Box<Reason>,
        /// Which of its bytes.
        range: Range<u64>,
        /// Whether the device has zeros there now; otherwise it has what it had before.
        zeroed: bool,
    },
    /// What the device has after it was written is something else.
    ReadsDifferent,
    /// After the size that its backup states there are other bytes than the zeros that fill it up.
    BeyondSize {
        /// How many bytes its backup states.
        size: u64,
    },
    /// The target's file system takes its name for that of another entry.
    ///
    /// Case-insensitive ones do, and those in which the Unicode normalization form makes no difference.
    NameTaken {
        /// The entry that is restored instead, if it is known.
        by: Option<NameHolder>,
    },
    /// It has the name of the folders that keep what restores replaced. What is in one is trusted by
    /// [`KeptFolder::undo`](crate::KeptFolder::undo), so none comes from a snapshot.
    KeptName,
    /// The target's file system cannot hold it.
    Unfit {
        /// What of it does not fit.
        what: Unfit,
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// The system does not permit it (EACCES, EPERM).
    NotPermitted(SystemError),
    /// There is no room for it (ENOSPC, EDQUOT).
    NoSpace(SystemError),
    /// The system failed in another way.
    System(SystemError),
    /// The snapshot does not have it, and it was left in the target.
    NotDeleted(NotDeleted),
}

impl Reason {
    /// Returns the reason for an error of the system.
    pub(crate) fn of(operation: Operation, error: io::Error) -> Self {
        let errno = Errno::from_io_error(&error);
        let failed = SystemError { operation, error: error.into() };
        match errno {
            Some(Errno::ACCESS | Errno::PERM) => Self::NotPermitted(failed),
            Some(Errno::NOSPC | Errno::DQUOT) => Self::NoSpace(failed),
            _ => Self::System(failed),
        }
    }

    /// Returns the reason for an entry whose name is taken for that of another one.
    pub(crate) fn name_taken(clash: &Clash) -> Self {
        let (name, looks_same) = (clash.other.clone(), differ_in_form(clash.entry.name(), &clash.other));
        Self::NameTaken { by: Some(NameHolder { name, looks_same }) }
    }

    /// Returns the word that stands for this reason in machine-readable output.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Defect(defect) => defect.word(),
            Self::Exists => "exists",
            Self::NotNewer => "not_newer",
            Self::NotEmpty => "not_empty",
            Self::Mounted => "mounted",
            Self::OtherFileSystem => "other_file_system",
            Self::Replaced => "replaced",
            Self::Vanished(_) => "vanished",
            Self::NotWritten => "not_written",
            Self::Mixed { .. } => "mixed",
            Self::Lost { reason, .. } => reason.word(),
            Self::ReadsDifferent => "reads_different",
            Self::BeyondSize { .. } => "beyond_size",
            Self::NameTaken { .. } => "name_taken",
            Self::KeptName => "kept_name",
            Self::Unfit { what, .. } => what.word(),
            Self::NotPermitted(_) => "not_permitted",
            Self::NoSpace(_) => "no_space",
            Self::System(_) => "system_error",
            Self::NotDeleted(why) => why.word(),
        }
    }

    /// Returns what is wrong with the entry itself, if that is the reason.
    pub fn defect(&self) -> Option<&Defect> {
        match self {
            Self::Defect(defect) => Some(defect),
            Self::Mixed { reason, .. } | Self::Lost { reason, .. } => reason.defect(),
            _ => None,
        }
    }

    /// Returns what the system said, if it was asked for something that failed.
    pub fn system_error(&self) -> Option<&SystemError> {
        match self {
            Self::NotPermitted(failed) | Self::NoSpace(failed) | Self::System(failed) => Some(failed),
            Self::Mixed { reason, .. } | Self::Lost { reason, .. } => reason.system_error(),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TAKEN: &str = "the target's file system takes its name for that of";
        match self {
            Self::Defect(defect) => defect.fmt(f),
            Self::Exists => f.write_str("it exists already"),
            Self::NotNewer => f.write_str("a file or link that is as new or newer is in its place"),
            Self::NotEmpty => f.write_str("a folder with something in it is in the way"),
            Self::Mounted => {
                f.write_str("another file system or volume lies there; restore this folder into it by itself")
            }
            Self::OtherFileSystem => f.write_str("the folder lies on another file system than the target"),
            Self::Replaced => f.write_str("the folder was replaced while the restore ran"),
            Self::Vanished(lost) => {
                write!(
                    f,
                    "{lost} of its entries vanished from the unfinished folder before they could be moved"
                )
            }
            Self::NotWritten => f.write_str("no shard has written it"),
            Self::Mixed { reason, written, size } => write!(
                f,
                "{reason}; the file was changed in place: {written} of its {size} bytes are the snapshot's, \
                 the others \
                 are older"
            ),
            Self::Lost { reason, range, zeroed } => {
                let now = if *zeroed { "are zeros now" } else { "are what they were before" };
                write!(f, "{reason}; bytes {} to {} of the device {now}", range.start, range.end)
            }
            Self::ReadsDifferent => f.write_str("the device gives back other bytes than were written"),
            Self::BeyondSize { size } => {
                write!(f, "it goes on after the {size} bytes that its backup states")
            }
            Self::NameTaken { by: None } => write!(f, "{TAKEN} another entry"),
            Self::NameTaken { by: Some(NameHolder { name, looks_same: false }) } => {
                write!(f, "{TAKEN} {name:?}, which is restored in its stead")
            }
            Self::NameTaken { by: Some(NameHolder { name, looks_same: true }) } => write!(
                f,
                "{TAKEN} {name:?} in another Unicode normalization form, which looks the same and is restored \
                 in its stead"
            ),
            Self::KeptName => f.write_str("its name is that of folders that keep what restores replaced"),
            Self::Unfit { what, error } => write!(f, "{what} ({error})"),
            Self::NotPermitted(failed) | Self::NoSpace(failed) | Self::System(failed) => failed.fmt(f),
            Self::NotDeleted(why) => why.fmt(f),
        }
    }
}

impl From<Defect> for Reason {
    fn from(defect: Defect) -> Self {
        Self::Defect(defect)
    }
}

impl From<kopia_repository::Error> for Reason {
    fn from(error: kopia_repository::Error) -> Self {
        Self::Defect(error.into())
    }
}

impl From<Refused> for Reason {
    fn from(refused: Refused) -> Self {
        Self::Defect(refused.into())
    }
}

impl From<NotDeleted> for Reason {
    fn from(why: NotDeleted) -> Self {
        Self::NotDeleted(why)
    }
}

/// What fails while an entry is written, which is nearly all that a restore asks of the system.
impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self::of(Operation::Write, error)
    }
}

#[cfg(test)]
mod tests;
