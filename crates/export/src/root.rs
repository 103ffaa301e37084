//! What is exported, and where it lies in the archive.

use kopia_repository::Entry;
use kopia_repository::choice::Chosen;
use kopia_repository::owners::Owners;
use kopia_repository::tree::{Order, Walk};

use crate::Options;

/// One of several things that go into one archive, for [`export_all`](crate::export_all).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Root {
    /// What is exported, with all below it.
    pub entry: Entry,
    /// Its path in the archive. What is in a directory without one lies at the top; a file or link without
    /// one gets its own name.
    pub path: String,
    /// As [`Options::root_attributes`], which is not asked: without them, a directory has no entry of its
    /// own. [`Self::new`] leaves out those that are a [guess](Entry::is_guessed).
    pub attributes: bool,
    /// As [`Options::owners`], which is not asked.
    pub owners: Owners,
    /// As [`Options::chosen`], which is not asked.
    pub chosen: Option<Chosen>,
}

impl Root {
    /// Exports an entry as [`export`](fn@crate::export) does, with what the options say of it.
    pub fn new(entry: &Entry, options: &Options) -> Self {
        Self {
            entry: entry.clone(),
            path: String::new(),
            attributes: options.root_attributes && !entry.is_guessed(),
            owners: options.owners.clone(),
            chosen: options.chosen.clone(),
        }
    }

    /// Returns the walk that visits what is exported, in the order of the archive.
    pub(crate) fn walk(&self, options: &Options) -> Walk<'_> {
        Walk::new(self.entry.repository())
            .order(Order::DepthFirst)
            .read_ahead()
            .max_depth(options.max_depth)
            .choosing(&self.chosen)
    }

    /// Returns the path of something, of which the path below the entry is known; an empty one is the
    /// entry's.
    pub(crate) fn path_of(&self, below: String) -> String {
        match (&*self.path, &*below) {
            ("", _) => below,
            (path, "") => path.to_owned(),
            (path, below) => format!("{path}/{below}"),
        }
    }

    /// Returns where a file or link lies. The name of a snapshot's root is a label, and may be anything; an
    /// object that is named by its id has none.
    pub(crate) fn path_of_leaf(&self) -> String {
        if !self.path.is_empty() {
            return self.path.clone();
        }
        let name = self.entry.name().rsplit('/').next().unwrap_or_default();
        if matches!(name, "" | "." | "..") || name.contains('\0') { "file".into() } else { name.into() }
    }
}
