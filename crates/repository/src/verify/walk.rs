//! Walks folders once each, however many snapshots have them.

use std::collections::HashSet;

use kopia_format::directory::EntryKind;
use kopia_format::{ContentId, ObjectId};

use crate::object::Pieces;
use crate::{Entry, Repository, Result};

/// The folders, files and links below some roots.
pub(super) struct Walk<'a> {
    repository: &'a Repository,
    /// Folders still to be walked.
    folders_left: Vec<ObjectId>,
    seen: HashSet<ObjectId>,
    /// The contents that all these need, if they are asked for.
    pub(super) needed: Option<HashSet<ContentId>>,
    /// Objects that cannot be read whole, and folders with entries that cannot be restored.
    pub(super) incomplete: HashSet<ObjectId>,
    pub(super) folders: u64,
    pub(super) files: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(repository: &'a Repository, needed: Option<HashSet<ContentId>>) -> Self {
        let (seen, incomplete) = Default::default();
        Self { repository, folders_left: Vec::new(), seen, needed, incomplete, folders: 0, files: 0 }
    }

    /// Adds an entry; a folder is walked later.
    pub(super) fn add(&mut self, entry: &Entry) {
        let object = entry.object();
        if !self.seen.insert(object) {
            return;
        }
        match entry.kind() {
            EntryKind::Directory => {
                self.folders += 1;
                self.folders_left.push(object);
            }
            EntryKind::File | EntryKind::Symlink => self.files += 1,
        }
        if self.contents(object).is_err() {
            self.incomplete.insert(object);
        }
    }

    /// Walks all folders.
    pub(super) fn run(&mut self) {
        while !self.folders_left.is_empty() {
            let next = self.folders_left.iter().rev().copied();
            let fetched = Entry::fetch_some(self.repository, next);
            let folders = self.folders_left.split_off(self.folders_left.len() - fetched.len());
            for (folder, fetched) in folders.into_iter().rev().zip(fetched) {
                let mut refused = false;
                let read = fetched.for_each(|entry| match entry {
                    Ok(entry) => self.add(&entry),
                    Err(_) => refused = true,
                });
                if refused || read.is_err() {
                    self.incomplete.insert(folder);
                }
            }
        }
    }

    /// Looks up every content that an object needs, those of its list included.
    fn contents(&mut self, object: ObjectId) -> Result<()> {
        if let Some(list) = object.list() {
            self.contents(list)?;
        }
        for run in Pieces::new(self.repository, object) {
            let content = run?.content;
            self.repository.find(&content)?;
            if let Some(needed) = &mut self.needed {
                needed.insert(content);
            }
        }
        Ok(())
    }
}
