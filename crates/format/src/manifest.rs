//! The lists of manifests that `m` contents hold.
//!
//! Plain JSON, once content compression and then gzip are removed:
//! `{"entries":[{"id","labels":{…},"modified","deleted":bool,"data":{…}}]}`. Authority:
//! `repo/manifest/serialized.go`.

mod labels;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{Error, ManifestId, Result, Timestamp, json, memory};

const WHAT: &str = "manifest list";

/// The label whose value says what a manifest is.
pub const TYPE_LABEL: &str = "type";

/// The value of [`TYPE_LABEL`] for snapshots.
pub const TYPE_SNAPSHOT: &str = "snapshot";

/// The longest manifest that is read, in bytes of its id, labels and payload. Real ones have some 1,000.
pub const LONGEST: usize = 1 << 20;

/// The most labels that a manifest has: a snapshot's are four, and its tags. In memory a short one takes many
/// times its bytes.
pub const MAX_LABELS: usize = 10_000;

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
    /// Why it has no payload, and no labels but its type, if it is larger than is read: it has more than
    /// [`MAX_LABELS`], or more than [`LONGEST`] bytes. A deletion needs neither, and is not refused.
    pub refused: Option<Box<Error>>,
}

/// A state of a manifest as it stands in a list: most of it is not copied yet.
#[derive(Debug, Deserialize)]
pub struct State<'l> {
    /// As [`Manifest::id`].
    pub id: ManifestId,
    /// As [`Manifest::labels`].
    #[serde(default, deserialize_with = "labels::deserialize")]
    pub labels: BTreeMap<String, String>,
    /// As [`Manifest::modified`].
    pub modified: Timestamp,
    /// As [`Manifest::deleted`].
    #[serde(default)]
    pub deleted: bool,
    /// As [`Manifest::data`].
    #[serde(default, borrow)]
    pub data: Option<&'l RawValue>,
    /// As [`Manifest::refused`].
    #[serde(skip)]
    pub refused: Option<Box<Error>>,
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

    /// Empties a state that is too large, so that it costs nothing but itself: other states stand in its list.
    fn within_limits(mut self) -> Self {
        let refused = match (self.labels.len(), self.length()) {
            (count, _) if count > MAX_LABELS => {
                Error::unsupported("number of labels", format!("more than {MAX_LABELS}"))
            }
            (_, length) if length > LONGEST => too_long(length),
            _ => return self,
        };
        let is_snapshot = self.is_snapshot();
        self.labels = BTreeMap::new();
        self.data = None;
        if is_snapshot {
            self.labels.insert(TYPE_LABEL.to_owned(), TYPE_SNAPSHOT.to_owned());
        }
        self.refused = (!self.deleted).then(|| Box::new(refused));
        self
    }
}

impl From<State<'_>> for Manifest {
    fn from(state: State<'_>) -> Self {
        let State { id, labels, modified, deleted, data, refused } = state;
        Self { id, labels, modified, deleted, data: data.map(ToOwned::to_owned), refused }
    }
}

fn too_long(length: usize) -> Error {
    Error::unsupported("length", format!("{length} bytes, more than {LONGEST}"))
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
    /// [`Error::Corrupt`] if it is not; [`Error::Unsupported`] if it has more than [`LONGEST`] bytes.
    pub fn new(
        id: ManifestId,
        labels: BTreeMap<String, String>,
        modified: Timestamp,
        payload: &[u8],
    ) -> Result<Self> {
        if payload.len() > LONGEST {
            return Err(too_long(payload.len()));
        }
        let data = Some(json::parse("manifest", payload)?);
        Ok(Self { id, labels, modified, deleted: false, data, refused: None })
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
/// [`Error::Corrupt`] if it is not the JSON that kopia writes.
pub fn parse(bytes: &[u8]) -> Result<Vec<Manifest>> {
    let mut manifests = Vec::new();
    read(bytes, |state| {
        manifests.push(state.into());
        Ok(())
    })?;
    Ok(manifests)
}

/// Parses one `m` content state by state: some bytes of JSON take ten times as many once all are parsed. A
/// state that is too large comes [emptied](Manifest::refused).
///
/// # Errors
/// As for [`parse`]; if `take` refuses a state, with the reason that it gives.
pub fn read<'l>(bytes: &'l [u8], take: impl FnMut(State<'l>) -> Result<(), String>) -> Result<()> {
    let corrupt = |error: serde_json::Error| Error::corrupt(WHAT, error.to_string());
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
                    let take = |state: State<'de>| (self.take)(state.within_limits());
                    map.next_value_seed(json::Each::<State<'de>, _>::new(take))?;
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
mod tests;
