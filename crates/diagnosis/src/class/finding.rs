//! Classes of what was found.

use super::Class;
use crate::Finding;

impl Finding {
    /// Returns the class of what fails because of it; of a [note](crate::Weight::Note), of what may fail.
    pub fn class(&self) -> Class {
        match self {
            Self::Elsewhere { .. }
            | Self::Missing { .. }
            | Self::NotADirectory { .. }
            | Self::NotMounted { .. }
            | Self::EmptyMount { .. }
            | Self::Cache { .. }
            | Self::NoRepository { .. }
            | Self::ElsewhereInStore { .. }
            | Self::NothingInStore { .. }
            | Self::Velero { .. }
            | Self::NotThereYet { .. }
            | Self::ServerShowsNothing { .. }
            | Self::NoSnapshot { .. } => Class::NotFound,
            Self::FormatBlobMissing { .. }
            | Self::FormatBlobDamaged { .. }
            | Self::Losses { .. }
            | Self::UnindexedPacks { .. }
            | Self::MissingPacks { .. } => Class::Damaged,
            Self::Refused(_) | Self::TargetRefused(_) | Self::ReadOnlyTarget { .. } => {
                Class::PermissionDenied
            }
            Self::WrongPassword { .. } | Self::NoPassword => Class::AuthFailure,
            // Servers refuse requests whose time is not theirs.
            Self::ClockSkew { .. } => Class::AccessDenied,
            Self::NoSpace { .. } | Self::NoFiles { .. } => Class::Full,
            Self::LosesAttributes { .. } | Self::FoldsNames { .. } | Self::UnfitEntries { .. } => {
                Class::Unsupported
            }
            Self::Failed { class, .. } => *class,
        }
    }
}
