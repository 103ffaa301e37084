//! Walks folders once each, however many snapshots have them.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use kopia_format::directory::EntryKind;
use kopia_format::stub::Stub;
use kopia_format::{ContentId, ObjectId};

use crate::object::Extents;
use crate::{Entry, Repository, Result};

/// How many names of one folder are looked at for doubled ones.
const NAMES: usize = 4 << 20;

/// How many files that stand for others are kept.
const STUBS: usize = 100;

/// The folders, files and links below some roots. What is kept is no more than the index has, whatever folders say.
pub(super) struct Walk<'a> {
    repository: &'a Repository,
    /// Folders still to be walked.
    folders_left: Vec<ObjectId>,
    seen: HashSet<ObjectId>,
    /// Those of `seen` that cannot be read whole.
    broken: HashSet<ObjectId>,
    /// How many bytes objects of several pieces have.
    lengths: HashMap<ObjectId, u64>,
    /// The contents that all these need, if they are asked for.
    pub(super) needed: Option<HashSet<ContentId>>,
    /// Folders that cannot be read whole, or that may have entries that cannot be restored as they were.
    pub(super) suspects: HashSet<ObjectId>,
    /// Whether that may be so of a root.
    pub(super) roots_suspect: bool,
    pub(super) folders: u64,
    pub(super) files: u64,
    pub(super) stub_count: u64,
    pub(super) stubs: Vec<(String, Stub)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(repository: &'a Repository, needed: Option<HashSet<ContentId>>) -> Self {
        Self {
            repository,
            folders_left: Vec::new(),
            seen: HashSet::new(),
            broken: HashSet::new(),
            lengths: HashMap::new(),
            needed,
            suspects: HashSet::new(),
            roots_suspect: false,
            folders: 0,
            files: 0,
            stub_count: 0,
            stubs: Vec::new(),
        }
    }

    /// Adds a root.
    pub(super) fn add_root(&mut self, root: &Entry) {
        let source = root.source();
        self.roots_suspect |= !source.is_whole();
        if !root.is_implied() {
            self.roots_suspect |= !self.add(root);
        }
        for entry in source.placed_entries(self.repository) {
            self.add(&entry);
        }
    }

    /// Adds an entry; a folder is walked later. Returns whether it can be restored as it is, as far as its contents are in the
    /// index.
    fn add(&mut self, entry: &Entry) -> bool {
        let object = entry.object();
        if self.repository.contents().locate(&object.content()).is_err() {
            return false;
        }
        if self.seen.insert(object) {
            match entry.kind() {
                EntryKind::Directory => {
                    self.folders += 1;
                    self.folders_left.push(object);
                }
                EntryKind::File | EntryKind::Symlink => self.files += 1,
            }
            if self.contents(object).is_err() {
                self.broken.insert(object);
            }
            if let Some(stub) = entry.stub() {
                self.stub_count += 1;
                if self.stubs.len() < STUBS {
                    self.stubs.push((entry.name().into(), stub));
                }
            }
        }
        !self.broken.contains(&object)
            && match entry.kind() {
                EntryKind::Directory => true,
                EntryKind::File => self.length(object).is_none_or(|length| length == entry.size()),
                EntryKind::Symlink => object.indirection() == 0,
            }
    }

    /// Walks all folders.
    pub(super) fn run(&mut self) {
        let hasher = std::hash::RandomState::new();
        let mut names = HashSet::new();
        while !self.folders_left.is_empty() {
            let next = self.folders_left.iter().rev().copied();
            let fetched = Entry::fetch_some(self.repository, next);
            let folders = self.folders_left.split_off(self.folders_left.len() - fetched.len());
            for (folder, fetched) in folders.into_iter().rev().zip(fetched) {
                names.clear();
                let mut sound = true;
                let read = fetched.for_each_as_it_stands(|entry| match entry {
                    Ok(entry) => {
                        // A hash of each name will do: what is suspected is looked at by path later.
                        let name = hasher.hash_one(entry.name());
                        sound &= !entry.name().contains('/') && (names.len() == NAMES || names.insert(name));
                        sound &= self.add(&entry);
                    }
                    Err(_) => sound = false,
                });
                if !sound || read.is_err() {
                    self.suspects.insert(folder);
                }
            }
        }
    }

    /// Looks up every content that an object needs, those of its list included.
    fn contents(&mut self, object: ObjectId) -> Result<()> {
        if let Some(list) = object.list() {
            self.contents(list)?;
        }
        let mut length = 0;
        for extent in Extents::new(self.repository, object) {
            let extent = extent?;
            self.repository.contents().locate(&extent.content)?;
            if let Some(needed) = &mut self.needed {
                needed.insert(extent.content);
            }
            length = extent.start + extent.length.unwrap_or_default();
        }
        if object.indirection() > 0 {
            self.lengths.insert(object, length);
        }
        Ok(())
    }

    /// Returns how many bytes an object has, unless only its compressed bytes tell.
    fn length(&self, object: ObjectId) -> Option<u64> {
        if object.indirection() > 0 {
            return self.lengths.get(&object).copied();
        }
        let location = self.repository.contents().locate(&object.content()).ok()?;
        (!object.is_compressed()).then_some(location.plain_length())
    }
}
