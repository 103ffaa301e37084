//! Says which paths of which snapshots are lost.

use std::collections::HashSet;

use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Refusal, Refused};

use super::Loss;
use super::contents::Damaged;
use crate::contents::Origin;
use crate::tree::DirectorySource;
use crate::object::{Extent, Extents};
use crate::{Defect, Entry, Repository, Snapshot};

/// A folder that is being walked.
struct Level {
    /// Its object, if it is one. What names put into it is not kept: those of all that wait could take any memory.
    object: Option<ObjectId>,
    /// Whether the object alone says what is in it.
    whole: bool,
    /// Its name, empty for the root. Paths are made only of what is lost: those of all that waits could take any memory.
    name: Box<str>,
    /// Folders in it that are still to be walked, by name.
    below: Vec<(Box<str>, DirectorySource)>,
    /// Whether anything in it is lost.
    lost: bool,
}

/// Walks snapshots and looks for what is lost.
struct Search<'a> {
    repository: &'a Repository,
    damaged: &'a Damaged,
    suspects: &'a HashSet<ObjectId>,
    /// Folders in which nothing is lost; they are walked once, however many snapshots have them.
    sound: HashSet<ObjectId>,
}

/// What is told of: a path, why it is lost, and the object that has what is left of it.
type Tell<'t> = dyn FnMut(String, Defect, Option<ObjectId>) + 't;

/// Lists every entry that needs a damaged content, or cannot be restored for another reason. Where no content is damaged, only
/// entries of suspect folders are looked at.
pub(super) fn list(
    repository: &Repository,
    roots: &[(Option<Snapshot>, Entry)],
    damaged: &Damaged,
    suspects: &HashSet<ObjectId>,
    visit: &mut dyn FnMut(Loss),
) {
    let mut search = Search { repository, damaged, suspects, sound: HashSet::new() };
    for (snapshot, root) in roots {
        let mut lost =
            |path, reason, object| visit(Loss { snapshot: snapshot.clone(), path, object, reason });
        if let Some(why) = search.why_lost(root) {
            lost(String::new(), why, Some(root.object()));
        }
        if root.kind() == EntryKind::Directory {
            search.folder(root.source(), &mut lost);
        }
    }
}

impl Search<'_> {
    /// Walks a folder and all below it.
    fn folder(&mut self, root: DirectorySource, lost: &mut Tell<'_>) {
        let mut levels = Vec::new();
        self.enter(&mut levels, "".into(), root, lost);
        while let Some(level) = levels.last_mut() {
            match level.below.pop() {
                // A folder that contains itself would never end.
                Some((name, source)) if contains(&levels, &source) => {
                    if self.why_object_lost(source.object).is_none() {
                        lost(path(&levels, &name), Defect::ContainsItself, source.object());
                    }
                    levels.iter_mut().for_each(|level| level.lost = true);
                }
                Some((_, source)) if source.is_whole() && self.sound.contains(&source.object) => {}
                Some((name, source)) => self.enter(&mut levels, name, source, lost),
                None => {
                    let Some(level) = levels.pop() else { return };
                    match levels.last_mut() {
                        Some(above) if level.lost => above.lost = true,
                        _ => {}
                    }
                    if let (false, true, Some(object)) = (level.lost, level.whole, level.object) {
                        self.sound.insert(object);
                    }
                }
            }
        }
    }

    /// Reads one folder and tells of the entries in it that are lost.
    fn enter(&self, levels: &mut Vec<Level>, name: Box<str>, source: DirectorySource, lost: &mut Tell<'_>) {
        let (object, whole) = (source.object(), source.is_whole());
        levels.push(Level { object, whole, name, below: Vec::new(), lost: false });
        let suspect = !whole || self.suspects.contains(&source.object);
        let (mut below, mut any_lost) = (Vec::new(), false);
        let mut names: HashSet<Box<str>> = HashSet::new();
        let mut tell = |name: &str, why, object| {
            any_lost = true;
            lost(path(levels, name), why, object);
        };
        let fetched = Entry::fetch_some(self.repository, std::iter::once(source.clone()));
        let read = fetched.into_iter().next().expect("one was asked for").for_each(|entry| match entry {
            Ok(entry) => {
                if suspect && !names.insert(entry.name().into()) {
                    let doubled = Refused {
                        name: entry.name().into(),
                        why: Refusal::Doubled,
                        object: Some(entry.object()),
                    };
                    let object = doubled.object;
                    return tell(entry.name(), doubled.into(), object);
                }
                if (suspect || !self.damaged.is_empty())
                    && let Some(why) = self.why_lost(&entry)
                {
                    tell(entry.name(), why, Some(entry.object()));
                }
                if entry.kind() == EntryKind::Directory {
                    below.push((entry.name().into(), entry.source()));
                }
            }
            Err(refused) => tell(&refused.name.clone(), refused.clone().into(), refused.object),
        });
        if let Err(error) = read {
            any_lost = true;
            // What its contents lack was told where the folder was an entry.
            if self.why_object_lost(source.object).is_none() {
                lost(path(levels, ""), error.into(), source.object());
            }
        }
        // Walked from the end.
        below.reverse();
        if let Some(level) = levels.last_mut() {
            (level.below, level.lost) = (below, any_lost);
        }
    }

    /// Says why an entry cannot be restored as it was, if that is so.
    fn why_lost(&self, entry: &Entry) -> Option<Defect> {
        if entry.is_implied() {
            return None;
        }
        let object = entry.object();
        if let Some(why) = self.why_object_lost(object) {
            return Some(why);
        }
        // What a restore says of them.
        match entry.kind() {
            EntryKind::File => {
                let (found, stated) = (self.length(object)?, entry.size());
                (found != stated).then_some(Defect::Length { found, stated })
            }
            EntryKind::Symlink => Extents::new(self.repository, object).nth(1).map(|_| Defect::LongTarget),
            EntryKind::Directory => None,
        }
    }

    /// Returns how many bytes an object has, unless only its compressed bytes tell.
    fn length(&self, object: ObjectId) -> Option<u64> {
        let mut length = 0;
        for extent in Extents::new(self.repository, object) {
            let extent = extent.ok()?;
            length = extent.start + extent.length?;
        }
        Some(length)
    }

    /// Says why an object cannot be read whole, if that is so.
    fn why_object_lost(&self, object: ObjectId) -> Option<Defect> {
        if let Some(list) = object.list()
            && let Some(why) = self.why_object_lost(list)
        {
            return Some(why);
        }
        for extent in Extents::new(self.repository, object) {
            let contents = self.repository.contents();
            let located = extent.and_then(|Extent { content, .. }| Ok((content, contents.locate(&content)?)));
            let (content, location) = match located {
                Ok(located) => located,
                Err(error) => return Some(error.into()),
            };
            let word = self.damaged.get(&content).filter(|_| !self.repository.object_is_empty(object));
            if let Some(&word) = word {
                let Origin { blob, offset, .. } = contents.origin(&location);
                return Some(Defect::Damaged { content, blob, offset, word });
            }
        }
        None
    }
}

/// Returns whether a folder is one of those that are being walked.
fn contains(levels: &[Level], source: &DirectorySource) -> bool {
    let object = source.object();
    object.is_some() && levels.iter().any(|level| level.object == object)
}

/// Returns the path of an entry of the innermost folder, or of that folder itself for an empty name.
fn path(levels: &[Level], name: &str) -> String {
    let names = levels.iter().map(|level| &*level.name).chain([name]);
    names.filter(|name| !name.is_empty()).collect::<Vec<_>>().join("/")
}
