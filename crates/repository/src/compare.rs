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

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use kopia_format::directory::{EntryKind, Refusal, Refused, Summary};

use crate::tree::{Order, Problem, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Result, Trail};
pub use changes::Changes;

/// How many bytes of memory the entries of one directory of the older tree take at most, some three million of
/// them. Of a larger one the rest is not compared, which is [`Defect::TooManyEntries`].
pub const MAX_ENTRIES: usize = 1 << 30;

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
/// Other directories count as changed if their own attributes differ.
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
    let mut run = Run { max_entries, recursive, visit };
    run.pair(String::new(), old, new)?;
    match (old.kind(), new.kind()) {
        (EntryKind::Directory, EntryKind::Directory) => {
            let walk = Walk::new(new.repository()).order(Order::DepthFirst).read_ahead();
            walk.run([(new, Pair::with(old.clone()))], &mut run)
        }
        _ => ControlFlow::Continue(()),
    }
}

/// What is attached to a directory of the newer tree.
#[derive(Default)]
struct Pair {
    /// The directory of the older tree.
    old: Option<Entry>,
    /// Its entries that the newer one was not seen to have.
    left: HashMap<Box<str>, Entry>,
    /// Names that it has, and whose entries one of the two refuses.
    refused: HashSet<Box<str>>,
    /// Whether not all of them are known.
    is_damaged: bool,
}

impl Pair {
    fn with(old: Entry) -> Self {
        Self { old: Some(old), ..Self::default() }
    }

    /// Returns whether the older directory has, or may have, an entry that is not left.
    fn may_have(&self, name: &str) -> bool {
        self.is_damaged || self.refused.contains(name)
    }
}

struct Run<V> {
    max_entries: usize,
    recursive: bool,
    visit: V,
}

impl<V: FnMut(Event) -> ControlFlow<()>> Run<V> {
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

    /// Tells of an entry that the newer tree lacks, and of all below it where that is wanted.
    fn removed(&mut self, path: String, old: &Entry) -> ControlFlow<()> {
        let changes = Changes::default();
        let differing = Differing { path: path.clone(), old: Some(old.clone()), new: None, changes };
        (self.visit)(Event::Differs(differing))?;
        if self.recursive && old.kind() == EntryKind::Directory {
            return all::below(old, &path, &mut self.visit);
        }
        ControlFlow::Continue(())
    }

    fn problem(&mut self, path: String, defect: Defect) -> ControlFlow<()> {
        (self.visit)(Event::Problem { path, defect })
    }
}

impl<V: FnMut(Event) -> ControlFlow<()>> Visitor for Run<V> {
    type Directory = Pair;

    fn enter(&mut self, directory: &mut Walked<Pair>) -> ControlFlow<()> {
        let Some(old) = &directory.attached.old else { return ControlFlow::Continue(()) };
        let (mut left, mut refused, mut bytes) = (HashMap::new(), Vec::new(), 0);
        let limit = self.max_entries;
        let read = old.for_each(|entry| {
            bytes += match &entry {
                Ok(entry) => entry.memory() + entry.name().len() + 64,
                // Its name is kept for as long as the others are, too.
                Err(bad) => size_of_val(bad) + 2 * bad.name.len() + 64,
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
        directory.attached.left = left;
        for bad in refused {
            // Of several entries of one name the first is compared.
            if bad.why != Refusal::Doubled {
                directory.attached.refused.insert((&*bad.name).into());
            }
            self.refused(directory, bad)?;
        }
        let defect = match read {
            Ok(ControlFlow::Continue(_)) => return ControlFlow::Continue(()),
            Ok(ControlFlow::Break(())) => Defect::TooManyEntries { limit },
            Err(error) => error.into(),
        };
        directory.attached.is_damaged = true;
        self.problem(directory.path_of(""), defect)
    }

    fn leaf(&mut self, parent: &mut Walked<Pair>, entry: Entry) -> ControlFlow<()> {
        match parent.attached.left.remove(entry.name()) {
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
            None if parent.attached.may_have(entry.name()) => ControlFlow::Continue(()),
            None => self.added(parent.path_of(entry.name()), &entry),
        }
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Pair>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Pair>> {
        let path = parent.path_of(entry.name());
        let old = parent.attached.left.remove(entry.name());
        let below = match old {
            Some(old) => {
                self.pair(path.clone(), &old, entry)?;
                let is_directory = old.kind() == EntryKind::Directory;
                let is_same =
                    is_directory && old.object() == entry.object() && old.is_whole() && entry.is_whole();
                if is_same {
                    return ControlFlow::Continue(None);
                }
                (is_directory || self.recursive)
                    .then(|| Pair { old: is_directory.then_some(old), ..Pair::default() })
            }
            None if parent.attached.may_have(entry.name()) => None,
            None => {
                self.added(path.clone(), entry)?;
                self.recursive.then(Pair::default)
            }
        };
        if let (Some(_), Err(defect)) = (&below, way) {
            self.problem(path, defect)?;
            return ControlFlow::Continue(None);
        }
        ControlFlow::Continue(below)
    }

    fn problem(&mut self, parent: &mut Walked<Pair>, problem: Problem) -> ControlFlow<()> {
        let Some(refused) = problem.refused() else { return ControlFlow::Continue(()) };
        let pair = &mut parent.attached;
        // The newer one has it as well, so it is not removed.
        if refused.why != Refusal::Doubled
            && let Some((name, _)) = pair.left.remove_entry(&*refused.name)
        {
            pair.refused.insert(name);
        }
        self.refused(parent, refused)
    }

    fn leave(
        &mut self,
        mut directory: Walked<Pair>,
        read: Result<Option<Summary>, Error>,
    ) -> ControlFlow<()> {
        if let Err(error) = read {
            // What was not read is not removed.
            return self.problem(directory.path_of(""), error.into());
        }
        let mut left: Vec<_> = std::mem::take(&mut directory.attached.left).into_iter().collect();
        left.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        left.iter().try_for_each(|(name, old)| self.removed(directory.path_of(name), old))
    }
}

impl<V: FnMut(Event) -> ControlFlow<()>> Run<V> {
    fn refused(&mut self, directory: &Walked<Pair>, refused: Refused) -> ControlFlow<()> {
        let path = directory.path_of(&refused.name);
        self.problem(path, refused.into())
    }
}

#[cfg(test)]
mod tests;
