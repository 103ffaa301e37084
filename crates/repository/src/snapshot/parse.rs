//! From manifests to snapshots, in bounded memory.

use std::sync::Arc;

use kopia_format::manifest::Manifest;
use kopia_format::snapshot::SnapshotManifest;

use super::Snapshot;
use super::reader::{MOST, too_many};
use crate::{Error, Repository, Result};

impl Repository {
    /// Parses those manifests that are of snapshots; the second ones are deleted.
    pub(super) fn parse(&self, live: Vec<Manifest>, deleted: Vec<Manifest>) -> Vec<Result<Snapshot>> {
        self.parse_within(MOST, live, deleted)
    }

    /// As [`Self::parse`]. Snapshots, and manifests that are yet to be parsed, take no more than `most` bytes
    /// of memory together; what would take more is refused.
    pub(super) fn parse_within(
        &self,
        most: usize,
        live: Vec<Manifest>,
        deleted: Vec<Manifest>,
    ) -> Vec<Result<Snapshot>> {
        let mut taken: usize = live.iter().chain(&deleted).map(Manifest::memory).sum();
        let live = live.into_iter().map(|manifest| (manifest, false));
        let all = live.chain(deleted.into_iter().map(|manifest| (manifest, true)));
        let mut parsed = Vec::new();
        for (manifest, deleted) in all {
            taken -= manifest.memory();
            if !manifest.is_snapshot() {
                continue;
            }
            let snapshot = self.parse_one(&manifest, deleted).and_then(|snapshot| {
                let memory = size_of::<Snapshot>() + snapshot.manifest.memory();
                if taken + memory > most {
                    let (what, place) = ("list of manifests", format!("manifest {}", manifest.id));
                    return Err(Error::Unsupported { place, what, found: too_many(most) });
                }
                taken += memory;
                Ok(snapshot)
            });
            parsed.push(snapshot);
        }
        parsed
    }

    fn parse_one(&self, manifest: &Manifest, deleted: bool) -> Result<Snapshot> {
        let parsed =
            SnapshotManifest::parse(manifest).map_err(|error| Error::manifest(&manifest.id, error))?;
        let (repository, manifest) = (self.clone(), Arc::new(parsed));
        Ok(Snapshot { repository, manifest, deleted, root_is_guessed: false })
    }
}
