//! Why a session ends, as far as the caller has to know.

use crate::Picked;

/// Why a session was left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Leave {
    /// The person has seen enough.
    Quit,
    /// As [`Self::Quit`], by ^C.
    Interrupt,
    /// These are to be restored into a folder.
    Restore {
        /// What to restore.
        picked: Vec<Picked>,
        /// The folder, as it was typed.
        target: String,
    },
    /// These are to be written to an archive.
    Export {
        /// What to write.
        picked: Vec<Picked>,
        /// The archive, as it was typed.
        file: String,
    },
}
