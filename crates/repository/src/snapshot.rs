//! What was backed up, and when.

use kopia_format::manifest::{self, Manifest};
use kopia_format::snapshot::{Snapshot as Manifested, Source};
use kopia_format::{ContentId, Timestamp};
use rayon::prelude::*;

use crate::{Entry, Error, Repository, Result};

/// A snapshot of a repository. What it was made of is in [`Self::manifest`].
#[derive(Debug, Clone)]
pub struct Snapshot {
    repository: Repository,
    manifest: Manifested,
}

/// All snapshots of a repository, incomplete ones too, grouped by source, each group by time.
#[derive(Debug, Clone)]
pub struct Snapshots {
    list: Vec<Snapshot>,
    lost: Vec<String>,
}

impl Repository {
    /// Reads the list of snapshots: one read for each run of neighbouring manifest contents.
    ///
    /// # Errors
    /// As for [`Repository::read_content`] and [`Error::CorruptSnapshot`]: a list with gaps would be a lie. A repository that
    /// was opened degraded has them in [`Snapshots::lost`] instead.
    pub fn snapshots(&self) -> Result<Snapshots> {
        let states = self.manifest_contents().par_iter().map(|content| self.manifests(content));
        let mut lost = Vec::new();
        let states = self.all_or_some(states.collect(), &mut lost)?;
        let parsed = manifest::latest(states.into_iter().flatten())
            .iter()
            .filter(|manifest| manifest.is_snapshot())
            .map(|manifest| {
                let snapshot = Manifested::parse(manifest).map_err(|error| Error::CorruptSnapshot {
                    id: manifest.id.to_string(),
                    why: error.to_string(),
                })?;
                Ok(Snapshot { repository: self.clone(), manifest: snapshot })
            })
            .collect();
        let mut list = self.all_or_some(parsed, &mut lost)?;
        list.sort_by_cached_key(|snapshot| {
            (snapshot.source().to_string(), snapshot.order(), snapshot.id().to_string())
        });
        Ok(Snapshots { list, lost })
    }

    /// Fails if one failed; a degraded repository goes on with the others.
    fn all_or_some<T>(&self, results: Vec<Result<T>>, lost: &mut Vec<String>) -> Result<Vec<T>> {
        if !self.is_degraded() {
            return results.into_iter().collect();
        }
        let keep = |result: Result<T>| result.map_err(|error| lost.push(error.to_string())).ok();
        Ok(results.into_iter().filter_map(keep).collect())
    }

    fn manifests(&self, content: &ContentId) -> Result<Vec<Manifest>> {
        let bytes = self.read_content(content)?;
        let corrupt = |why: String| {
            let place = self.find(content)?;
            Err(crate::content::corrupt(self, content, &place, why))
        };
        match self.with_decoder(|decoder| decoder.gunzip(&bytes)) {
            Err(error) => corrupt(error.to_string()),
            Ok(json) => manifest::parse(&json).or_else(|error| corrupt(error.to_string())),
        }
    }
}

impl Snapshot {
    /// Returns everything that its manifest says; it serializes to kopia's JSON.
    pub fn manifest(&self) -> &Manifested {
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

    /// Returns its root: a folder or a single file.
    ///
    /// # Errors
    /// [`Error::CorruptSnapshot`] if the manifest names none.
    pub fn root(&self) -> Result<Entry> {
        let corrupt = |refused: kopia_format::directory::Refused| Error::CorruptSnapshot {
            id: self.id().into(),
            why: refused.to_string(),
        };
        Ok(Entry::new(&self.repository, self.manifest.root().map_err(corrupt)?))
    }

    /// What snapshots of a source are ordered by.
    fn order(&self) -> (Timestamp, Timestamp) {
        (self.manifest.start_time(), self.manifest.end_time())
    }
}

impl Snapshots {
    /// Returns all of them, grouped by source, each group by time.
    pub fn iter(&self) -> std::slice::Iter<'_, Snapshot> {
        self.list.iter()
    }

    /// Returns what could not be read of the list, if the repository was opened degraded: why, each as a sentence.
    pub fn lost(&self) -> &[String] {
        &self.lost
    }

    /// Returns the sources, sorted.
    pub fn sources(&self) -> Vec<&Source> {
        let mut sources: Vec<_> = self.iter().map(Snapshot::source).collect();
        sources.dedup();
        sources
    }

    /// Returns the newest complete snapshot of a source.
    ///
    /// # Errors
    /// [`Error::NotFound`] with the sources there are.
    pub fn latest(&self, source: &Source) -> Result<&Snapshot> {
        let complete =
            |snapshot: &&Snapshot| snapshot.source() == source && snapshot.manifest.incomplete().is_none();
        self.iter().filter(complete).max_by_key(|snapshot| snapshot.order()).ok_or_else(|| Error::NotFound {
            what: format!("complete snapshot of {source}"),
            candidates: self.sources().iter().map(ToString::to_string).collect(),
        })
    }

    /// Returns the newest of those that `wanted` accepts.
    pub(crate) fn newest(&self, wanted: impl Fn(&Snapshot) -> bool) -> Option<&Snapshot> {
        self.iter().filter(|snapshot| wanted(snapshot)).max_by_key(|snapshot| snapshot.order())
    }
}

impl<'a> IntoIterator for &'a Snapshots {
    type Item = &'a Snapshot;
    type IntoIter = std::slice::Iter<'a, Snapshot>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
