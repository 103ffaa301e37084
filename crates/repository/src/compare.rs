//! What differs between two entries, and between two trees.
//!
//! Directories with the same object are the same and not read. Of the others, one at a time, the entries of
//! the older one are in memory, some 300 bytes each, as far as they take no more than [`MAX_ENTRIES`].
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use kopia_repository::compare::{Event, compare};
//! # use kopia_codec::key::Password;
//! # use kopia_repository::Repository;
//! # use kopia_storage::FilesystemStore;
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! # let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let snapshots = repository.snapshots()?;
//! let of_data: Vec<_> = snapshots.iter().filter(|snapshot| snapshot.source().path == "/data").collect();
//! let (old, new) = (of_data[0].root()?, of_data[2].root()?);
//! let mut paths = Vec::new();
//! let _ = compare(&old, &new, false, |event| {
//!     if let Event::Differs(differing) = event {
//!         paths.push(differing.path);
//!     }
//!     ControlFlow::Continue(())
//! });
//! assert!(paths.contains(&"hello.txt".into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod all;
mod changes;

use std::collections::HashMap;
use std::ops::ControlFlow;

use kopia_format::directory::{EntryKind, Refused, Summary};

use crate::tree::{Order, Problem, RefusedAt, RefusedPaths, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Result, Trail};
use all::Removed;
pub use changes::Changes;

/// How many bytes of memory the entries of one directory of the older tree take at most, some three million of
/// them. Of a larger one the rest is not compared, which is [`Defect::TooManyEntries`].
pub const MAX_ENTRIES: usize = 1 << 30;

/// How many bytes the texts take at most by which a reason names what it found: they are cut.
const REASON: usize = 1024;

/// What a comparison comes by.
#[derive(Debug)]
pub enum Event {
    /// A path where the trees differ.
    Differs(Differing),
    /// Something that cannot be compared.
    Problem {
        /// Its path below the roots.
        path: String,
        /// What is wrong.
        defect: Defect,
    },
}

/// A path where two trees differ.
#[derive(Debug, Clone)]
pub struct Differing {
    /// The path below the roots; empty for the roots themselves.
    pub path: String,
    /// What the older tree has there.
    pub old: Option<Entry>,
    /// What the newer tree has there.
    pub new: Option<Entry>,
    /// What changed, where both have something.
    pub changes: Changes,
}

/// Compares two trees; `visit` may stop it.
///
/// A directory that only one of them has is one difference; with `recursive`, all that is in it is, too.
/// Other directories count as changed if their own attributes differ. What one of them refuses, or cannot read, is
/// a problem, and not a difference beside that; a sound entry of the same name is compared.
pub fn compare(
    old: &Entry,
    new: &Entry,
    recursive: bool,
    visit: impl FnMut(Event) -> ControlFlow<()>,
) -> ControlFlow<()> {
    compare_within(MAX_ENTRIES, old, new, recursive, visit)
}

/// As [`compare`], with so many bytes for the entries of a directory.
fn compare_within(
    max_entries: usize,
    old: &Entry,
    new: &Entry,
    recursive: bool,
    visit: impl FnMut(Event) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut run = Run::new(max_entries, recursive, visit);
    run.pair(String::new(), old, new)?;
    match (old.kind(), new.kind()) {
        (EntryKind::Directory, EntryKind::Directory) => {
            let walk = Walk::new(new.repository()).order(Order::DepthFirst).read_ahead();
            walk.run([(new, Some(old.clone()))], &mut run)
        }
        _ => ControlFlow::Continue(()),
    }
}

struct Run<V> {
    max_entries: usize,
    recursive: bool,
    /// Entries of the older directory that the newer one, whose entries are being visited, was not seen to have.
    left: HashMap<Box<str>, Entry>,
    /// Whether not all entries of the older one are known.
    is_damaged: bool,
    /// What the older tree refuses: it may have what the newer one has there.
    refused_by_old: RefusedPaths,
    /// What the newer tree refuses: it may have what the older one has there.
    refused_by_new: RefusedPaths,
    visit: V,
}

impl<V: FnMut(Event) -> ControlFlow<()>> Run<V> {
    fn new(max_entries: usize, recursive: bool, visit: V) -> Self {
        let (left, is_damaged) = (HashMap::new(), false);
        let (refused_by_old, refused_by_new) = (RefusedPaths::default(), RefusedPaths::default());
        Self { max_entries, recursive, left, is_damaged, refused_by_old, refused_by_new, visit }
    }

    /// Tells of two entries of one path if they differ. What is below two directories is told later.
    fn pair(&mut self, path: String, old: &Entry, new: &Entry) -> ControlFlow<()> {
        let mut changes = Changes::between(old, new);
        if old.kind() == EntryKind::Directory && new.kind() == EntryKind::Directory {
            changes.content = false;
        }
        if changes.is_nothing() {
            return ControlFlow::Continue(());
        }
        let (old, new) = (Some(old.clone()), Some(new.clone()));
        (self.visit)(Event::Differs(Differing { path, old, new, changes }))
    }

    fn added(&mut self, path: String, new: &Entry) -> ControlFlow<()> {
        let changes = Changes::default();
        (self.visit)(Event::Differs(Differing { path, old: None, new: Some(new.clone()), changes }))
    }

    /// Returns what the older tree may have by a name that it has no sound entry of.
    fn hidden_in_old(&self, parent: &Walked<Option<Entry>>, name: &str) -> RefusedAt {
        if self.is_damaged { RefusedAt::Entry } else { self.refused_by_old.within(&parent.trail, name) }
    }

    fn problem(&mut self, path: String, defect: Defect) -> ControlFlow<()> {
        (self.visit)(Event::Problem { path, defect })
    }
}

impl<V: FnMut(Event) -> ControlFlow<()>> Visitor for Run<V> {
    /// The directory of the older tree, if it has one.
    type Directory = Option<Entry>;

    fn enter(&mut self, directory: &mut Walked<Option<Entry>>) -> ControlFlow<()> {
        self.is_damaged = false;
        let Some(old) = &directory.attached else { return ControlFlow::Continue(()) };
        let (mut left, mut refused, mut bytes) = (HashMap::new(), Vec::new(), 0);
        let limit = self.max_entries;
        let read = old.for_each(|entry| {
            bytes += match &entry {
                Ok(entry) => entry.memory() + entry.name().len() + 64,
                // Its name is kept for as long as the others are, too.
                Err(bad) => size_of_val(bad) + 2 * bad.name.len() + REASON + 64,
            };
            if bytes > limit {
                return ControlFlow::Break(());
            }
            match entry {
                Ok(entry) => drop(left.insert(entry.name().into(), entry)),
                Err(bad) => refused.push(bad),
            }
            ControlFlow::Continue(())
        });
        self.left = left;
        for bad in refused {
            self.refused_by_old.note(&directory.trail, &bad);
            self.refused(directory, bad)?;
        }
        let defect = match read {
            Ok(ControlFlow::Continue(_)) => return ControlFlow::Continue(()),
            Ok(ControlFlow::Break(())) => Defect::TooManyEntries { limit },
            Err(error) => error.into(),
        };
        self.is_damaged = true;
        self.problem(directory.path_of(""), defect)
    }

    fn leaf(&mut self, parent: &mut Walked<Option<Entry>>, entry: Entry) -> ControlFlow<()> {
        match self.left.remove(entry.name()) {
            Some(old) => {
                if Changes::between(&old, &entry).is_nothing() {
                    return ControlFlow::Continue(());
                }
                let path = parent.path_of(entry.name());
                self.pair(path.clone(), &old, &entry)?;
                if self.recursive && old.kind() == EntryKind::Directory {
                    return all::below(&old, &path, &mut self.visit);
                }
                ControlFlow::Continue(())
            }
            None => match self.hidden_in_old(parent, entry.name()) {
                RefusedAt::Nothing => self.added(parent.path_of(entry.name()), &entry),
                RefusedAt::Entry | RefusedAt::Below => ControlFlow::Continue(()),
            },
        }
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Option<Entry>>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Self::Directory>> {
        let path = parent.path_of(entry.name());
        let below = match self.left.remove(entry.name()) {
            Some(old) => {
                self.pair(path.clone(), &old, entry)?;
                let is_directory = old.kind() == EntryKind::Directory;
                let is_same =
                    is_directory && old.object() == entry.object() && old.is_whole() && entry.is_whole();
                if is_same {
                    return ControlFlow::Continue(None);
                }
                (is_directory || self.recursive).then(|| is_directory.then_some(old))
            }
            None => match self.hidden_in_old(parent, entry.name()) {
                RefusedAt::Nothing => {
                    self.added(path.clone(), entry)?;
                    self.recursive.then_some(None)
                }
                RefusedAt::Entry => None,
                // The older tree may have a directory here, in which the rest of this one is new.
                RefusedAt::Below => Some(None),
            },
        };
        if let (Some(_), Err(defect)) = (&below, way) {
            self.problem(path, defect)?;
            return ControlFlow::Continue(None);
        }
        ControlFlow::Continue(below)
    }

    fn problem(&mut self, parent: &mut Walked<Option<Entry>>, problem: Problem) -> ControlFlow<()> {
        let Some(refused) = problem.refused() else { return ControlFlow::Continue(()) };
        // A sound entry of this name may still come, and is compared; if none does, the older one is not removed.
        self.refused_by_new.note(&parent.trail, &refused);
        self.refused(parent, refused)
    }

    fn leave(
        &mut self,
        directory: Walked<Option<Entry>>,
        read: Result<Option<Summary>, Error>,
    ) -> ControlFlow<()> {
        let mut left: Vec<_> = std::mem::take(&mut self.left).into_iter().collect();
        if let Err(error) = read {
            // What was not read is not removed.
            return self.problem(directory.path_of(""), error.into());
        }
        left.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let (refused, recursive, visit) = (&self.refused_by_new, self.recursive, &mut self.visit);
        let (mut removed, path) = (Removed { refused, recursive, visit }, directory.path_of(""));
        left.iter().try_for_each(|(_, old)| removed.tell(&path, old))
    }
}

impl<V: FnMut(Event) -> ControlFlow<()>> Run<V> {
    fn refused(&mut self, directory: &Walked<Option<Entry>>, refused: Refused) -> ControlFlow<()> {
        let path = directory.path_of(&refused.name);
        self.problem(path, refused.into())
    }
}

#[cfg(test)]
mod tests;
