//! Sources and their snapshots, as they are shown.

use std::ops::Range;

use kopia_format::Timestamp;
use kopia_repository::Snapshots;

/// Something that was backed up, once or many times.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// user@host:/path.
    pub(crate) name: String,
    /// Its snapshots in [`Catalogue::snapshots`], the newest first.
    pub(crate) snapshots: Range<usize>,
}

/// A snapshot of a source.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) time: Timestamp,
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    /// What sets it apart.
    pub(crate) marks: Vec<String>,
}

/// All sources and snapshots; numbers of them are places in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalogue {
    pub(crate) sources: Vec<Source>,
    pub(crate) snapshots: Vec<Taken>,
}

impl Catalogue {
    /// Makes it of the list of a repository, and returns which of these each snapshot is.
    pub(crate) fn new(all: &Snapshots) -> (Self, Vec<kopia_repository::Snapshot>) {
        let list: Vec<_> = all.iter().collect();
        let (mut catalogue, mut handles) = (Self::default(), Vec::new());
        for group in list.chunk_by(|a, b| a.source() == b.source()) {
            let first = handles.len();
            for snapshot in group.iter().rev() {
                let (bytes, files) = snapshot.totals();
                let (id, time) = (snapshot.id().to_owned(), snapshot.start_time());
                catalogue.snapshots.push(Taken { id, time, bytes, files, marks: snapshot.marks() });
                handles.push((*snapshot).clone());
            }
            let name = group[0].source().to_string();
            catalogue.sources.push(Source { name, snapshots: first..handles.len() });
        }
        (catalogue, handles)
    }

    /// Returns the snapshots of a source, the newest first.
    pub(crate) fn snapshots_of(&self, source: usize) -> Range<usize> {
        self.sources.get(source).map_or(0..0, |source| source.snapshots.clone())
    }

    /// Returns the number of the source that a snapshot is of.
    pub(crate) fn source_of(&self, snapshot: usize) -> usize {
        self.sources.iter().position(|source| source.snapshots.contains(&snapshot)).unwrap_or(0)
    }

    /// Returns the snapshot of the same source that was made next, or before.
    pub(crate) fn beside(&self, snapshot: usize, way: Way) -> Option<usize> {
        let range = self.snapshots_of(self.source_of(snapshot));
        let other = match way {
            Way::Older => snapshot.checked_add(1)?,
            Way::Newer => snapshot.checked_sub(1)?,
        };
        range.contains(&other).then_some(other)
    }
}

/// Where to go in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Older,
    Newer,
}
