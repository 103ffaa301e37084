//! What happens to a file or link that the target has already.

use kopia_repository::Entry;
use rustix::fs::{FileType, Stat};

use super::file_type;
use crate::destination::is_directory;
use crate::destination::leftover::Leftover;
use crate::destination::metadata::keep::{Creator, found_as_settable};
use crate::destination::metadata::{Attributes, has_time};
use crate::{Existing, Options};

/// Where the bytes of a file or link may be already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Candidates {
    /// What is to be done about what the target has, if it has something.
    pub(crate) existing: Option<ExistingPolicy>,
    /// What an interrupted restore left in the staging tree.
    pub(crate) left: Leftover,
    /// The bytes that are freed when what the target has is replaced.
    ///
    /// Nothing if that is a directory, or there is nothing.
    pub(crate) frees: Option<u64>,
    /// Whether what the target has was changed in place already, when it was tried before.
    pub(crate) mixed: bool,
}

impl Candidates {
    /// Decides about a file or link, from what the target has in its place.
    pub(crate) fn of(found: Option<&Stat>, entry: &Entry, options: &Options, creator: Creator) -> Self {
        Self {
            existing: found.map(|stat| ExistingPolicy::decide(stat, entry, options, creator)),
            left: Leftover::Nothing,
            frees: found.filter(|stat| !is_directory(stat)).map(freed_bytes),
            mixed: false,
        }
    }

    /// Returns whether there is nothing that could spare work.
    pub(crate) fn is_nothing(self) -> bool {
        self.left != Leftover::Usable && matches!(self.existing, None | Some(ExistingPolicy::Replace))
    }
}

/// What happens to a file or link that the target has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExistingPolicy {
    /// Nothing there helps: what is restored goes to its place, whatever is in it.
    Replace,
    /// It may have the right bytes, so it is read.
    Compare,
    /// It is taken for right by its size, time and attributes.
    Trust {
        /// Whether it has another owner than the snapshot's, because no other can be set.
        owner: bool,
    },
    /// It is not to be replaced.
    Refuse,
}

impl ExistingPolicy {
    fn decide(found: &Stat, entry: &Entry, options: &Options, creator: Creator) -> Self {
        let attributes = Attributes::from(entry);
        let kind = FileType::from_raw_mode(found.st_mode);
        let wanted = file_type(entry.kind());
        match options.existing {
            Existing::Error => Self::Refuse,
            // What has other names is not ours to change, not even its owner and time.
            _ if kind != wanted || found.st_nlink != 1 => Self::Replace,
            Existing::Skip
                if kind == FileType::RegularFile
                    && u64::try_from(found.st_size) == Ok(entry.size())
                    && has_time(found, &attributes) =>
            {
                // Where something else is to be put right, it is opened anyway.
                found_as_settable(found, &attributes, creator)
                    .map_or(Self::Compare, |owner| Self::Trust { owner: !owner })
            }
            Existing::Verify | Existing::Skip => Self::Compare,
            Existing::Overwrite if options.in_place => Self::Compare,
            Existing::Overwrite => Self::Replace,
        }
    }
}

/// Returns the bytes that are freed when an entry is replaced: none as long as it has other names.
pub(crate) fn freed_bytes(stat: &Stat) -> u64 {
    // Blocks of 512 bytes, whatever the file system's unit is.
    let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    if stat.st_nlink > 1 { 0 } else { bytes }
}
