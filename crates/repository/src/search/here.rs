//! Where a search is, and what it tells from there.

use kopia_format::directory::Refused;

use super::{Event, Found};
use crate::tree::{Order, Walk, Walked};
use crate::{Defect, Entry, Repository};

/// What is attached to a directory.
pub(super) struct Here {
    /// The number of the place.
    pub(super) place: usize,
    /// What stands for its path.
    pub(super) path: u64,
}

impl Walked<Here> {
    /// Tells of an entry of the directory that is looked for.
    pub(super) fn found(&self, entry: &Entry) -> Event {
        let (place, path) = (self.attached.place, self.path_of(entry.name()));
        Event::Found(Found { place, path, entry: entry.clone() })
    }

    /// Tells what is wrong with an entry of the directory, or with itself for an empty name.
    pub(super) fn problem(&self, name: &str, defect: Defect) -> Event {
        Event::Problem { place: self.attached.place, path: self.path_of(name), defect }
    }

    /// Tells of an entry that is left out.
    pub(super) fn refused(&self, refused: Refused) -> Event {
        Event::Problem {
            place: self.attached.place,
            path: self.path_of(&refused.name),
            defect: refused.into(),
        }
    }
}

/// Returns how so many roots are walked: of one path, the version of the root that comes first is visited
/// first. From a slow store, the directories of many snapshots are better read at once.
pub(super) fn walk(repository: &Repository, roots: usize) -> Walk<'_> {
    let walk = Walk::new(repository);
    if roots > 1 && repository.contents().is_far() {
        walk.order(Order::Batches)
    } else {
        walk.order(Order::DepthFirst).read_ahead()
    }
}
