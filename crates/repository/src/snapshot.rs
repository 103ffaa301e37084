//! What was backed up, and when.

mod parse;
mod reader;
mod served;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kopia_format::manifest::{self, Manifest};
use kopia_format::snapshot::{SnapshotManifest, Source};
use kopia_format::{ManifestId, Timestamp};

use crate::index::{ATTEMPTS, Indexes};
use crate::select::{Filter, Pick};
use crate::{Entry, Error, Repository, Result};
use reader::ManifestReader;
pub(crate) use reader::{LONGEST_LIST, memory_of, too_long, too_many};

/// A snapshot of a repository. What it was made of is in [`Self::manifest`]. It is cheap to clone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    repository: Repository,
    manifest: Arc<SnapshotManifest>,
    deleted: bool,
    root_is_guessed: bool,
}

/// All snapshots of a repository, incomplete ones too, grouped by source, each group by time.
#[derive(Debug, Clone)]
pub struct Snapshots {
    list: Vec<Snapshot>,
    lost: Vec<Arc<Error>>,
    hides_deleted: bool,
    /// Manifests of which the last thing known is that they were deleted.
    tombstones: Vec<ManifestId>,
}

impl Repository {
    /// Reads all manifests, of snapshots, policies and whatever else kopia wrote, by their ids.
    ///
    /// # Errors
    /// As for [`Self::snapshots`], also if a manifest of something else is larger than is read;
    /// [`kopia_storage::Error::NoBlobs`] behind a server.
    pub fn manifests(&self) -> Result<Vec<Manifest>> {
        let indexes = self.indexes()?.snapshot();
        let read = ManifestReader::of_all(self).read(&indexes.table.manifests().live);
        let lists = read.into_iter().collect::<Result<Vec<_>>>()?;
        let checked = |mut manifest: Manifest| match manifest.refused.take() {
            Some(refused) => Err(Error::manifest(&manifest.id, *refused)),
            None => Ok(manifest),
        };
        manifest::latest(lists.into_iter().flatten()).into_iter().map(checked).collect()
    }

    /// Reads the list of snapshots: one read for each run of neighbouring manifest contents. A server lists
    /// those that its user may see.
    ///
    /// It is the list as of when indexes were read, or of later if others have since removed what it was made
    /// of. A repository opened with [`OpenOptions::deleted`](crate::OpenOptions::deleted) lists deleted
    /// snapshots, too.
    ///
    /// # Errors
    /// As for [`Contents::read`](crate::Contents::read); [`Error::CorruptSnapshot`]; [`Error::Unsupported`] if
    /// a manifest is larger than is read. A list with gaps would be a lie. A repository that was opened degraded
    /// has them in [`Snapshots::lost`] instead.
    pub fn snapshots(&self) -> Result<Snapshots> {
        self.list_snapshots(self.options().degraded)
    }

    /// As [`Self::snapshots`]; with `degraded`, gaps are in [`Snapshots::lost`] and end nothing.
    pub(crate) fn list_snapshots(&self, degraded: bool) -> Result<Snapshots> {
        if let Some(server) = self.server() {
            return self.served_snapshots(server, degraded);
        }
        let live = self.indexes()?;
        for _ in 1..ATTEMPTS {
            let indexes = live.snapshot();
            let snapshots = self.snapshots_of(&indexes, degraded);
            // Others replaced manifests, and removed the old ones before they were read.
            let gap = snapshots.as_ref().map_or(true, |snapshots| !snapshots.lost.is_empty());
            if !gap || Arc::ptr_eq(&indexes, &live.snapshot()) {
                return snapshots;
            }
        }
        self.snapshots_of(&live.snapshot(), degraded)
    }

    /// Lists the snapshots that these indexes know.
    fn snapshots_of(&self, indexes: &Indexes, degraded: bool) -> Result<Snapshots> {
        let mut lost = Vec::new();
        let manifests = indexes.table.manifests();
        let mut reader = ManifestReader::new(self);
        let live = all_or_some(degraded, reader.read(&manifests.live), &mut lost)?;
        let tombstones: Vec<_> =
            live.iter().flatten().filter(|state| state.deleted).map(|state| state.id.clone()).collect();
        let deleted = !manifests.deleted.is_empty() || !tombstones.is_empty();
        let hides_deleted = deleted && !self.options().deleted;
        let (live, back) = if self.options().deleted {
            let mut states = reader.read(&manifests.deleted);
            // Packs that hold nothing else are removed sooner or later, as they should be.
            let gone = |error: &Error| matches!(error, Error::Storage(error) if error.is_not_found());
            states.retain(|state| !state.as_ref().is_err_and(gone));
            with_brought_back(live, all_or_some(degraded, states, &mut lost)?)
        } else {
            (manifest::latest(live.into_iter().flatten()), Vec::new())
        };
        drop(reader);
        let mut list = all_or_some(degraded, self.parse(live, back), &mut lost)?;
        sort(&mut list);
        Ok(Snapshots { list, lost, hides_deleted, tombstones })
    }
}

impl Snapshot {
    /// Returns everything that its manifest says; it serializes to kopia's JSON.
    pub fn manifest(&self) -> &SnapshotManifest {
        &self.manifest
    }

    /// Returns its id.
    pub fn id(&self) -> &str {
        self.manifest.id()
    }

    /// Returns what was backed up.
    pub fn source(&self) -> &Source {
        self.manifest.source()
    }

    /// Returns when the backup began.
    pub fn start_time(&self) -> Timestamp {
        self.manifest.start_time()
    }

    /// Says whether it was deleted, and is listed because
    /// [`OpenOptions::deleted`](crate::OpenOptions::deleted) says so.
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Returns how many bytes and files it has: from the summary of its root or, in old repositories, from what
    /// the backup counted.
    pub fn totals(&self) -> (u64, u64) {
        let (bytes, files) = match self.manifest.summary() {
            Some(summary) => (summary.size, summary.files),
            None => (self.manifest.stats().total_size, self.manifest.stats().file_count),
        };
        (bytes.try_into().unwrap_or_default(), files.try_into().unwrap_or_default())
    }

    /// Returns what sets it apart from others: that it was deleted or is incomplete, its pins and its tags.
    pub fn marks(&self) -> Vec<String> {
        let mut marks = Vec::new();
        marks.extend(self.deleted.then(|| "deleted".to_owned()));
        marks.extend(self.manifest.incomplete().map(|reason| format!("incomplete: {reason}")));
        marks.extend(self.manifest.pins().iter().map(|pin| format!("pin {pin}")));
        let tag =
            |(key, value): (&String, &String)| format!("{}:{value}", key.strip_prefix("tag:").unwrap_or(key));
        marks.extend(self.manifest.tags().iter().map(tag));
        marks
    }

    /// Returns its root: a directory or a single file. One without a name has the last one of the path that
    /// was backed up.
    ///
    /// # Errors
    /// [`Error::CorruptSnapshot`] if the manifest names none.
    pub fn root(&self) -> Result<Entry> {
        let corrupt = |refused: kopia_format::directory::Refused| Error::CorruptSnapshot {
            id: self.id().into(),
            why: refused.to_string(),
        };
        let mut root = self.manifest.root().map_err(corrupt)?;
        if root.name.split('/').all(|name| matches!(name, "" | "." | "..")) {
            let last = self.source().path.rsplit('/').find(|name| !name.is_empty());
            root.name = last.unwrap_or_default().to_owned().into();
        }
        let root = Entry::new(&self.repository, root);
        Ok(if self.root_is_guessed { root.guessed() } else { root })
    }

    /// Returns whether its backup was finished.
    pub fn is_complete(&self) -> bool {
        self.manifest.incomplete().is_none()
    }

    /// What snapshots of a source are ordered by.
    pub(crate) fn order(&self) -> (Timestamp, Timestamp) {
        (self.manifest.start_time(), self.manifest.end_time())
    }
}

impl Snapshots {
    /// Returns all of them, grouped by source, each group by time.
    pub fn iter(&self) -> std::slice::Iter<'_, Snapshot> {
        self.list.iter()
    }

    /// Returns why parts of the list could not be read, if the repository was opened degraded.
    pub fn lost(&self) -> &[Arc<Error>] {
        &self.lost
    }

    /// Returns whether something was deleted that may be a snapshot and may still be there: a repository
    /// opened with [`OpenOptions::deleted`](crate::OpenOptions::deleted) tells. Never so where it was opened
    /// in this way.
    pub fn hides_deleted(&self) -> bool {
        self.hides_deleted
    }

    /// Returns the manifests of which the last thing known is that they were deleted.
    pub(crate) fn tombstones(&self) -> &[ManifestId] {
        &self.tombstones
    }

    /// Returns the sources, sorted.
    pub fn sources(&self) -> Vec<&Source> {
        let mut sources: Vec<_> = self.iter().map(Snapshot::source).collect();
        sources.dedup();
        sources
    }

    /// Returns the newest complete snapshot of a source; a deleted one only if there is no other.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the sources there are.
    pub fn latest(&self, source: &Source) -> Result<&Snapshot> {
        let complete = |snapshot: &Snapshot| snapshot.source() == source && snapshot.is_complete();
        self.newest(complete).ok_or_else(|| Error::NotFound {
            what: format!("complete snapshot of {source}"),
            candidates: self.sources().iter().map(ToString::to_string).collect(),
        })
    }

    /// Returns the newest of those that `wanted` accepts; a deleted one only if there is no other.
    pub(crate) fn newest(&self, wanted: impl Fn(&Snapshot) -> bool) -> Option<&Snapshot> {
        self.picked(Pick::default(), wanted)
    }

    /// Returns the one that is picked of those that `wanted` accepts; deleted ones come after all others.
    pub(crate) fn picked(&self, pick: Pick, wanted: impl Fn(&Snapshot) -> bool) -> Option<&Snapshot> {
        let mut wanted: Vec<_> = self.iter().filter(|snapshot| wanted(snapshot)).collect();
        match pick {
            Pick::Newest(back) => {
                wanted.sort_by_key(|snapshot| (!snapshot.deleted, snapshot.order()));
                wanted.into_iter().rev().nth(back)
            }
            Pick::Oldest => wanted.into_iter().min_by_key(|snapshot| (snapshot.deleted, snapshot.order())),
        }
    }

    /// Keeps those that a filter admits.
    #[must_use]
    pub fn admitted(&self, filter: &Filter) -> Self {
        let mut admitted = self.clone();
        admitted.list.retain(|snapshot| filter.admits(snapshot));
        admitted
    }

    /// As [`Self::admitted`], without a copy, where something has to be left.
    ///
    /// # Errors
    /// [`Error::NotFound`] with all sources if there are snapshots, and the filter admits none.
    pub fn some_admitted(mut self, filter: &Filter) -> Result<Self> {
        if !self.list.is_empty() && !self.list.iter().any(|snapshot| filter.admits(snapshot)) {
            let candidates = self.sources().iter().map(ToString::to_string).collect();
            let what = "snapshot of such a host, user, path or tag".into();
            return Err(Error::NotFound { what, candidates });
        }
        self.list.retain(|snapshot| filter.admits(snapshot));
        Ok(self)
    }
}

/// Groups snapshots by source, and sorts each group by time.
fn sort(list: &mut [Snapshot]) {
    list.sort_by_cached_key(|snapshot| {
        (snapshot.source().to_string(), snapshot.order(), snapshot.id().to_string())
    });
}

/// Fails if one failed; degraded, it goes on with the others.
fn all_or_some<T>(degraded: bool, results: Vec<Result<T>>, lost: &mut Vec<Arc<Error>>) -> Result<Vec<T>> {
    if !degraded {
        return results.into_iter().collect();
    }
    let keep = |result: Result<T>| result.map_err(|error| lost.push(Arc::new(error))).ok();
    Ok(results.into_iter().filter_map(keep).collect())
}

/// Returns the last state of the manifests there are, and that of those that are deleted: of these, that of a
/// tombstone counts for nothing.
fn with_brought_back(
    live: Vec<Vec<Manifest>>,
    deleted: Vec<Vec<Manifest>>,
) -> (Vec<Manifest>, Vec<Manifest>) {
    let mut last: HashMap<&ManifestId, &Manifest> = HashMap::new();
    for state in live.iter().flatten() {
        let known = last.entry(&state.id).or_insert(state);
        if known.modified < state.modified {
            *known = state;
        }
    }
    let last = last.into_values().filter(|state| !state.deleted);
    let there: HashSet<ManifestId> = last.map(|state| state.id.clone()).collect();
    let (live, gone): (Vec<_>, Vec<_>) =
        live.into_iter().flatten().partition(|state| there.contains(&state.id));
    let gone = gone.into_iter().chain(deleted.into_iter().flatten());
    let back = gone.filter(|state| !state.deleted && !there.contains(&state.id));
    (manifest::latest(live), manifest::latest(back))
}

impl<'a> IntoIterator for &'a Snapshots {
    type Item = &'a Snapshot;
    type IntoIter = std::slice::Iter<'a, Snapshot>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
