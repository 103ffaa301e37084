//! Which directories and entries a search came by, so that what several snapshots share is found once.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

use kopia_format::directory::EntryKind;

use crate::Entry;
use crate::tree::remember;

/// The most directories and entries that are remembered, each in some 16 bytes.
const MAX_REMEMBERED: usize = 6 << 20;

/// The directories and entries that were met, by hashes of 64 bits: of a million, two are taken for one with a
/// probability of one to 30 million.
pub(crate) struct Seen {
    hasher: RandomState,
    known: HashSet<u64>,
    /// Whether anything can be met twice.
    remembers: bool,
}

impl Seen {
    pub(crate) fn new(remembers: bool) -> Self {
        Self { hasher: RandomState::new(), known: HashSet::new(), remembers }
    }

    /// Returns what stands for the path of a root.
    pub(crate) fn root(&self, key: &impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Returns what stands for the path of an entry of a directory.
    pub(crate) fn child(&self, parent: u64, name: &str) -> u64 {
        self.hasher.hash_one((parent, name))
    }

    /// Returns whether a directory was not met by this path before.
    pub(crate) fn is_new_directory(&mut self, path: u64, directory: &Entry) -> bool {
        // What names put into one, its object does not say.
        !directory.is_whole() || self.add((path, directory.object()))
    }

    /// Returns whether an entry was not met by this path before. A directory stays the same whatever changes
    /// below it.
    pub(crate) fn is_new(&mut self, path: u64, entry: &Entry) -> bool {
        match entry.kind() {
            EntryKind::Directory => self.add((path, entry.mode(), entry.owner())),
            EntryKind::File | EntryKind::Symlink => {
                let attributes = (entry.mode(), entry.owner(), entry.modified(), entry.size());
                self.add((path, entry.object(), attributes))
            }
        }
    }

    fn add(&mut self, key: impl Hash) -> bool {
        if !self.remembers {
            return true;
        }
        remember(&mut self.known, MAX_REMEMBERED, self.hasher.hash_one(key))
    }
}
