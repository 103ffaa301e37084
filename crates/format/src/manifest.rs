//! The lists of manifests that `m` contents hold.
//!
//! Plain JSON, once content compression and then gzip are removed:
//! `{"entries":[{"id","labels":{…},"modified","deleted":bool,"data":{…}}]}`. Authority:
//! `repo/manifest/serialized.go`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{ManifestId, Result, Timestamp, json};

/// The label whose value says what a manifest is.
pub const TYPE_LABEL: &str = "type";

/// The value of [`TYPE_LABEL`] for snapshots.
pub const TYPE_SNAPSHOT: &str = "snapshot";

/// One state of a manifest, from one `m` content. Another content may hold a later state of the same id.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// The manifest's id; its data may or may not repeat it.
    pub id: ManifestId,
    /// The labels it is looked up by: `type` and, for snapshots, `hostname`, `username`, `path` and tags.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// When this state was written; the latest one of an id counts.
    pub modified: Timestamp,
    /// Whether this state is a deletion.
    #[serde(default)]
    pub deleted: bool,
    /// The payload: JSON whose shape depends on the type. None for deleted ones.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
}

impl Manifest {
    /// Joins what a manifest is looked up by and its payload, which has to be JSON.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] if it is not.
    pub fn new(
        id: ManifestId,
        labels: BTreeMap<String, String>,
        modified: Timestamp,
        payload: &[u8],
    ) -> Result<Self> {
        let data = Some(json::parse("manifest", payload)?);
        Ok(Self { id, labels, modified, deleted: false, data })
    }

    /// Returns whether this is a snapshot's manifest.
    pub fn is_snapshot(&self) -> bool {
        self.labels.get(TYPE_LABEL).is_some_and(|kind| kind == TYPE_SNAPSHOT)
    }
}

/// Parses one `m` content.
///
/// # Errors
/// [`crate::Error::Corrupt`] if it is not the JSON that kopia writes.
pub fn parse(bytes: &[u8]) -> Result<Vec<Manifest>> {
    #[derive(Deserialize)]
    struct Raw {
        #[serde(default, deserialize_with = "json::without_nulls")]
        entries: Vec<Manifest>,
    }
    let raw: Raw = json::parse("manifest list", bytes)?;
    Ok(raw.entries)
}

/// Keeps the latest state of each id, then drops the deleted ones.
pub fn latest(states: impl IntoIterator<Item = Manifest>) -> Vec<Manifest> {
    let mut latest: BTreeMap<ManifestId, Manifest> = BTreeMap::new();
    for state in states {
        let known = latest.get(&state.id).map(|known| known.modified);
        if known.is_none_or(|modified| modified < state.modified) {
            latest.insert(state.id.clone(), state);
        }
    }
    latest.into_values().filter(|manifest| !manifest.deleted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"entries":[
        {"id":"a","labels":{"type":"snapshot"},"modified":"2026-01-01T00:00:00Z","data":{"x":1}},
        null,
        {"id":"b","labels":{"type":"policy"},"modified":"2026-01-01T00:00:00Z","data":{}},
        {"id":"b","labels":null,"modified":"2026-01-02T00:00:00Z","deleted":true,"data":null}]}"#;

    #[test]
    fn the_latest_state_counts() {
        let states = parse(LIST.as_bytes()).unwrap();
        assert_eq!(states.len(), 3);
        assert!(states[2].deleted && states[2].data.is_none());
        assert!(states[0].is_snapshot() && !states[1].is_snapshot() && !states[2].is_snapshot());
        for order in [states.clone(), states.into_iter().rev().collect()] {
            let manifests = latest(order);
            assert_eq!(manifests.len(), 1);
            assert!(manifests[0].is_snapshot());
            assert_eq!(manifests[0].data.as_ref().unwrap().get(), r#"{"x":1}"#);
        }
    }

    #[test]
    fn of_states_of_one_time_the_first_counts() {
        let state = |data| format!(r#"{{"id":"a","modified":"2026-01-01T00:00:00Z","data":{data}}}"#);
        let list = format!(r#"{{"entries":[{},{}]}}"#, state(1), state(2));
        let manifests = latest(parse(list.as_bytes()).unwrap());
        assert_eq!(manifests[0].data.as_ref().unwrap().get(), "1");
    }

    #[test]
    fn malformed_lists() {
        assert!(parse(br#"{"entries":null}"#).unwrap().is_empty());
        let error = parse(br#"{"entries":7}"#).unwrap_err().to_string();
        assert!(error.contains("expected a list or null at line 1"), "{error}");
        for bad in [
            "",
            "{",
            r#"{"entries":[{"id":"a"}]}"#,
            r#"{"entries":[{"id":"","modified":"2026-01-01T00:00:00Z"}]}"#,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
