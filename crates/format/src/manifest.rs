//! The lists of manifests that `m` contents hold.
//!
//! Plain JSON, once content compression and then gzip are removed:
//! `{"entries":[{"id","labels":{…},"modified","deleted":bool,"data":{…}}]}`. Authority:
//! `repo/manifest/serialized.go`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{ManifestId, Result, Timestamp, json, memory};

const WHAT: &str = "manifest list";

/// The label whose value says what a manifest is.
pub const TYPE_LABEL: &str = "type";

/// The value of [`TYPE_LABEL`] for snapshots.
pub const TYPE_SNAPSHOT: &str = "snapshot";

/// One state of a manifest, from one `m` content. Another content may hold a later state of the same id.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The manifest's id; its data may or may not repeat it.
    pub id: ManifestId,
    /// The labels it is looked up by: `type` and, for snapshots, `hostname`, `username`, `path` and tags.
    pub labels: BTreeMap<String, String>,
    /// When this state was written; the latest one of an id counts.
    pub modified: Timestamp,
    /// Whether this state is a deletion.
    pub deleted: bool,
    /// The payload: JSON whose shape depends on the type. None for deleted ones.
    pub data: Option<Box<RawValue>>,
}

/// A state of a manifest as it stands in a list: most of it is not copied yet.
#[derive(Debug, Deserialize)]
pub struct State<'l> {
    /// As [`Manifest::id`].
    pub id: ManifestId,
    /// As [`Manifest::labels`]; a thousand at most.
    #[serde(default, deserialize_with = "json::few_by_name")]
    pub labels: BTreeMap<String, String>,
    /// As [`Manifest::modified`].
    pub modified: Timestamp,
    /// As [`Manifest::deleted`].
    #[serde(default)]
    pub deleted: bool,
    /// As [`Manifest::data`].
    #[serde(default, borrow)]
    pub data: Option<&'l RawValue>,
}

impl State<'_> {
    /// Returns whether this is a snapshot's manifest.
    pub fn is_snapshot(&self) -> bool {
        is_snapshot(&self.labels)
    }

    /// Returns how many bytes its texts have: its id, labels and payload.
    pub fn length(&self) -> usize {
        let labels = self.labels.iter().flat_map(|(name, text)| [name.len(), text.len()]);
        let data = self.data.map_or(0, |data| data.get().len());
        labels.chain([self.id.as_str().len(), data]).fold(0, usize::saturating_add)
    }

    /// Returns about how many bytes of memory it takes as a [`Manifest`], in a list or in a map by its id.
    pub fn memory(&self) -> usize {
        memory_of(&self.id, &self.labels, self.data)
    }
}

impl From<State<'_>> for Manifest {
    fn from(state: State<'_>) -> Self {
        let State { id, labels, modified, deleted, data } = state;
        Self { id, labels, modified, deleted, data: data.map(ToOwned::to_owned) }
    }
}

fn memory_of(id: &ManifestId, labels: &BTreeMap<String, String>, data: Option<&RawValue>) -> usize {
    const OWN: usize = 2 * size_of::<Manifest>();
    // The id is the key of a map, too.
    let id = memory::of_text(id.as_str());
    let data = memory::of_text(data.map_or("", RawValue::get));
    memory::total([OWN, id, id, memory::of_texts(labels), data])
}

fn is_snapshot(labels: &BTreeMap<String, String>) -> bool {
    labels.get(TYPE_LABEL).is_some_and(|kind| kind == TYPE_SNAPSHOT)
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
        is_snapshot(&self.labels)
    }

    /// Returns about how many bytes of memory it takes, in a list or in a map by its id.
    pub fn memory(&self) -> usize {
        memory_of(&self.id, &self.labels, self.data.as_deref())
    }
}

/// Parses one `m` content.
///
/// # Errors
/// [`crate::Error::Corrupt`] if it is not the JSON that kopia writes.
pub fn parse(bytes: &[u8]) -> Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    read(bytes, |state| {
        manifests.push(state.into());
        Ok(())
    })?;
    Ok(manifests)
}

/// Parses one `m` content state by state: some bytes of JSON take ten times as many once all are parsed.
///
/// # Errors
/// As for [`parse`]; if `take` refuses a state, with the reason that it gives.
pub fn read<'l>(bytes: &'l [u8], take: impl FnMut(State<'l>) -> Result<(), String>) -> Result<()> {
    let corrupt = |error: serde_json::Error| crate::Error::corrupt(WHAT, error.to_string());
    let mut json = serde_json::Deserializer::from_str(json::text(WHAT, bytes)?);
    json.deserialize_map(Document { take }).and_then(|()| json.end()).map_err(corrupt)
}

/// The visitor of a list of manifests.
struct Document<F> {
    take: F,
}

impl<'de, F: FnMut(State<'de>) -> Result<(), String>> Visitor<'de> for Document<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of manifests")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut was_there = false;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match &*key {
                "entries" if was_there => return Err(A::Error::duplicate_field("entries")),
                "entries" => {
                    was_there = true;
                    map.next_value_seed(json::Each::<State<'de>, _>::new(&mut self.take))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
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
    fn states_are_taken_one_by_one() {
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        let refused = read(LIST.as_bytes(), |state| {
            if ids.len() == 2 {
                return Err("no more than two".into());
            }
            ids.push(state.id.to_string());
            lengths.push(state.length());
            Ok(())
        });
        assert_eq!((&ids[..], &lengths[..]), (&["a".into(), "b".into()][..], &[20, 13][..]));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("manifest list: no more than two at line 5"), "{refused}");
        let twice = br#"{"entries":[],"entries":[]}"#;
        assert!(parse(twice).unwrap_err().to_string().contains("duplicate field `entries`"));
    }

    #[test]
    fn what_takes_memory_counts() {
        let memory = |rest: &str| {
            let mut memory = Vec::new();
            let list = format!(r#"{{"entries":[{{"id":"a","modified":"2026-01-01T00:00:00Z"{rest}}}]}}"#);
            read(list.as_bytes(), |state| {
                memory.push(state.memory());
                memory.push(Manifest::from(state).memory());
                Ok(())
            })
            .unwrap();
            assert_eq!(memory[0], memory[1]);
            memory[0]
        };
        let deleted = memory(r#","deleted":true"#);
        assert!(deleted >= size_of::<Manifest>());
        // Names and values of a tree have room for eleven.
        assert!(memory(r#","labels":{"type":"snapshot"},"data":{}"#) >= deleted + 11 * 48);
        let data = format!(r#","data":"{}""#, "A".repeat(5000));
        assert!((5000..6000).contains(&(memory(&data) - deleted)));
    }

    #[test]
    fn labels_are_not_without_end() {
        let list = |count: usize| {
            let labels: Vec<_> = (0..count).map(|number| format!(r#""{number}":"""#)).collect();
            let labels = labels.join(",");
            format!(r#"{{"entries":[{{"id":"a","modified":"2026-01-01T00:00:00Z","labels":{{{labels}}}}}]}}"#)
        };
        assert_eq!(parse(list(1000).as_bytes()).unwrap()[0].labels.len(), 1000);
        let refused = parse(list(1001).as_bytes()).unwrap_err().to_string();
        assert!(refused.contains("more than 1000 labels"), "{refused}");
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
