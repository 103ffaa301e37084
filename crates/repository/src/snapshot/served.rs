//! The list of snapshots, from a server.

use std::collections::HashSet;

use kopia_format::ManifestId;
use kopia_format::manifest::{Manifest, TYPE_LABEL, TYPE_SNAPSHOT};
use kopia_storage::ContentServer;
use kopia_storage::server::ServedManifest;

use super::{Snapshots, all_or_some, sort};
use crate::{Error, Repository, Result};

impl Repository {
    /// Lists the snapshots that a server shows to its user. It keeps no deleted ones.
    pub(super) fn served_snapshots(&self, server: &dyn ContentServer, degraded: bool) -> Result<Snapshots> {
        let listed = server.manifests(&[(TYPE_LABEL, TYPE_SNAPSHOT)])?;
        let ids: Vec<ManifestId> = listed.iter().map(|manifest| manifest.id.clone()).collect();
        let guessed: HashSet<String> =
            listed.iter().filter(|one| one.root_is_guessed).map(|one| one.id.to_string()).collect();
        let payloads = server.payloads(&ids)?;
        let manifests = listed.into_iter().zip(payloads);
        // What is gone by now was deleted in between.
        let there = manifests.filter_map(|(manifest, payload)| Some(manifest_of(manifest, payload?)));
        let mut lost = Vec::new();
        let manifests = all_or_some(degraded, there.collect(), &mut lost)?;
        let parsed = self.parse(manifests, Vec::new());
        let mut list = all_or_some(degraded, parsed, &mut lost)?;
        list.iter_mut().for_each(|snapshot| snapshot.root_is_guessed = guessed.contains(snapshot.id()));
        sort(&mut list);
        Ok(Snapshots { list, lost, hides_deleted: false, tombstones: Vec::new() })
    }
}

/// Joins what a server says of a manifest into what a list of manifests has of it.
fn manifest_of(manifest: ServedManifest, payload: Vec<u8>) -> Result<Manifest> {
    let ServedManifest { id, modified, labels, .. } = manifest;
    let labels = labels.into_iter().collect();
    Manifest::new(id.clone(), labels, modified, &payload).map_err(|error| Error::manifest(&id, error))
}
