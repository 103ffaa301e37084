//! Finds entries by name, size, time or kind, in one snapshot or in many.
//!
//! Of several snapshots a directory that they share is read once, and what did not change between them is
//! found once: in the first place that is given and has it, so places are best given newest first.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use kopia_repository::search::{Event, Pattern, Place, Query, search};
//! # use kopia_codec::key::Password;
//! # use kopia_repository::Repository;
//! # use kopia_storage::FilesystemStore;
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! # let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let places = Place::newest_first(repository.snapshots()?.iter())?;
//! let query = Query { pattern: Some(Pattern::glob("hello.*", false)?), ..Query::default() };
//! let mut found = 0;
//! let _ = search(&repository, &places, &query, |event| {
//!     if let Event::Found(found_now) = event {
//!         println!("{} {}", found_now.path, found_now.entry.size());
//!         found += 1;
//!     }
//!     ControlFlow::Continue(())
//! });
//! assert!(found > 1, "several versions of the file");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod glob;
mod gone;
mod here;
mod pattern;
mod seen;

use std::cmp::Reverse;
use std::ops::{ControlFlow, RangeInclusive};

use kopia_format::directory::{EntryKind, Summary};

use crate::select::At;
use crate::tree::{Problem, Visitor, Walked};
use crate::{Defect, Entry, Error, Repository, Result, Snapshot, Trail};
pub use gone::gone;
use here::{Here, walk};
pub use pattern::{BadPattern, Pattern};
use seen::Seen;

/// What is looked for. An empty query matches everything.
#[derive(Debug, Clone)]
pub struct Query {
    /// What names or paths look like.
    pub pattern: Option<Pattern>,
    /// What they may be; everything if there are none.
    pub kinds: Vec<EntryKind>,
    /// How many bytes a file may have; unless this is all numbers, only files match.
    pub size: RangeInclusive<u64>,
    /// Only what was modified by then.
    pub modified_until: Option<At>,
    /// Only what was modified after that.
    pub modified_after: Option<At>,
}

impl Default for Query {
    fn default() -> Self {
        let size = 0..=u64::MAX;
        Self { pattern: None, kinds: Vec::new(), size, modified_until: None, modified_after: None }
    }
}

/// A root that is searched.
#[derive(Debug, Clone)]
pub struct Place {
    /// The snapshot, unless an object was named.
    pub snapshot: Option<Snapshot>,
    /// The root of the search.
    pub root: Entry,
    /// The path of the root below that of the snapshot, empty for the snapshot's own.
    pub path: String,
}

/// What a search comes by.
#[derive(Debug)]
pub enum Event {
    /// An entry that matches.
    Found(Found),
    /// A directory that cannot be read, or an entry that is left out.
    Problem {
        /// The number of the place.
        place: usize,
        /// The path below the root of the search.
        path: String,
        /// What is wrong.
        defect: Defect,
    },
}

/// An entry that matches.
#[derive(Debug)]
pub struct Found {
    /// The number of the place.
    pub place: usize,
    /// The path below the root of the search; empty for the root itself.
    pub path: String,
    /// The entry.
    pub entry: Entry,
}

impl Query {
    /// Returns whether an entry matches; its path is made only if that matters.
    pub fn matches(&self, entry: &Entry, path: impl FnOnce() -> String) -> bool {
        let kind = entry.kind();
        let any_size = self.size == (0..=u64::MAX);
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (any_size || kind == EntryKind::File && self.size.contains(&entry.size()))
            && self.modified_until.is_none_or(|until| until.admits(entry.modified()))
            && self.modified_after.is_none_or(|after| !after.admits(entry.modified()))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.matches(entry.name(), path))
    }
}

impl Place {
    /// Makes places of the roots of snapshots, newest first.
    ///
    /// # Errors
    /// As for [`Snapshot::root`].
    pub fn newest_first<'s>(snapshots: impl IntoIterator<Item = &'s Snapshot>) -> Result<Vec<Self>> {
        let mut snapshots: Vec<&Snapshot> = snapshots.into_iter().collect();
        snapshots.sort_by_key(|snapshot| Reverse(snapshot.order()));
        let place = |snapshot: &Snapshot| {
            Ok(Self { snapshot: Some(snapshot.clone()), root: snapshot.root()?, path: String::new() })
        };
        snapshots.into_iter().map(place).collect()
    }

    /// Returns what tells its paths from those of other places: the source and the path below it.
    fn key(&self) -> (String, &str) {
        (self.snapshot.as_ref().map(|snapshot| snapshot.source().to_string()).unwrap_or_default(), &self.path)
    }
}

/// Searches some places, in their order; `visit` may stop it.
///
/// What is the same in several places of one source and path is found in the first of them alone. Some 100 MB
/// of memory are used for that at most; what has no room there may be found again.
pub fn search(
    repository: &Repository,
    places: &[Place],
    query: &Query,
    visit: impl FnMut(Event) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut run = Run { query, seen: Seen::new(places.len() > 1), visit };
    let mut roots = Vec::new();
    for (number, place) in places.iter().enumerate() {
        let here = Here { place: number, path: run.seen.root(&place.key()) };
        if place.root.kind() == EntryKind::Directory {
            if run.seen.is_new_directory(here.path, &place.root) {
                roots.push((&place.root, here));
            }
        } else if query.matches(&place.root, || place.root.name().to_owned())
            && run.seen.is_new(here.path, &place.root)
        {
            let entry = place.root.clone();
            (run.visit)(Event::Found(Found { place: number, path: String::new(), entry }))?;
        }
    }
    walk(repository, roots.len()).run(roots, &mut run)
}

struct Run<'q, V> {
    query: &'q Query,
    seen: Seen,
    visit: V,
}

impl<V: FnMut(Event) -> ControlFlow<()>> Run<'_, V> {
    /// Tells of an entry if it matches and is new.
    fn look_at(&mut self, parent: &Walked<Here>, path: u64, entry: &Entry) -> ControlFlow<()> {
        if self.query.matches(entry, || parent.path_of(entry.name())) && self.seen.is_new(path, entry) {
            return (self.visit)(parent.found(entry));
        }
        ControlFlow::Continue(())
    }
}

impl<V: FnMut(Event) -> ControlFlow<()>> Visitor for Run<'_, V> {
    type Directory = Here;

    fn leaf(&mut self, parent: &mut Walked<Here>, entry: Entry) -> ControlFlow<()> {
        let path = self.seen.child(parent.attached.path, entry.name());
        self.look_at(parent, path, &entry)
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Here>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Here>> {
        let path = self.seen.child(parent.attached.path, entry.name());
        if !entry.is_implied() {
            // A directory is another one with each change below it, which is no change of its own.
            self.look_at(parent, path, entry)?;
        }
        if let Err(defect) = way {
            (self.visit)(parent.problem(entry.name(), defect))?;
            return ControlFlow::Continue(None);
        }
        let here = Here { place: parent.attached.place, path };
        ControlFlow::Continue(self.seen.is_new_directory(path, entry).then_some(here))
    }

    fn problem(&mut self, parent: &mut Walked<Here>, problem: Problem) -> ControlFlow<()> {
        let Some(refused) = problem.refused() else { return ControlFlow::Continue(()) };
        (self.visit)(parent.refused(refused))
    }

    fn leave(&mut self, directory: Walked<Here>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        match read {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => (self.visit)(directory.problem("", error.into())),
        }
    }
}
