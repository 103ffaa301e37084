//! What existed once and is not in the newest snapshot any more.

use std::collections::HashSet;
use std::ops::ControlFlow;

use kopia_format::directory::{EntryKind, Summary};

use super::here::{Here, walk};
use super::seen::Seen;
use super::{Event, Place};
use crate::tree::{Problem, RefusedAt, RefusedPaths, Visitor, Walked};
use crate::{Defect, Entry, Error, Repository, Result, Trail};

/// Finds what is in places of one source and path, newest first, but not in the first of them: each once, in
/// the newest that has it.
///
/// Of a directory that is gone nothing below it is told, unless `recursive`. What the first place refuses is not
/// gone, nor is anything in directories of it that cannot be read. Some 16 bytes of memory are used for each entry of
/// the first place, and for what is told.
pub fn gone(
    repository: &Repository,
    places: &[Place],
    recursive: bool,
    visit: impl FnMut(Event) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some((newest, older)) = places.split_first() else { return ControlFlow::Continue(()) };
    let seen = Seen::new(true);
    let root = seen.root(&());
    let (there, told, refused) = (HashSet::new(), HashSet::new(), RefusedPaths::default());
    let mut run = Run { recursive, is_newest: true, seen, there, told, refused, visit };
    let is_directory = |place: &Place| place.root.kind() == EntryKind::Directory;
    if is_directory(newest) {
        run.seen.is_new_directory(root, &newest.root);
        walk(repository, 1).run([(&newest.root, Here { place: 0, path: root })], &mut run)?;
    }
    if run.told.contains(&root) {
        // What it has is not known.
        return ControlFlow::Continue(());
    }
    run.is_newest = false;
    let mut roots = Vec::new();
    for (number, place) in (1..).zip(older) {
        if is_directory(place) && run.seen.is_new_directory(root, &place.root) {
            roots.push((&place.root, Here { place: number, path: root }));
        }
    }
    walk(repository, roots.len()).run(roots, &mut run)
}

struct Run<V> {
    recursive: bool,
    /// Whether the newest place is being walked, of which nothing is told.
    is_newest: bool,
    seen: Seen,
    /// Paths of the newest place.
    there: HashSet<u64>,
    /// Paths that were told, or of which nothing can be known.
    told: HashSet<u64>,
    /// What the newest place refuses: it has something there.
    refused: RefusedPaths,
    visit: V,
}

impl<V: FnMut(Event) -> ControlFlow<()>> Run<V> {
    /// Looks at an entry, and returns whether what is below it may be gone.
    fn look_at(&mut self, parent: &Walked<Here>, path: u64, entry: &Entry) -> ControlFlow<(), bool> {
        if self.is_newest {
            self.there.insert(path);
            return ControlFlow::Continue(true);
        }
        if self.there.contains(&path) {
            return ControlFlow::Continue(!self.told.contains(&path));
        }
        match self.refused.within(&parent.trail, entry.name()) {
            RefusedAt::Nothing => {}
            RefusedAt::Entry => return ControlFlow::Continue(false),
            RefusedAt::Below => return ControlFlow::Continue(true),
        }
        if self.told.insert(path) && !entry.is_implied() {
            (self.visit)(parent.found(entry))?;
        }
        ControlFlow::Continue(self.recursive || entry.is_implied())
    }
}

impl<V: FnMut(Event) -> ControlFlow<()>> Visitor for Run<V> {
    type Directory = Here;

    fn leaf(&mut self, parent: &mut Walked<Here>, entry: Entry) -> ControlFlow<()> {
        let path = self.seen.child(parent.attached.path, entry.name());
        self.look_at(parent, path, &entry).map_continue(drop)
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Here>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Here>> {
        let path = self.seen.child(parent.attached.path, entry.name());
        let goes_on = self.look_at(parent, path, entry)?;
        if let (true, Err(defect)) = (goes_on, way) {
            self.told.insert(path);
            (self.visit)(parent.problem(entry.name(), defect))?;
            return ControlFlow::Continue(None);
        }
        let here = Here { place: parent.attached.place, path };
        ControlFlow::Continue((goes_on && self.seen.is_new_directory(path, entry)).then_some(here))
    }

    fn problem(&mut self, parent: &mut Walked<Here>, problem: Problem) -> ControlFlow<()> {
        let Some(refused) = problem.refused() else { return ControlFlow::Continue(()) };
        if self.is_newest {
            self.refused.note(&parent.trail, &refused);
        }
        (self.visit)(parent.refused(refused))
    }

    fn leave(&mut self, directory: Walked<Here>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        let Err(error) = read else { return ControlFlow::Continue(()) };
        if self.is_newest {
            // What it holds is not known, so nothing below it is gone for sure.
            self.told.insert(directory.attached.path);
        }
        (self.visit)(directory.problem("", error.into()))
    }
}
