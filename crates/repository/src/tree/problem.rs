//! Entries that a walk does not visit as what they are, and why.

use kopia_format::ObjectId;
use kopia_format::directory::{Refusal, Refused};

use crate::{Defect, Entry};

/// An entry that a walk leaves out.
#[derive(Debug)]
pub enum Problem {
    /// It has no place of its own in its directory: its name is refused, or that of another entry.
    Refused(Refused),
    /// Its name is taken for that of another entry, where the walk folds names.
    Clash(Clash),
    /// It is a directory that would be merged into another one, where the walk folds names.
    NotMerged {
        /// Its name.
        name: Box<str>,
        /// Its object, unless nothing but the names of entries says that there is such a directory.
        object: Option<ObjectId>,
        /// Why it is left out.
        defect: Defect,
    },
}

impl Problem {
    /// Returns what is refused, for walks that take names as they are: they come by nothing else.
    pub fn refused(self) -> Option<Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            Self::Clash(_) | Self::NotMerged { .. } => None,
        }
    }
}

/// Returns whether what is refused may be a directory, or lie in one, as far as its object and its name tell: a
/// directory's object is a content with the prefix `k`, and of a name that is too long only the beginning is known.
pub(crate) fn may_be_directory(refused: &Refused) -> bool {
    let may_list_entries = |object: ObjectId| object.content().prefix() == Some('k');
    let is_cut = matches!(refused.why, Refusal::NameTooLong { .. });
    refused.object.is_none_or(may_list_entries) || is_cut || refused.name.contains('/')
}

/// An entry whose name a walk that folds names takes for that of another one.
#[derive(Debug)]
pub struct Clash {
    /// The entry.
    pub entry: Entry,
    /// The name of the entry that is visited in its stead.
    pub other: Box<str>,
    /// The name of its directory, if that is merged into another one.
    pub(super) within: Option<Box<str>>,
}

impl Clash {
    /// Returns its path in the snapshot, where its directory has this path in the walk.
    pub fn path(&self, directory: &str) -> String {
        let name = self.entry.name();
        let parent = match (&self.within, directory.rsplit_once('/')) {
            (None, _) => directory.to_owned(),
            (Some(within), None) => within.to_string(),
            (Some(within), Some((above, _))) => format!("{above}/{within}"),
        };
        if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
    }
}
