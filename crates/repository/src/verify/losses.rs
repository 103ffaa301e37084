//! Says which paths of which snapshots are lost.

use std::collections::HashSet;

use kopia_format::directory::EntryKind;
use kopia_format::{ContentId, ObjectId};

use super::Loss;
use crate::object::Pieces;
use crate::{Entry, Repository, Snapshot};

/// A folder that is being walked.
struct Level {
    object: ObjectId,
    path: String,
    /// Folders in it that are still to be walked: paths and objects.
    below: Vec<(String, ObjectId)>,
    /// Whether anything in it is lost.
    lost: bool,
}

/// Walks snapshots and looks for what is lost.
struct Search<'a> {
    repository: &'a Repository,
    damaged: &'a HashSet<ContentId>,
    incomplete: &'a HashSet<ObjectId>,
    /// Folders in which nothing is lost; they are walked once, however many snapshots have them.
    sound: HashSet<ObjectId>,
}

/// Lists every entry that needs a damaged content, or cannot be read for another reason.
pub(super) fn list(
    repository: &Repository,
    roots: &[(Option<Snapshot>, Entry)],
    damaged: &HashSet<ContentId>,
    incomplete: &HashSet<ObjectId>,
    visit: &mut dyn FnMut(Loss),
) {
    let mut search = Search { repository, damaged, incomplete, sound: HashSet::new() };
    for (snapshot, root) in roots {
        let mut lost = |path: String, why: String| visit(Loss { snapshot: snapshot.clone(), path, why });
        if let Some(why) = search.why_lost(root.object()) {
            lost(String::new(), why);
        }
        if root.kind() == EntryKind::Directory {
            search.folder(root.object(), &mut lost);
        }
    }
}

impl Search<'_> {
    /// Walks a folder and all below it.
    fn folder(&mut self, root: ObjectId, lost: &mut dyn FnMut(String, String)) {
        let mut levels = vec![self.read(root, String::new(), lost)];
        while let Some(level) = levels.last_mut() {
            match level.below.pop() {
                // A folder that contains itself would never end.
                Some((path, object)) if levels.iter().any(|level| level.object == object) => {
                    if self.why_lost(object).is_none() {
                        lost(path, "the folder contains itself".into());
                    }
                    levels.iter_mut().for_each(|level| level.lost = true);
                }
                Some((_, object)) if self.sound.contains(&object) => {}
                Some((path, object)) => levels.push(self.read(object, path, lost)),
                None => {
                    let Some(level) = levels.pop() else { return };
                    match levels.last_mut() {
                        Some(above) if level.lost => above.lost = true,
                        _ => {}
                    }
                    if !level.lost {
                        self.sound.insert(level.object);
                    }
                }
            }
        }
    }

    /// Reads one folder and tells of the entries in it that are lost.
    fn read(&self, object: ObjectId, path: String, lost: &mut dyn FnMut(String, String)) -> Level {
        let mut level = Level { object, path, below: Vec::new(), lost: false };
        let within = |name: &str| match &*level.path {
            "" => name.to_string(),
            path => format!("{path}/{name}"),
        };
        let read = Entry::of_directory(self.repository, object).for_each(|entry| match entry {
            Ok(entry) => {
                if let Some(why) = self.why_lost(entry.object()) {
                    level.lost = true;
                    lost(within(entry.name()), why);
                }
                if entry.kind() == EntryKind::Directory {
                    level.below.push((within(entry.name()), entry.object()));
                }
            }
            Err(refused) => {
                level.lost = true;
                lost(within(&refused.name), refused.why);
            }
        });
        if let Err(error) = read {
            level.lost = true;
            // What its contents lack was told where the folder was an entry.
            if self.why_lost(object).is_none() {
                lost(level.path.clone(), error.to_string());
            }
        }
        // Walked from the end.
        level.below.reverse();
        level
    }

    /// Says why an object cannot be read whole, if that is so.
    fn why_lost(&self, object: ObjectId) -> Option<String> {
        if !self.incomplete.contains(&object) && self.damaged.is_empty() {
            return None;
        }
        if let Some(list) = object.list()
            && let Some(why) = self.why_lost(list)
        {
            return Some(why);
        }
        for run in Pieces::new(self.repository, object) {
            match run.and_then(|run| self.repository.find(&run.content).map(|place| (run, place))) {
                Ok((run, place))
                    if self.damaged.contains(&run.content) && !self.repository.is_empty(object) =>
                {
                    let pack = self.repository.pack(place.pack);
                    return Some(format!(
                        "content {} in pack {pack} at {} cannot be read",
                        run.content, place.offset
                    ));
                }
                Ok(_) => {}
                Err(error) => return Some(error.to_string()),
            }
        }
        None
    }
}
