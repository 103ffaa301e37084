//! Reasons that lie with the target: what the system refused, what its file system cannot hold, what stays
//! undeleted.

use std::fmt;
use std::io;
use std::sync::Arc;

/// What was to be done when the system failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Making or writing an entry.
    Write,
    /// Moving it to its place.
    Move,
    /// Setting its owner, permissions or times.
    SetAttributes,
}

impl Operation {
    /// Returns the word that stands for it in machine-readable output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Move => "move",
            Self::SetAttributes => "set_attributes",
        }
    }
}

/// What the system said when it was asked for something.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SystemError {
    /// What it was asked for.
    pub operation: Operation,
    /// What it said.
    pub error: Arc<io::Error>,
}

impl SystemError {
    /// Returns the system's error number, if it gave one.
    pub fn errno(&self) -> Option<i32> {
        self.error.raw_os_error()
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// What of an entry a file system cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unfit {
    /// Its name, for its characters.
    Name,
    /// Its name, for its length.
    NameLength,
    /// A symbolic link.
    Symlink,
    /// What a symbolic link leads to, for its length.
    LinkLength,
    /// A file of its size.
    Size,
}

impl Unfit {
    /// Returns the word that stands for it in machine-readable output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "unfit_name",
            Self::NameLength => "unfit_name_length",
            Self::Symlink => "unfit_symlink",
            Self::LinkLength => "unfit_link_length",
            Self::Size => "unfit_size",
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the target's file system does not take this name",
            Self::NameLength => "the target's file system does not take a name of this length",
            Self::Symlink => "the target's file system takes no symbolic links",
            Self::LinkLength => "the target's file system takes no symbolic link to a path of this length",
            Self::Size => "the target's file system takes no file of this size",
        })
    }
}

/// Why something that the snapshot does not have was not deleted from the target.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NotDeleted {
    /// The system failed.
    Failed(Arc<io::Error>),
    /// The directory cannot be listed.
    Unlisted(Arc<io::Error>),
    /// Another directory took its place while the restore ran.
    Replaced,
    /// The file system takes one of the directory's names for another, so nobody knows which are the
    /// snapshot's.
    NamesClash,
    /// The backup of the directory did not come to its end.
    IncompleteBackup,
    /// The backup could not read entries of the directory and does not name them.
    UnnamedErrors,
    /// The backup could not read it.
    UnreadInBackup,
    /// The snapshot has only a stub of it, or a file by the name of one that cannot be read.
    OnlyStub,
    /// Its name is not UTF-8, and the snapshot has it with U+FFFD (�) in place of bytes.
    InexactName,
}

impl NotDeleted {
    /// Returns the word that stands for it in machine-readable output.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Failed(_) => "not_deleted",
            Self::Unlisted(_) => "not_listed",
            Self::Replaced => "replaced",
            Self::NamesClash => "names_clash",
            Self::IncompleteBackup => "incomplete_backup",
            Self::UnnamedErrors => "unnamed_errors",
            Self::UnreadInBackup => "unread_in_backup",
            Self::OnlyStub => "only_stub",
            Self::InexactName => "inexact_name",
        }
    }

    pub(crate) fn failed(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl fmt::Display for NotDeleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => {
                write!(f, "the snapshot does not have it, but it cannot be deleted: {error}")
            }
            Self::Unlisted(error) => {
                write!(f, "the target's folder cannot be listed, so nothing is deleted in it: {error}")
            }
            Self::Replaced => {
                f.write_str("the folder was replaced while the restore ran, so nothing is deleted in it")
            }
            Self::NamesClash => {
                f.write_str("the file system takes one of its names for another, so nothing is deleted in it")
            }
            Self::IncompleteBackup => {
                f.write_str("its backup did not come to its end, so nothing is deleted in it")
            }
            Self::UnnamedErrors => f.write_str(
                "the backup could not read entries that it does not name, so nothing is deleted in it",
            ),
            Self::UnreadInBackup => f.write_str("the backup could not read it, so it is not deleted"),
            Self::OnlyStub => f.write_str("the snapshot has only a stub of it, so it is not deleted"),
            Self::InexactName => f.write_str(
                "the snapshot has it with \u{fffd} in place of bytes of its name, so it is not deleted",
            ),
        }
    }
}
