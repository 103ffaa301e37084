//! A server of contents in memory, for tests of what reads from servers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use kopia_format::{ContentId, ManifestId};

use crate::server::{Described, Expected, Extent, Parameters, ServedManifest};
use crate::{ContentServer, Error, Result};

/// Plain contents and manifests, and what was asked for.
#[derive(Debug)]
pub struct MemoryServer {
    parameters: Parameters,
    contents: HashMap<ContentId, Vec<u8>>,
    manifests: BTreeMap<ManifestId, (ServedManifest, Vec<u8>)>,
    asked: Mutex<Asked>,
}

/// What a [`MemoryServer`] was asked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The contents of each call, by how many there were.
    pub calls: Vec<usize>,
    /// Contents that were read.
    pub contents: usize,
    /// Contents that were described.
    pub described: usize,
    /// Contents that were to be got ready, and how much with them.
    pub prepared: Vec<(usize, Extent)>,
}

impl MemoryServer {
    /// Makes an empty server.
    pub fn new(parameters: Parameters) -> Self {
        Self { parameters, contents: HashMap::new(), manifests: BTreeMap::new(), asked: Mutex::default() }
    }

    /// Adds a content.
    pub fn insert(&mut self, content: ContentId, plain: Vec<u8>) {
        self.contents.insert(content, plain);
    }

    /// Takes a content away.
    pub fn remove(&mut self, content: &ContentId) {
        self.contents.remove(content);
    }

    /// Adds a manifest.
    pub fn insert_manifest(&mut self, manifest: ServedManifest, payload: Vec<u8>) {
        self.manifests.insert(manifest.id.clone(), (manifest, payload));
    }

    /// Returns what was asked for since the last call.
    pub fn take(&self) -> Asked {
        std::mem::take(&mut self.asked())
    }

    fn asked(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn get(&self, content: &ContentId) -> Result<&Vec<u8>> {
        let missing = || Error::NoContent { content: *content, place: self.location() };
        self.contents.get(content).ok_or_else(missing)
    }
}

impl ContentServer for MemoryServer {
    fn location(&self) -> String {
        "memory server".into()
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn describe(&self, contents: &[ContentId]) -> Vec<Result<Described>> {
        self.asked().described += contents.len();
        let describe =
            |content| self.get(content).map(|plain| Described { length: plain.len() as u64, deleted: false });
        contents.iter().map(describe).collect()
    }

    fn contents(&self, wanted: &[Expected], visit: &mut dyn FnMut(usize, Result<Vec<u8>>)) {
        let mut asked = self.asked();
        asked.calls.push(wanted.len());
        asked.contents += wanted.len();
        drop(asked);
        // Backwards: no reader may count on an order.
        for (number, expected) in wanted.iter().enumerate().rev() {
            visit(number, self.get(&expected.content).cloned());
        }
    }

    fn prepare(&self, contents: &[ContentId], extent: Extent) {
        self.asked().prepared.push((contents.len(), extent));
    }

    fn manifests(&self, labels: &[(&str, &str)]) -> Result<Vec<ServedManifest>> {
        let fits = |manifest: &ServedManifest| {
            labels.iter().all(|(name, value)| {
                manifest.labels.iter().any(|label| (label.0.as_str(), label.1.as_str()) == (name, value))
            })
        };
        let manifests = self.manifests.values().map(|(manifest, _)| manifest);
        Ok(manifests.filter(|manifest| fits(manifest)).cloned().collect())
    }

    fn payloads(&self, manifests: &[ManifestId]) -> Result<Vec<Option<Vec<u8>>>> {
        let payload = |id| self.manifests.get(id).map(|(_, payload)| payload.clone());
        Ok(manifests.iter().map(payload).collect())
    }
}
