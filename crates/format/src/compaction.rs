//! Which index blobs are active without epochs: the logs of compactions beside them tell.
//!
//! Without epochs, index blobs are named `n…`. A compaction writes new ones and an `m…` log of what they
//! replace; the old ones stay for a while. Authority: `repo/content/indexblob/index_blob_manager_v0.go`.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{BlobId, Result, json};

/// The marker that an upgrade leaves among the `n` blobs; it is plain text, not an index.
const UPGRADE_MARKER: &str =
    "n00000000000000000000000000000000-repository_unreadable_by_this_kopia_version_upgrade_required";

/// One compaction: its outputs replace its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactionLog {
    inputs: Vec<BlobId>,
    outputs: Vec<BlobId>,
}

impl CompactionLog {
    /// Parses a decrypted `m` blob.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] if it is not the JSON that kopia writes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Raw {
            #[serde(default, deserialize_with = "json::null_as_default")]
            input_metadata: Vec<Blob>,
            #[serde(default, deserialize_with = "json::null_as_default")]
            output_metadata: Vec<Blob>,
        }
        #[derive(Deserialize)]
        struct Blob {
            id: BlobId,
        }
        let raw: Raw = json::parse("compaction log", bytes)?;
        let ids = |blobs: Vec<Blob>| blobs.into_iter().map(|blob| blob.id).collect();
        Ok(Self { inputs: ids(raw.input_metadata), outputs: ids(raw.output_metadata) })
    }

    /// Returns the blobs that were replaced.
    pub fn inputs(&self) -> &[BlobId] {
        &self.inputs
    }

    /// Returns the blobs that replace them.
    pub fn outputs(&self) -> &[BlobId] {
        &self.outputs
    }
}

/// Returns the active `n` blobs: `present` without the inputs of logs whose outputs are all present.
pub fn active_set(present: &[BlobId], logs: &[CompactionLog]) -> Vec<BlobId> {
    let present: BTreeSet<&BlobId> = present.iter().filter(|id| id.as_str() != UPGRADE_MARKER).collect();
    let done = logs.iter().filter(|log| log.outputs.iter().all(|id| present.contains(id)));
    let replaced: BTreeSet<&BlobId> = done.flat_map(|log| &log.inputs).collect();
    present.difference(&replaced).map(|&id| id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<BlobId> {
        names.iter().map(|name| BlobId::new(name).unwrap()).collect()
    }

    fn log(json: &str) -> CompactionLog {
        CompactionLog::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn a_finished_compaction_hides_its_inputs() {
        let done = log(
            r#"{"inputMetadata":[{"id":"n1","length":5,"timestamp":"x"},{"id":"n2"}],"outputMetadata":[{"id":"n3"}]}"#,
        );
        assert_eq!((done.inputs(), done.outputs()), (&*ids(&["n1", "n2"]), &*ids(&["n3"])));
        assert_eq!(
            active_set(&ids(&["n1", "n2", "n3", "n4", UPGRADE_MARKER]), std::slice::from_ref(&done)),
            ids(&["n3", "n4"])
        );
        assert_eq!(active_set(&ids(&["n1", "n2"]), &[done]), ids(&["n1", "n2"]), "its output is missing");
    }

    #[test]
    fn malformed_logs() {
        assert_eq!(log(r#"{"inputMetadata":null}"#), CompactionLog { inputs: vec![], outputs: vec![] });
        for bad in ["", "7", r#"{"inputMetadata":[{"id":"a/b"}]}"#, r#"{"inputMetadata":[{}]}"#, "\u{0}"] {
            assert!(CompactionLog::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
