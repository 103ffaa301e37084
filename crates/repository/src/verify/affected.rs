//! Lists the entries of snapshots that cannot be restored as they were.

use std::collections::HashSet;
use std::ops::ControlFlow;

use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Summary};

use super::contents::Damaged;
use super::headed::Unfit;
use super::{AffectedEntry, Subject};
use crate::choice::Chosen;
use crate::contents::{ContentLocation, Origin};
use crate::object::{Extent, Extents};
use crate::tree::{CurrentPath, Order, Problem, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Repository, Snapshot, Trail};

/// Looks for affected entries in the snapshots that it walks.
struct Search<'a> {
    repository: &'a Repository,
    damaged: &'a Damaged,
    suspects: &'a HashSet<ObjectId>,
    /// Directories that were visited. As each is followed by all below it, one that is met again was searched
    /// whole.
    visited: HashSet<ObjectId>,
    /// Whether of a directory something else may be taken by each of its paths.
    is_part: bool,
    /// Those of them in which an entry is affected, however deep: only they are visited again, for their
    /// other paths.
    affected: HashSet<ObjectId>,
    /// Of the directory that is being visited.
    path: CurrentPath,
    /// The directory of which an entry was told last: all that it lies in are among them.
    told_last: Option<Trail>,
    /// Whether entries of the directory that is being visited may be affected although no content is damaged.
    is_suspect: bool,
    snapshot: Option<Snapshot>,
    /// What paths begin with.
    below: &'a str,
    visit: &'a mut dyn FnMut(AffectedEntry),
}

/// Lists every entry that needs a damaged content, or cannot be restored for another reason. Where no content
/// is damaged, only entries of suspect directories are looked at.
pub(super) fn list(
    repository: &Repository,
    subjects: &[Subject],
    chosen: Option<&Chosen>,
    damaged: &Damaged,
    suspects: &HashSet<ObjectId>,
    visit: &mut dyn FnMut(AffectedEntry),
) {
    let mut search = Search {
        repository,
        damaged,
        suspects,
        visited: HashSet::new(),
        is_part: chosen.is_some(),
        affected: HashSet::new(),
        path: CurrentPath::default(),
        told_last: None,
        is_suspect: false,
        snapshot: None,
        below: "",
        visit,
    };
    for Subject { snapshot, entry: root, path } in subjects {
        search.snapshot.clone_from(snapshot);
        search.below = path;
        if let Some(why) = search.why_affected(root) {
            search.tell(String::new(), why, Some(root.object()));
        }
        if root.kind() == EntryKind::Directory {
            let walk = Walk::new(repository).order(Order::DepthFirst).choosing(chosen);
            let _ = walk.run([(root, ())], &mut search);
        }
    }
}

impl Visitor for Search<'_> {
    type Directory = ();

    fn is_known(&mut self, directory: &Walked<()>) -> bool {
        let is_sound = |object| self.visited.contains(&object) && !self.affected.contains(&object);
        !self.is_part && directory.is_whole && directory.trail.object().is_some_and(is_sound)
    }

    fn enter(&mut self, directory: &mut Walked<()>) -> ControlFlow<()> {
        self.path.enter(&directory.trail);
        let object = directory.trail.object();
        self.is_suspect = !directory.is_whole || object.is_some_and(|object| self.suspects.contains(&object));
        if directory.is_whole {
            self.visited.extend(object);
        }
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, parent: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
        self.look_at(parent, &entry);
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        parent: &mut Walked<()>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        let is_told = self.look_at(parent, entry);
        if let Err(defect) = way
            && !is_told
        {
            let object = (!entry.is_implied()).then(|| entry.object());
            self.tell_in(&parent.trail, entry.name(), defect, object);
        }
        ControlFlow::Continue(Some(()))
    }

    fn problem(&mut self, parent: &mut Walked<()>, problem: Problem) -> ControlFlow<()> {
        // Of the others there are none where names are taken as they are.
        if let Some(refused) = problem.refused() {
            let (name, object) = (refused.name.clone(), refused.object);
            self.tell_in(&parent.trail, &name, refused.into(), object);
        }
        ControlFlow::Continue(())
    }

    fn leave(&mut self, directory: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        if let Err(error) = read {
            let object = directory.trail.object();
            self.mark(&directory.trail);
            // What its contents lack was told where the directory was an entry.
            if object.and_then(|object| self.why_object_affected(object)).is_none() {
                self.tell(self.path.path_of(""), error.into(), object);
            }
        }
        ControlFlow::Continue(())
    }
}

impl Search<'_> {
    /// Tells of an entry if it is affected, and returns whether it is.
    fn look_at(&mut self, parent: &Walked<()>, entry: &Entry) -> bool {
        if !self.is_suspect && self.damaged.is_empty() {
            return false;
        }
        let why = self.why_affected(entry);
        let is_affected = why.is_some();
        if let Some(why) = why {
            self.tell_in(&parent.trail, entry.name(), why, Some(entry.object()));
        }
        is_affected
    }

    /// Tells of an affected entry of a directory, which will be visited again wherever it is met.
    fn tell_in(&mut self, parent: &Trail, name: &str, reason: Defect, object: Option<ObjectId>) {
        self.mark(parent);
        self.tell(self.path.path_of(name), reason, object);
    }

    /// Marks a directory and all that it lies in as affected.
    fn mark(&mut self, directory: &Trail) {
        self.affected.extend(directory.objects_apart_from(self.told_last.as_ref()));
        self.told_last = Some(directory.clone());
    }

    fn tell(&mut self, path: String, reason: Defect, object: Option<ObjectId>) {
        let snapshot = self.snapshot.clone();
        let path = match (self.below, &*path) {
            ("", _) => path,
            (below, "") => below.to_owned(),
            (below, path) => format!("{below}/{path}"),
        };
        (self.visit)(AffectedEntry { snapshot, path, object, reason });
    }

    /// Returns why an entry cannot be restored as it was, if that is so.
    fn why_affected(&self, entry: &Entry) -> Option<Defect> {
        if entry.is_implied() {
            return None;
        }
        let object = entry.object();
        if let Some(why) = self.why_object_affected(object) {
            return Some(why);
        }
        // A restore reports these, too.
        match entry.kind() {
            EntryKind::File => {
                let (found, stated) = (self.length(object)?, entry.size());
                (found != stated).then_some(Defect::Length { found, stated })
            }
            EntryKind::Symlink => Extents::new(self.repository, object).nth(1).map(|_| Defect::LongTarget),
            EntryKind::Directory => None,
        }
    }

    /// Returns how many bytes an object has; nothing if only its compressed bytes tell, and nobody expects
    /// others.
    fn length(&self, object: ObjectId) -> Option<u64> {
        let mut length = 0;
        for extent in Extents::new(self.repository, object) {
            let extent = extent.ok()?;
            let own = match extent.length {
                Some(length) => length,
                None => self.unpacked(&extent)?,
            };
            length = extent.start + own;
        }
        Some(length)
    }

    /// Returns why an object cannot be read whole, if that is so.
    fn why_object_affected(&self, object: ObjectId) -> Option<Defect> {
        if let Some(list) = object.list()
            && let Some(why) = self.why_object_affected(list)
        {
            return Some(why);
        }
        for extent in Extents::new(self.repository, object) {
            let contents = self.repository.contents();
            let located = extent.and_then(|extent| Ok((extent, contents.locate(&extent.content)?)));
            let (extent, location) = match located {
                Ok(located) => located,
                Err(error) => return Some(error.into()),
            };
            let content = extent.content;
            let word =
                self.damaged.contents.get(&content).filter(|_| !self.repository.object_is_empty(object));
            if let Some(&word) = word {
                let Origin { blob, offset, .. } = contents.origin(&location);
                return Some(Defect::Damaged { content, blob, offset, word });
            }
            if let Some(why) = self.why_unfit(&extent, &location) {
                return Some(why);
            }
        }
        None
    }

    /// Returns why an extent is not what its list says, if that is so.
    fn why_unfit(&self, extent: &Extent, location: &ContentLocation) -> Option<Defect> {
        if let (true, Some(Unfit::Unreadable(error))) =
            (extent.compressed, self.damaged.unfit.get(&extent.content))
        {
            return Some(Defect::Unreadable(error.clone()));
        }
        let found = if extent.compressed { self.unpacked(extent)? } else { location.plain_length() };
        let stated = extent.length?;
        (found != stated).then_some(Defect::ContentLength { content: extent.content, found, stated })
    }

    /// Returns how many bytes a content with a compression header of its own has, if others are expected.
    fn unpacked(&self, extent: &Extent) -> Option<u64> {
        match self.damaged.unfit.get(&extent.content) {
            Some(Unfit::Length(found)) if extent.compressed => Some(*found),
            _ => None,
        }
    }
}
