//! Lists the entries of snapshots that cannot be restored as they were.

mod example;
#[cfg(test)]
mod tests;
mod why;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use example::{Example, Found};
use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Summary};

use super::contents::Damaged;
use super::{AffectedEntry, Subject};
use crate::choice::{Part, Parts};
use crate::object::Lists;
use crate::tree::{CurrentPath, Order, Problem, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Repository, Snapshot, Trail};

/// How much is done of a directory with affected entries below it for its further paths. Where all folders of forty
/// levels have the same one twice, there are a million million.
const MAX_AGAIN: Again = Again { searched: 10_000, seen: u64::MAX, told: 1 << 18 };

/// How much of all of them together: some minutes. Of a snapshot of which nothing else is told, one entry is told
/// all the same, as it is known.
const MAX_AGAIN_IN_ALL: Again = Again { searched: 4 << 20, seen: 256 << 20, told: 4 << 20 };

/// What was done once more for directories that had been searched.
#[derive(Debug, Clone, Copy, Default)]
struct Again {
    /// How many times one was searched.
    searched: u64,
    /// How many of their entries were looked at: a directory may have millions.
    seen: u64,
    /// How many of these were told.
    told: u64,
}

impl Again {
    /// Returns whether it is as much as may be of any of these.
    fn is_all(self, most: Self) -> bool {
        self.searched >= most.searched || self.seen >= most.seen || self.told >= most.told
    }
}

/// A directory that was searched, and below which entries are affected.
#[derive(Default)]
struct Affected {
    /// By how many paths below it.
    count: u64,
    /// What was done of it again.
    again: Again,
    /// Whether no further paths below it are told.
    is_done: bool,
    /// Which entry is told of it without another search.
    example: Option<Example>,
}

/// A directory that is being searched.
struct Open {
    /// Itself, if its object says all that is in it.
    part: Option<Part>,
    name: Box<str>,
    /// How many paths of affected entries lie below it, and whether any of them were told.
    count: u64,
    any_told: bool,
    /// The first of them.
    example: Option<Example>,
}

/// Looks for affected entries in the snapshots that it walks.
struct Search<'a> {
    repository: &'a Repository,
    damaged: &'a Damaged,
    suspects: &'a HashSet<ObjectId>,
    lists: Lists,
    /// Directories that were visited. As each is followed by all below it, one that is met again was searched
    /// whole.
    parts: Parts,
    /// Those of them in which an entry is affected, however deep: only they are visited again, for their
    /// other paths.
    affected: HashMap<Part, Affected>,
    /// What was done of any of them again.
    again: Again,
    /// How much that may be, of one and of all.
    most_of_each: Again,
    most_in_all: Again,
    /// Whether the directory that is being visited is one of them.
    is_again: bool,
    /// Whether nothing was told of the subject yet.
    is_silent: bool,
    /// How many paths of affected entries are not told.
    untold: u64,
    /// The directory that is being visited, last, and those that it lies in.
    open: Vec<Open>,
    /// Of the directory that is being visited.
    path: CurrentPath,
    /// Whether entries of the directory that is being visited may be affected although no content is damaged.
    is_suspect: bool,
    snapshot: Option<Snapshot>,
    /// What paths begin with.
    below: &'a str,
    visit: &'a mut dyn FnMut(AffectedEntry),
}

/// Lists every entry that needs a damaged content, or cannot be restored for another reason. Where no content
/// is damaged, only entries of suspect directories are looked at. `walk` says what is chosen.
///
/// Returns how many paths it did not tell: of a directory that is met many times, they are counted only.
pub(super) fn list(
    repository: &Repository,
    subjects: &[Subject],
    walk: Walk<'_>,
    damaged: &Damaged,
    suspects: &HashSet<ObjectId>,
    visit: &mut dyn FnMut(AffectedEntry),
) -> u64 {
    let mut search = Search::new(repository, damaged, suspects, visit);
    search.run(subjects, walk);
    search.untold
}

impl Visitor for Search<'_> {
    type Directory = ();

    fn is_known(&mut self, directory: &Walked<()>) -> bool {
        let Some(part) = self.parts.visited(directory) else { return false };
        self.close(directory.trail.depth());
        let Some(count) = self.affected.get(&part).map(|affected| affected.count) else { return true };
        if !self.is_done(&part) {
            return false;
        }
        // Whoever takes a snapshot that nothing is told of takes it for a sound one.
        let example = if self.is_silent { self.example(part) } else { None };
        self.untold = self.untold.saturating_add(count - u64::from(example.is_some()));
        if let Some((path, reason, object)) = example {
            self.report(directory.path_of(&path), reason, object);
        }
        self.count(count, false);
        self.exemplify(|| Example::of_directory(directory.trail.name(), part));
        true
    }

    fn enter(&mut self, directory: &mut Walked<()>) -> ControlFlow<()> {
        self.close(directory.trail.depth());
        self.path.enter(&directory.trail);
        let object = directory.trail.object();
        self.is_suspect = !directory.is_whole || object.is_some_and(|object| self.suspects.contains(&object));
        let added = self.parts.add(directory);
        self.is_again = added.is_some_and(|(_, is_new)| !is_new);
        let part = added.map(|(part, _)| part);
        self.count_again(|again| again.searched += 1, part);
        let name = directory.trail.name().into();
        self.open.push(Open { part, name, count: 0, any_told: false, example: None });
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, _: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
        self.look_at(&entry);
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        _: &mut Walked<()>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        let is_told = self.look_at(entry);
        if let Err(defect) = way
            && !is_told
        {
            let object = (!entry.is_implied()).then(|| entry.object());
            self.tell_in(entry.name(), defect, object);
        }
        ControlFlow::Continue(Some(()))
    }

    fn left_out(&mut self, _: &mut Walked<()>, _: &str, _: Option<&Entry>) {
        self.count_again(|again| again.seen += 1, None);
    }

    fn problem(&mut self, _: &mut Walked<()>, problem: Problem) -> ControlFlow<()> {
        self.count_again(|again| again.seen += 1, None);
        // Of the others there are none where names are taken as they are.
        if let Some(refused) = problem.refused() {
            let (name, object) = (refused.name.clone(), refused.object);
            self.tell_in(&name, refused.into(), object);
        }
        ControlFlow::Continue(())
    }

    fn leave(&mut self, directory: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        if let Err(error) = read {
            let object = directory.trail.object();
            // What its contents lack was told where the directory was an entry.
            if object.and_then(|object| self.why_object_affected(object)).is_none() {
                self.tell_in("", error.into(), object);
            }
        }
        ControlFlow::Continue(())
    }
}

impl<'a> Search<'a> {
    fn new(
        repository: &'a Repository,
        damaged: &'a Damaged,
        suspects: &'a HashSet<ObjectId>,
        visit: &'a mut dyn FnMut(AffectedEntry),
    ) -> Self {
        Self {
            repository,
            damaged,
            suspects,
            lists: Lists::default(),
            parts: Parts::default(),
            affected: HashMap::new(),
            again: Again::default(),
            most_of_each: MAX_AGAIN,
            most_in_all: MAX_AGAIN_IN_ALL,
            is_again: false,
            is_silent: true,
            untold: 0,
            open: Vec::new(),
            path: CurrentPath::default(),
            is_suspect: false,
            snapshot: None,
            below: "",
            visit,
        }
    }

    /// Searches one subject after the other.
    fn run(&mut self, subjects: &'a [Subject], walk: Walk<'_>) {
        for Subject { snapshot, entry: root, path } in subjects {
            self.close(0);
            self.is_again = false;
            self.is_silent = true;
            self.snapshot.clone_from(snapshot);
            self.below = path;
            if let Some(why) = self.why_affected(root) {
                self.tell(String::new(), why, Some(root.object()));
            }
            if root.kind() == EntryKind::Directory {
                let _ = walk.order(Order::DepthFirst).run([(root, ())], self);
            }
        }
    }

    /// Returns whether no further paths below a directory are told, if any are affected.
    fn is_done(&self, part: &Part) -> bool {
        let is_done = |affected: &Affected| affected.is_done || affected.again.is_all(self.most_of_each);
        self.again.is_all(self.most_in_all) || self.affected.get(part).is_some_and(is_done)
    }

    /// Returns the example of a directory: its path below that, what is wrong with it, and its object.
    fn example(&self, mut part: Part) -> Option<(String, Defect, Option<ObjectId>)> {
        let mut names = Vec::new();
        // Each leads to a directory that had one before, so they come to an end.
        loop {
            let Example { path, found } = self.affected.get(&part)?.example.as_ref()?;
            names.extend(Some(&**path).filter(|path| !path.is_empty()));
            match found {
                Found::Below(below) => part = *below,
                Found::Entry(entry) => return Some((names.join("/"), entry.0.clone(), entry.1)),
            }
        }
    }

    /// Takes an example of the directory that is open last, unless it has one.
    fn exemplify(&mut self, example: impl FnOnce() -> Example) {
        if let Some(open) = self.open.last_mut().filter(|open| open.example.is_none()) {
            open.example = Some(example());
        }
    }

    /// Tells of an entry if it is affected, and returns whether it is.
    fn look_at(&mut self, entry: &Entry) -> bool {
        self.count_again(|again| again.seen += 1, None);
        if !self.is_suspect && self.damaged.is_empty() {
            return false;
        }
        let why = self.why_affected(entry);
        let is_affected = why.is_some();
        if let Some(why) = why {
            self.tell_in(entry.name(), why, Some(entry.object()));
        }
        is_affected
    }

    /// Tells of an affected entry of the directory that is being visited; of that itself for an empty name.
    fn tell_in(&mut self, name: &str, reason: Defect, object: Option<ObjectId>) {
        self.exemplify(|| Example::of_entry(name, &reason, object));
        self.tell(self.path.path_of(name), reason, object);
    }

    /// Counts something that is done again, if it is, in all and of a directory.
    fn count_again(&mut self, count: impl Fn(&mut Again), part: Option<Part>) {
        if !self.is_again {
            return;
        }
        count(&mut self.again);
        if let Some(affected) = part.and_then(|part| self.affected.get_mut(&part)) {
            count(&mut affected.again);
        }
    }

    /// Counts paths of affected entries in the directory that is being visited.
    fn count(&mut self, count: u64, any_told: bool) {
        if let Some(open) = self.open.last_mut() {
            open.count = open.count.saturating_add(count);
            open.any_told |= any_told;
        }
    }

    /// Ends all directories of this depth or more: what is in them counts for those that they lie in, too.
    fn close(&mut self, depth: usize) {
        while self.open.len() > depth {
            let Some(Open { part, name, count, any_told, example }) = self.open.pop() else { break };
            self.count(count, any_told);
            if let Some(part) = part.filter(|_| count > 0) {
                let affected = self.affected.entry(part).or_default();
                affected.count = count;
                affected.is_done = !any_told;
                affected.example = affected.example.take().or(example);
                self.exemplify(|| Example::of_directory(&name, part));
            } else if let Some(example) = example {
                self.exemplify(|| example.within(&name));
            }
        }
    }

    fn tell(&mut self, path: String, reason: Defect, object: Option<ObjectId>) {
        self.count(1, true);
        let part = self.open.last().and_then(|open| open.part);
        self.count_again(|again| again.told += 1, part);
        self.report(path, reason, object);
    }

    fn report(&mut self, path: String, reason: Defect, object: Option<ObjectId>) {
        self.is_silent = false;
        let snapshot = self.snapshot.clone();
        let path = match (self.below, &*path) {
            ("", _) => path,
            (below, "") => below.to_owned(),
            (below, path) => format!("{below}/{path}"),
        };
        (self.visit)(AffectedEntry { snapshot, path, object, reason });
    }
}
