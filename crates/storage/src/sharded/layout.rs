//! Where the blobs of a tree lie: where `.shards` says, and otherwise where they are found.
//!
//! Copies of repositories lose or change their layout: a copy of a bucket has neither `.f` nor `.shards`, a
//! sync client leaves `.shards` out, a change of the layout was interrupted. So a blob that is not in its
//! right place is looked for in the forms that are usual, and in those that listings came across. A blob in
//! its right place costs nothing more than to open it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kopia_format::BlobId;
use rustix::io::Errno;

use super::form::Form;
use super::listing;
use super::shards::Shards;
use super::tree::{DirectoryTree, EntryKind, Stat, is_absent};
use crate::{BlobInfo, ErrorKind, MAX_COPIES, error};

/// How many forms are kept. Two or three are usual; a hand-written `.shards` may have one for each prefix.
const MAX_FORMS: usize = 64;

/// How many searches for a missing blob may find nothing before all blobs of its kind are listed: each search
/// reads the directories on the way to it.
const MAX_FRUITLESS: usize = 4;

/// How many more searches for blobs of a kind that may not be listed may find nothing. What is asked for then is
/// not known to be there or not, as the directories that cannot be looked into say.
const MAX_UNLISTED: usize = 256;

/// A kind of blobs that may not be listed.
#[derive(Debug)]
struct Unlistable {
    kind: char,
    why: io::Error,
    /// How many searches have found nothing since.
    fruitless: usize,
}

/// The layout of a tree, as far as it is known.
#[derive(Debug)]
pub(crate) struct Layout {
    shards: Shards,
    /// Usual forms, then those that were found.
    forms: RwLock<Vec<Form>>,
    /// What is tried first: 0 for the right place, otherwise a form by its number, plus one. It is the form
    /// that the last misplaced blob had, as others probably have it.
    first: AtomicUsize,
    /// Blobs whose path no form gives, or of which another copy is shorter.
    moved: RwLock<HashMap<BlobId, Vec<u8>>>,
    has_moved: AtomicBool,
    /// The prefixes that were listed: what has them and was not found is not there.
    listed: RwLock<Vec<String>>,
    fruitless: AtomicUsize,
    /// How many searches have to find nothing before a kind is listed.
    enough: AtomicUsize,
    /// Held while a kind is listed.
    unlistable: Mutex<Vec<Unlistable>>,
    /// Paths of blobs of which several copies were asked for.
    copies: Mutex<HashMap<BlobId, Arc<[Vec<u8>]>>>,
}

impl Layout {
    pub(crate) fn new(shards: Shards) -> Self {
        Self {
            shards,
            forms: RwLock::new(Form::usual()),
            first: AtomicUsize::new(0),
            moved: RwLock::default(),
            has_moved: AtomicBool::new(false),
            listed: RwLock::default(),
            fruitless: AtomicUsize::new(0),
            enough: AtomicUsize::new(MAX_FRUITLESS),
            unlistable: Mutex::default(),
            copies: Mutex::default(),
        }
    }

    /// Lists the blobs whose ids begin with `prefix`, and keeps where they lie.
    pub(crate) fn list(
        &self,
        tree: &dyn DirectoryTree,
        prefix: &str,
    ) -> Result<Vec<BlobInfo>, listing::Failure> {
        let mut listing = listing::list(tree, &self.shards, prefix)?;
        self.learn(std::mem::take(&mut listing.forms));
        let moved = std::mem::take(&mut listing.moved);
        if !moved.is_empty() || self.has_moved.load(Ordering::Acquire) {
            let mut all = self.moved.write().unwrap_or_else(PoisonError::into_inner);
            all.retain(|id, _| !id.as_str().starts_with(prefix));
            all.extend(moved);
            self.has_moved.store(!all.is_empty(), Ordering::Release);
        }
        let mut listed = self.listed.write().unwrap_or_else(PoisonError::into_inner);
        if !listed.iter().any(|known| prefix.starts_with(&**known)) {
            listed.retain(|known| !known.starts_with(prefix));
            listed.push(prefix.to_owned());
        }
        Ok(listing.blobs)
    }

    /// Calls `work` with the paths that a blob may have, until one of them is that of a file.
    pub(crate) fn find<R>(
        &self,
        tree: &dyn DirectoryTree,
        id: &BlobId,
        work: impl Fn(&[u8]) -> io::Result<R>,
    ) -> io::Result<R> {
        if let Some(path) = self.moved(id) {
            match work(&path) {
                Err(error) if is_absent(&error) => {}
                result => return result,
            }
        }
        let first = self.first.load(Ordering::Relaxed);
        let place = if first == 0 { self.shards.file(id) } else { self.form(first - 1, id) };
        match place.map(|path| work(&path)) {
            None => {}
            Some(Err(error)) if is_absent(&error) => {}
            Some(result) => return result,
        }
        self.find_misplaced(tree, id, first, work)
    }

    #[cold]
    fn find_misplaced<R>(
        &self,
        tree: &dyn DirectoryTree,
        id: &BlobId,
        first: usize,
        work: impl Fn(&[u8]) -> io::Result<R>,
    ) -> io::Result<R> {
        if first != 0
            && let Some(path) = self.shards.file(id)
        {
            match work(&path) {
                Err(error) if is_absent(&error) => {}
                result => {
                    if result.is_ok() {
                        self.first.store(0, Ordering::Relaxed);
                    }
                    return result;
                }
            }
        }
        let mut number = 0;
        let mut is_searched = false;
        loop {
            let count = self.forms.read().unwrap_or_else(PoisonError::into_inner).len();
            while number < count {
                let place = self.form(number, id).filter(|_| number + 1 != first);
                number += 1;
                match place.map(|path| work(&path)) {
                    None => {}
                    Some(Err(error)) if is_absent(&error) => {}
                    Some(result) => {
                        if result.is_ok() {
                            self.first.store(number, Ordering::Relaxed);
                        }
                        return result;
                    }
                }
            }
            if is_searched {
                return Err(Errno::NOENT.into());
            }
            self.search(tree, id)?;
            is_searched = true;
            if let Some(path) = self.moved(id) {
                match work(&path) {
                    Err(error) if is_absent(&error) => {}
                    result => return result,
                }
            }
        }
    }

    /// Searches for a blob whose kind was not listed yet, and keeps where it lies. After some searches that
    /// found nothing, all of the kind are listed, once: then it is known of each whether it is there.
    ///
    /// # Errors
    /// Why the directories on the way to it cannot be listed, or those of its kind after too many searches: it
    /// is not known then whether it is there.
    fn search(&self, tree: &dyn DirectoryTree, id: &BlobId) -> io::Result<()> {
        if self.is_listed(id) {
            return Ok(());
        }
        let lock = || self.unlistable.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = |one: &&mut Unlistable| id.as_str().starts_with(one.kind);
        let mut unlistable = lock();
        // Another thread may have listed them while this one waited for it.
        if self.is_listed(id) {
            return Ok(());
        }
        let fruitless = self.fruitless.load(Ordering::Relaxed);
        if let Some(one) = unlistable.iter_mut().find(of_kind) {
            if one.fruitless >= MAX_UNLISTED {
                return Err(error::repeat(&one.why));
            }
        } else if fruitless >= self.enough.load(Ordering::Relaxed)
            && let Some(kind) = id.as_str().chars().next()
        {
            match self.list(tree, kind.encode_utf8(&mut [0; 4])) {
                Ok(_) => return Ok(()),
                // What may not be looked into may be on the way to others only.
                Err((_, why)) if ErrorKind::of(&why) == ErrorKind::NotAllowed => {
                    unlistable.push(Unlistable { kind, why, fruitless: 0 });
                }
                // That may pass. As it may last, too, and listings take long, each is made later than the last.
                Err(_) => self.enough.store(fruitless.saturating_mul(2), Ordering::Relaxed),
            }
        }
        drop(unlistable);
        let searched = self.search_alone(tree, id);
        if !matches!(searched, Ok(true))
            && let Some(one) = lock().iter_mut().find(of_kind)
        {
            one.fruitless += 1;
        }
        searched?;
        Ok(())
    }

    /// Searches for a blob in the directories on the way to it, and returns whether it is there.
    fn search_alone(&self, tree: &dyn DirectoryTree, id: &BlobId) -> io::Result<bool> {
        let listing = listing::list(tree, &self.shards, id.as_str()).map_err(|(_, source)| source)?;
        let is_found = listing.blobs.iter().any(|blob| blob.id == *id);
        if is_found {
            self.learn(listing.forms);
            let mut moved = self.moved.write().unwrap_or_else(PoisonError::into_inner);
            moved.extend(listing.moved);
            self.has_moved.store(!moved.is_empty(), Ordering::Release);
        } else {
            self.fruitless.fetch_add(1, Ordering::Relaxed);
        }
        Ok(is_found)
    }

    /// Returns whether a blob would have been found by now, as its kind was listed.
    fn is_listed(&self, id: &BlobId) -> bool {
        let listed = self.listed.read().unwrap_or_else(PoisonError::into_inner);
        listed.iter().any(|prefix| id.as_str().starts_with(&**prefix))
    }

    /// Returns the paths of all copies of a blob, the longest first, then the one in the right place.
    pub(crate) fn copies(&self, tree: &dyn DirectoryTree, id: &BlobId) -> Arc<[Vec<u8>]> {
        let lock = || self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(id) {
            return Arc::clone(known);
        }
        let mut paths: Vec<Vec<u8>> = self.shards.file(id).into_iter().chain(self.moved(id)).collect();
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        paths.extend(forms.iter().filter_map(|form| form.file(id)));
        drop(forms);
        let mut found: Vec<(Stat, Vec<u8>)> = Vec::new();
        let mut is_certain = true;
        for path in paths {
            match tree.stat(&path) {
                // Several names of one file are one copy.
                Ok(stat) => {
                    let is_same = |(other, known): &(Stat, Vec<u8>)| {
                        *known == path || stat.identity.is_some() && other.identity == stat.identity
                    };
                    let is_copy = stat.kind == EntryKind::File && !found.iter().any(is_same);
                    if is_copy && found.len() < MAX_COPIES {
                        found.push((stat, path));
                    }
                }
                Err(error) => is_certain &= is_absent(&error) || ErrorKind::of(&error) == ErrorKind::Broken,
            }
        }
        found.sort_by_key(|(stat, _)| Reverse(stat.length));
        let copies: Arc<[Vec<u8>]> = found.into_iter().map(|(_, path)| path).collect();
        if is_certain {
            lock().insert(id.clone(), Arc::clone(&copies));
        }
        copies
    }

    fn moved(&self, id: &BlobId) -> Option<Vec<u8>> {
        if !self.has_moved.load(Ordering::Acquire) {
            return None;
        }
        self.moved.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn form(&self, number: usize, id: &BlobId) -> Option<Vec<u8>> {
        let forms = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        forms.get(number)?.file(id)
    }

    fn learn(&self, found: Vec<Form>) {
        if found.is_empty() {
            return;
        }
        let mut forms = self.forms.write().unwrap_or_else(PoisonError::into_inner);
        for form in found {
            if forms.len() < MAX_FORMS && !forms.contains(&form) {
                forms.push(form);
            }
        }
    }
}

#[cfg(test)]
mod tests;
