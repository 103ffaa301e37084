//! One directory of the restore, while anything below it is unfinished.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use kopia_repository::Trail;
use kopia_repository::choice::Scope;
use rustix::fs::Stat;

use super::metadata::Attributes;
use super::{Identity, handles};
use crate::destination::leftover::Leftover;
use crate::lock;
use crate::reason::Reason;
use crate::space::is_full;

/// A directory. Children hold their parent, so a directory lives as long as anything below it is unfinished.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) parent: Option<Arc<Directory>>,
    /// Where it lies below the target.
    trail: Trail,
    /// How many entries are lost if it cannot be made, besides itself.
    pub(crate) below: u64,
    pub(crate) attributes: Attributes,
    pub(crate) kind: DirectoryKind,
    /// What an interrupted restore left by its name in the staging tree.
    pub(crate) left: Leftover,
    /// Children that are not finished, and one for the planner while it still adds some.
    pending: AtomicU64,
    /// Entries that lie finished in it in the staging tree, and are to be moved from there.
    staged: AtomicU64,
    /// Which directory it is in the staging tree, once it is made there.
    made: OnceLock<io::Result<Identity>>,
    /// Held by who makes it.
    making: Mutex<()>,
    /// Whether it replaces something else than a directory.
    replaces: AtomicBool,
    /// Whether its counterpart in the staging tree was removed when nothing was left in it.
    removed: AtomicBool,
    /// Whether what is there of it already cannot be looked at: then nothing is restored into it.
    unseen: AtomicBool,
    /// Whether its directory in the staging tree has another owner, group or setgid bit than new ones have.
    unlike_new: AtomicBool,
    /// What few directories have: there may be a million of them.
    rare: OnceLock<Box<Rare>>,
}

/// What few directories have.
#[derive(Debug, Default)]
struct Rare {
    /// What the target's directory has and the snapshot has not.
    extras: OnceLock<(Identity, Vec<Box<[u8]>>)>,
    /// What is chosen in it, where the target has it and extras are deleted.
    scope: OnceLock<Scope>,
    /// What the target's directory was like, where that is to be put back, be it its mode alone.
    found: OnceLock<Stat>,
    /// Entries that the target may have placeholders of.
    placeholders: OnceLock<Vec<Box<str>>>,
    /// Files of which pieces are lost, and that still need a name.
    partial: Mutex<Vec<Partial>>,
    /// Names of the staging tree that must not get to their place, as what an interrupted restore left there cannot be
    /// removed.
    held_back: Mutex<HashSet<Box<[u8]>>>,
}

/// A file of which pieces are lost, under a name of its own in the staging tree.
#[derive(Debug)]
pub(crate) struct Partial {
    /// The name of its entry.
    pub(crate) name: Box<str>,
    /// Its name as long as nothing better is known.
    pub(crate) temporary: String,
    pub(crate) reason: Reason,
    pub(crate) lost: Vec<Range<u64>>,
}

/// How a directory gets to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DirectoryKind {
    /// The target has it already: what is new in it is staged in a directory of the same path, and moved into
    /// it.
    Existing,
    /// The target has its parent but not the directory: it is moved there as a whole and gets its attributes
    /// after that, because an ordinary user cannot move a read-only directory.
    Moved,
    /// It lies in a directory that is new itself, and is finished where it is.
    Inner,
}

impl Directory {
    /// Makes the root, which the target always has.
    pub(crate) fn root(trail: Trail, attributes: Attributes, left: Leftover) -> Arc<Self> {
        Arc::new(Self::new(None, trail, 0, attributes, DirectoryKind::Existing, left))
    }

    /// Makes a child, which its parent waits for.
    pub(crate) fn child(
        self: &Arc<Self>,
        trail: Trail,
        below: u64,
        attributes: Attributes,
        kind: DirectoryKind,
        left: Leftover,
    ) -> Arc<Self> {
        self.expect_one();
        Arc::new(Self::new(Some(self.clone()), trail, below, attributes, kind, left))
    }

    fn new(
        parent: Option<Arc<Self>>,
        trail: Trail,
        below: u64,
        attributes: Attributes,
        kind: DirectoryKind,
        left: Leftover,
    ) -> Self {
        Self {
            parent,
            trail,
            below,
            attributes,
            kind,
            left,
            pending: AtomicU64::new(1),
            staged: AtomicU64::new(0),
            made: OnceLock::new(),
            making: Mutex::new(()),
            replaces: AtomicBool::new(false),
            removed: AtomicBool::new(false),
            unseen: AtomicBool::new(false),
            unlike_new: AtomicBool::new(false),
            rare: OnceLock::new(),
        }
    }

    /// Returns its name, which is empty for the root.
    pub(crate) fn name(&self) -> &str {
        self.trail.name()
    }

    /// Notes that one more child is to be finished.
    pub(crate) fn expect_one(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a child is finished, or that the planner adds no more; returns whether that was the last
    /// thing.
    pub(crate) fn one_done(&self) -> bool {
        // Everything that was written before by other threads must be seen by the one that finishes the
        // directory.
        self.pending.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Makes the directory if no thread has yet; all get the same answer, unless there was no room: that is
    /// tried again.
    pub(crate) fn made(&self, make: impl FnOnce() -> io::Result<Identity>) -> io::Result<Identity> {
        let known = || self.made.get().map(|made| made.as_ref().copied().map_err(handles::copy));
        if let Some(known) = known() {
            return known;
        }
        let _making = lock::lock(&self.making);
        if let Some(known) = known() {
            return known;
        }
        match make() {
            Err(error) if is_full(&error) => Err(error),
            made => self.made.get_or_init(|| made).as_ref().copied().map_err(handles::copy),
        }
    }

    /// Returns which directory it is if it was made.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.made.get()?.as_ref().ok().copied()
    }

    /// Returns why the directory could not be made, if that was tried.
    pub(crate) fn failure(&self) -> Option<&io::Error> {
        self.made.get()?.as_ref().err()
    }

    /// Returns whether it, or a directory that it lies in, could not be made.
    ///
    /// That is a problem of that directory.
    pub(crate) fn is_lost(self: &Arc<Self>) -> bool {
        self.ancestors().any(|directory| directory.failure().is_some())
    }

    /// Notes that an entry lies finished in the staging tree.
    pub(crate) fn one_staged(&self) {
        self.staged.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many entries must be there to be moved.
    pub(crate) fn staged(&self) -> u64 {
        self.staged.load(Ordering::Relaxed)
    }

    /// Notes that an entry was moved from the staging tree to its place before the end.
    pub(crate) fn one_published(&self) {
        self.staged.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that the directory replaces something else than a directory.
    pub(crate) fn set_replaces(&self) {
        self.replaces.store(true, Ordering::Relaxed);
    }

    /// Returns whether the directory replaces something else than a directory.
    pub(crate) fn replaces(&self) -> bool {
        self.replaces.load(Ordering::Relaxed)
    }

    /// Notes that its counterpart in the staging tree is gone.
    pub(crate) fn set_removed(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    /// Notes that what is there of it already cannot be looked at, which has been reported.
    pub(crate) fn set_unseen(&self) {
        self.unseen.store(true, Ordering::Relaxed);
    }

    /// Returns whether what is there of it already cannot be looked at.
    pub(crate) fn is_unseen(&self) -> bool {
        self.unseen.load(Ordering::Relaxed)
    }

    /// Notes that an interrupted run left it in the staging tree with other attributes than new directories have, and
    /// they cannot be changed, or that it lies in such a one.
    pub(crate) fn set_unlike_new(&self) {
        self.unlike_new.store(true, Ordering::Relaxed);
    }

    /// Returns whether what is made in it may have another group than elsewhere in the staging tree. That is known once
    /// it is [`made`](Self::made).
    pub(crate) fn is_unlike_new(&self) -> bool {
        self.unlike_new.load(Ordering::Relaxed)
    }

    /// Returns whether there is a directory in the staging tree that may have something in it.
    pub(crate) fn is_in_staging(&self) -> bool {
        self.identity().is_some() && !self.removed.load(Ordering::Relaxed)
    }

    /// Keeps the names of what the snapshot does not have, until everything is written.
    pub(crate) fn set_extras(&self, listed: Identity, names: Vec<Box<[u8]>>) {
        if !names.is_empty() {
            let _ = self.rare().extras.set((listed, names));
        }
    }

    /// Returns which directory of the target was listed, and what it has and the snapshot has not; nothing
    /// where there is nothing more, or that is not known.
    pub(crate) fn extras(&self) -> Option<(Identity, &[Box<[u8]>])> {
        self.rare.get()?.extras.get().map(|(listed, names)| (*listed, &names[..]))
    }

    /// Keeps what is chosen in it, where not everything is.
    pub(crate) fn set_scope(&self, scope: Scope) {
        let _ = self.rare().scope.set(scope);
    }

    /// Returns what is chosen in it, unless that is everything.
    pub(crate) fn scope(&self) -> Option<&Scope> {
        self.rare.get()?.scope.get()
    }

    /// Keeps in mind what the target's directory was like.
    pub(crate) fn set_found(&self, found: Stat) {
        let _ = self.rare().found.set(found);
    }

    /// Returns what the target's directory was like, if that is to be put back.
    pub(crate) fn found(&self) -> Option<&Stat> {
        self.rare.get()?.found.get()
    }

    /// Keeps the names of entries that the target may have placeholders of, until they are restored.
    pub(crate) fn set_placeholders(&self, names: Vec<Box<str>>) {
        if !names.is_empty() {
            let _ = self.rare().placeholders.set(names);
        }
    }

    /// Returns the entries that the target may have placeholders of.
    pub(crate) fn placeholders(&self) -> &[Box<str>] {
        self.rare.get().and_then(|rare| rare.placeholders.get()).map_or(&[], |names| names)
    }

    /// Keeps a file of which pieces are lost, until the names of all others are taken.
    pub(crate) fn add_partial(&self, partial: Partial) {
        lock::lock(&self.rare().partial).push(partial);
    }

    /// Returns the files that still need a name.
    pub(crate) fn take_partial(&self) -> Vec<Partial> {
        self.rare.get().map_or_else(Vec::new, |rare| std::mem::take(&mut *lock::lock(&rare.partial)))
    }

    /// Keeps what an interrupted restore left by a name in the staging tree from being moved to its place.
    pub(crate) fn hold_back(&self, name: &[u8]) {
        lock::lock(&self.rare().held_back).insert(name.into());
    }

    /// Notes that what lies there by a name now is what this restore wrote.
    pub(crate) fn let_go(&self, name: &[u8]) {
        if let Some(rare) = self.rare.get() {
            lock::lock(&rare.held_back).remove(name);
        }
    }

    /// Returns the names that must not be moved to their place.
    pub(crate) fn held_back(&self) -> Vec<Box<[u8]>> {
        self.rare.get().map_or_else(Vec::new, |rare| lock::lock(&rare.held_back).iter().cloned().collect())
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    /// Returns the directory and all it lies in, innermost first.
    pub(crate) fn ancestors(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |directory| directory.parent.as_ref())
    }

    /// Returns the path of an entry in this directory, or of the directory itself for an empty name.
    pub(crate) fn path_of(&self, name: &str) -> String {
        self.trail.path_of(name)
    }
}

/// Children hold their parents, so dropping the innermost of a deep chain would recurse through all of it.
impl Drop for Directory {
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(mut directory) = parent.and_then(Arc::into_inner) {
            parent = directory.parent.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(parent: &Arc<Directory>, name: &str) -> Arc<Directory> {
        let trail = parent.trail.child(name, None);
        parent.child(trail, 0, Attributes::default(), DirectoryKind::Inner, Leftover::Nothing)
    }

    #[test]
    fn the_last_child_finishes_it() {
        let root = Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing);
        let child = directory(&root, "a");
        root.expect_one();
        assert!(!root.one_done(), "the planner");
        assert!(!root.one_done(), "a file");
        assert!(child.one_done());
        assert!(root.one_done(), "the child");
        assert_eq!(child.path_of("x"), "a/x");
        assert_eq!(root.path_of(""), "");
    }

    #[test]
    fn a_deep_chain_is_dropped_without_recursion() {
        let mut directory_ = Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing);
        for _ in 0..200_000 {
            directory_ = directory(&directory_, "d");
        }
        assert_eq!(directory_.trail.depth(), 200_000);
    }
}
