//! Classes of what happened to single entries.

use kopia_repository::Defect;
use kopia_restore::{NotDeleted, Reason};

use super::Class;

impl Class {
    /// Classifies what is wrong with an entry of a snapshot itself.
    pub fn of_defect(defect: &Defect) -> Self {
        match defect {
            Defect::Unreadable(error) => Self::of(error),
            // Only the word is left of why a content could not be read.
            Defect::Damaged { word, .. } => match *word {
                "blob_not_permitted" => Self::PermissionDenied,
                "store_unavailable" | "index_unconfirmed" => Self::Unavailable,
                "archived_blob" => Self::Archived,
                "unsupported" => Self::Unsupported,
                _ => Self::Damaged,
            },
            Defect::ContainsItself
            | Defect::NoPieces
            | Defect::Length { .. }
            | Defect::ContentLength { .. } => Self::Damaged,
            // Names and links that no system takes, and what is beyond a limit.
            _ => Self::Unsupported,
        }
    }

    /// Classifies why an entry is missing, doubled or incomplete, or could not be deleted.
    ///
    /// What is in the way in the target, or was left there as an option wants it, is [`Self::Other`]: the
    /// [word](Reason::word) of the reason says which it is.
    pub fn of_reason(reason: &Reason) -> Self {
        match reason {
            Reason::Defect(defect) => Self::of_defect(defect),
            Reason::Mixed { reason, .. } | Reason::Lost { reason, .. } => Self::of_reason(reason),
            Reason::ReadsDifferent | Reason::BeyondSize { .. } => Self::Damaged,
            Reason::NameTaken { .. } | Reason::KeptName | Reason::Unfit { .. } => Self::Unsupported,
            Reason::NotPermitted(_) => Self::PermissionDenied,
            Reason::NoSpace(_) => Self::Full,
            Reason::System(failed) => Self::of_io(&failed.error),
            Reason::NotDeleted(NotDeleted::Failed(error) | NotDeleted::Unlisted(error)) => Self::of_io(error),
            _ => Self::Other,
        }
    }
}
