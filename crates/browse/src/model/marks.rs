//! Entries that are marked, wherever they lie.

use std::collections::BTreeMap;

/// The most entries that are marked at once.
const MOST: usize = 10_000;

/// An entry that something is to be done with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Picked {
    /// The id of its snapshot.
    pub snapshot: String,
    /// Its path below the root; empty for the root.
    pub path: String,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// Snapshot and path of each that is marked, and whether it is a folder.
#[derive(Debug, Default)]
pub(crate) struct Marks(BTreeMap<(usize, String), bool>);

impl Marks {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn has(&self, snapshot: usize, path: &str) -> bool {
        !self.0.is_empty() && self.0.contains_key(&(snapshot, path.to_owned()))
    }

    /// Marks an entry, or marks it no more; returns whether that could be done.
    pub(super) fn toggle(&mut self, snapshot: usize, path: String, is_folder: bool) -> bool {
        let key = (snapshot, path);
        if self.0.remove(&key).is_some() {
            return true;
        }
        let has_room = self.0.len() < MOST;
        if has_room {
            self.0.insert(key, is_folder);
        }
        has_room
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        self.0.iter().map(|((snapshot, path), is_folder)| (*snapshot, &**path, *is_folder))
    }
}
