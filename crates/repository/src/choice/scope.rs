//! What is taken, directory by directory.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use kopia_format::ObjectId;

use super::rules::{Live, Rules};
use crate::Entry;
use crate::tree::Walked;

/// What [`Choice::among`](super::Choice::among) found: which entries below its roots are taken. Cheap to clone.
///
/// Two are equal if their patterns are.
#[derive(Debug, Clone)]
pub struct Chosen {
    inner: Arc<Inner>,
    /// Where it begins, unless in the roots that it was made among.
    start: Option<Arc<Start>>,
}

/// A directory below one of the roots.
#[derive(Debug)]
struct Start {
    scope: Scope,
    /// The way from the root to it.
    path: String,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) rules: Arc<Rules>,
    pub(super) hasher: RandomState,
    /// Directories in which something is taken though they are not taken themselves: by the hash of the place that
    /// one lies in and its name, its own place. `None` where that is still to be found out.
    pub(super) on_the_way: Option<HashMap<u64, u64>>,
    /// Patterns that match nothing.
    pub(super) unmatched: Vec<String>,
    /// Whether nothing at all is taken.
    pub(super) is_nothing: bool,
}

/// Where patterns have got to in a directory. The default is that of a walk that takes everything.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Whether all is taken that no pattern leaves out.
    pub(super) is_within: bool,
    /// What stands for the directory, wherever it lies, as far as it is known what is taken in it.
    pub(super) place: u64,
    pub(super) live: Option<Arc<[Live]>>,
}

impl Scope {
    /// Returns what patterns have got to, whatever the path.
    pub(super) fn state(&self) -> (bool, Option<&[Live]>) {
        (self.is_within, self.live.as_deref())
    }
}

/// A directory of which the same is taken wherever it lies: its object, and the number of what patterns have got
/// to.
pub(crate) type Part = (ObjectId, u32);

/// Directories that were visited, each with what is taken of it, for walks that need not visit one by each of its
/// paths.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    states: States,
    visited: HashSet<Part>,
}

impl Parts {
    /// Returns what stands for what is taken of a directory, the same wherever it lies; nothing if names put entries
    /// into it.
    fn of<D>(&mut self, directory: &Walked<D>) -> Option<Part> {
        let object = directory.trail.object().filter(|_| directory.is_whole)?;
        Some((object, self.states.number(&directory.scope)))
    }

    /// Returns what stands for a directory, if that was visited.
    pub(crate) fn visited<D>(&mut self, directory: &Walked<D>) -> Option<Part> {
        self.of(directory).filter(|part| self.visited.contains(part))
    }

    /// Adds a directory that is visited. Returns what stands for it, and whether that is new.
    pub(crate) fn add<D>(&mut self, directory: &Walked<D>) -> Option<(Part, bool)> {
        let part = self.of(directory)?;
        Some((part, self.visited.insert(part)))
    }
}

/// Numbers what patterns have got to: of two whole directories of one object the same is taken if they have the same
/// number. Without a choice all have.
#[derive(Debug, Default)]
struct States(HashMap<State, u32>);

/// Whether all is taken that no pattern leaves out, and where patterns have got to.
type State = (bool, Option<Arc<[Live]>>);

impl States {
    /// Returns the number of a directory's.
    fn number(&mut self, scope: &Scope) -> u32 {
        // There are fewer than places in patterns and directories.
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry((scope.is_within, scope.live.clone())).or_insert(next)
    }
}

impl PartialEq for Chosen {
    fn eq(&self, other: &Self) -> bool {
        let path = |chosen: &Self| chosen.start.as_ref().map(|start| start.path.clone());
        self.inner.rules == other.inner.rules && path(self) == path(other)
    }
}

impl Eq for Chosen {}

impl Chosen {
    pub(super) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), start: None }
    }

    /// Returns what is taken of a directory below a root, as a choice of its own; nothing if it is not taken
    /// itself, nor anything in it.
    pub fn below(&self, root: &Entry, path: &str) -> Option<Self> {
        let mut scope = self.root(root);
        for name in path.split('/').filter(|name| !name.is_empty()) {
            scope = self.take(&scope, name, true)?;
        }
        let above = self.start.as_ref().map(|start| format!("{}/", start.path)).unwrap_or_default();
        let start = Start { scope, path: format!("{above}{path}") };
        Some(Self { inner: self.inner.clone(), start: Some(Arc::new(start)) })
    }

    /// Returns whether a file or link of this name is taken in a root.
    pub fn takes_file(&self, root: &Entry, name: &str) -> bool {
        self.take(&self.root(root), name, false).is_some()
    }

    /// Returns the patterns of what is taken that match nothing, as they were written.
    ///
    /// One is not listed if directories that another one takes, and that were not read therefore, may have
    /// what it matches.
    pub fn unmatched(&self) -> &[String] {
        &self.inner.unmatched
    }

    /// Returns whether nothing is taken.
    pub(super) fn is_nothing(&self) -> bool {
        self.inner.is_nothing
    }

    /// Returns a number that stands for the patterns and where they begin, the same on every machine.
    pub fn digest(&self) -> u64 {
        let path = self.start.as_ref().map(|start| &*start.path).unwrap_or_default();
        self.inner.rules.digest(path)
    }

    /// Returns where patterns begin in a root.
    pub(crate) fn root(&self, root: &Entry) -> Scope {
        if let Some(start) = &self.start {
            return start.scope.clone();
        }
        let place = self.inner.hasher.hash_one(root.object());
        Scope { is_within: self.inner.rules.takes_all(), place, live: Some(self.inner.rules.root()) }
    }

    /// Returns whether something in a directory is taken, whether or not the snapshot has it: if so, where
    /// patterns have got to below it.
    pub fn take(&self, directory: &Scope, name: &str, is_directory: bool) -> Option<Scope> {
        let rules = &self.inner.rules;
        let live = directory.live.as_deref().unwrap_or_default();
        let mut below = Vec::new();
        let said = rules.say(live, name, is_directory, &mut below, |_| ());
        let is_within = directory.is_within || said.included;
        if said.excluded || !is_directory && !is_within {
            return None;
        }
        if !is_directory {
            return Some(Scope::default());
        }
        let mut place = self.inner.hasher.hash_one((directory.place, name));
        if is_within {
            below.retain(|live| rules.excludes(*live));
        } else if !rules.may_include(&below) {
            return None;
        } else if let Some(known) = &self.inner.on_the_way {
            place = *known.get(&place)?;
        }
        Some(Scope { is_within, place, live: shared(below, directory) })
    }
}

/// Makes a list of where patterns go on; directories in which that is as above share it.
fn shared(mut below: Vec<Live>, above: &Scope) -> Option<Arc<[Live]>> {
    below.sort_unstable();
    below.dedup();
    match &above.live {
        _ if below.is_empty() => None,
        Some(live) if **live == *below => Some(live.clone()),
        _ => Some(below.into()),
    }
}
