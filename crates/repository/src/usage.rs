//! How much there is in trees, folder by folder, and how much room it takes in the repository.
//!
//! What a restore writes is known from directories alone, and where these have totals of what is below them,
//! from few. What it takes in the repository, deduplicated and compressed, means to look at all of a tree.

mod folders;
mod stored;

pub use folders::{Event, Folder, folders};
pub use stored::{PackRead, Share, Shares, Stored, metadata_packs, shares, stored};

use kopia_format::directory::{EntryKind, Summary};

use crate::Entry;

/// What a restore writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Files and links.
    pub files: u64,
    /// Directories, without the one that is counted.
    pub directories: u64,
    /// The bytes of files.
    pub bytes: u64,
}

impl Totals {
    /// Takes what a directory says of all below it, if it says that.
    pub fn of_summary(entry: &Entry) -> Option<Self> {
        let number = |number: i64| u64::try_from(number).unwrap_or_default();
        let totals = |summary: &Summary| Self {
            files: number(summary.files).saturating_add(number(summary.symlinks)),
            // It counts itself as well.
            directories: number(summary.dirs).saturating_sub(1),
            bytes: number(summary.size),
        };
        entry.summary().filter(|_| entry.kind() == EntryKind::Directory && entry.is_whole()).map(totals)
    }

    fn add(&mut self, other: Self) {
        self.files = self.files.saturating_add(other.files);
        self.directories = self.directories.saturating_add(other.directories);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}
