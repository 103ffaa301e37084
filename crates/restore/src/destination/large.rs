//! Where the pieces of a large file are written, and where they may be already.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The files that are open for one large file.
#[derive(Debug)]
pub(crate) enum Handle {
    /// Nothing was looked at or written yet.
    New,
    /// There is nothing to compare with, and nothing was written yet.
    Nothing,
    /// A new file of the staging tree.
    Made(OwnedFd),
    /// A file of the staging tree that had bytes before this restore wrote any: an interrupted restore left
    /// it, or it shares those of the target's own file.
    Filled {
        file: OwnedFd,
        old: Option<OwnedFd>,
    },
    /// The target's own file, changed where it differs.
    InPlace(OwnedFd),
    /// The target's own file, which may turn out to be right as it is.
    Old(OwnedFd),
    /// A new file, because the target's own one differs.
    Replacing {
        file: OwnedFd,
        old: OwnedFd,
    },
    Failed(io::Error),
}

impl Handle {
    /// Returns what pieces can be compared with.
    pub(crate) fn reading(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Filled { file, .. } | Self::InPlace(file) | Self::Old(file) => Some(file.as_fd()),
            Self::Replacing { old, .. } => Some(old.as_fd()),
            Self::New | Self::Nothing | Self::Made(_) | Self::Failed(_) => None,
        }
    }

    /// Returns where pieces are written.
    pub(crate) fn writing(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Made(file) | Self::Filled { file, .. } | Self::InPlace(file) => Some(file.as_fd()),
            Self::Replacing { file, .. } => Some(file.as_fd()),
            Self::New | Self::Nothing | Self::Old(_) | Self::Failed(_) => None,
        }
    }

    /// Returns the file that pieces were written to, to be closed.
    pub(crate) fn into_writing(self) -> Option<OwnedFd> {
        match self {
            Self::Made(file) | Self::Filled { file, .. } | Self::InPlace(file) => Some(file),
            Self::Replacing { file, .. } => Some(file),
            Self::New | Self::Nothing | Self::Old(_) | Self::Failed(_) => None,
        }
    }

    /// Returns whether a piece that is right needs no writing.
    pub(crate) fn is_filled(&self) -> bool {
        matches!(self, Self::Filled { .. } | Self::InPlace(_))
    }

    /// Returns whether there is a file of ours in the staging tree.
    pub(crate) fn is_staged(&self) -> bool {
        matches!(self, Self::Made(_) | Self::Filled { .. } | Self::Replacing { .. })
    }
}
