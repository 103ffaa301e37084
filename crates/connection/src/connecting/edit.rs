//! Changes single fields of a configuration, and leaves all others as they stand.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use zeroize::Zeroizing;

use super::fields::number;
use crate::{Error, Result};

/// The fields of a configuration, in their order.
pub struct Edit {
    fields: Vec<(String, Box<RawValue>)>,
}

impl Edit {
    /// Reads a configuration. `what` names it in errors, which quote nothing of it.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn parse(text: &str, what: &str) -> Result<Self> {
        let bad = |_| Error::Config { what: what.into(), why: "it holds no object of JSON".into() };
        serde_json::from_str(text).map_err(bad)
    }

    /// Returns a field, as JSON.
    pub fn get(&self, name: &str) -> Option<Value> {
        let (_, value) = self.fields.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        serde_json::from_str(value.get()).ok()
    }

    /// Sets a field, in its place or as the last one.
    pub fn set(&mut self, name: &str, value: impl Serialize) {
        let value = to_raw_value(&value).expect("plain values");
        match self.fields.iter_mut().rev().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, known)) => *known = value,
            None => self.fields.push((name.into(), value)),
        }
    }

    /// Removes a field.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// Returns the place for people, as `kopia repository status` shows it; what may be secret is not in it.
    pub fn place(&self) -> Value {
        let mut place = self.get("storage").unwrap_or_default();
        super::client::scrub(&mut place);
        place
    }

    /// Writes the configuration.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(serde_json::to_string_pretty(self).expect("plain values"))
    }
}

impl<'de> Deserialize<'de> for Edit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Edit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Edit, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Edit { fields })
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Serialize for Edit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        self.fields.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

/// A limit of `kopia repository throttle set`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limit {
    /// The option, without hyphens.
    pub option: &'static str,
    /// What kopia calls it.
    pub words: &'static str,
    /// The field of `throttlingLimits`.
    pub field: &'static str,
    /// Whether it is bytes per second.
    pub is_bytes: bool,
    /// Whether it is a whole number.
    pub is_whole: bool,
}

impl Limit {
    /// All limits, in kopia's order.
    pub const ALL: [Self; 7] = [
        Self::of("download-bytes-per-second", "max download speed", "maxDownloadSpeedBytesPerSecond"),
        Self::of("upload-bytes-per-second", "max upload speed", "maxUploadSpeedBytesPerSecond"),
        Self::of("read-requests-per-second", "reads per second", "readsPerSecond"),
        Self::of("write-requests-per-second", "writes per second", "writesPerSecond"),
        Self::of("list-requests-per-second", "lists per second", "listsPerSecond"),
        Self::of("concurrent-reads", "concurrent reads", "concurrentReads"),
        Self::of("concurrent-writes", "concurrent writes", "concurrentWrites"),
    ];

    const fn of(option: &'static str, words: &'static str, field: &'static str) -> Self {
        let (letter, words_) = (option.as_bytes()[0], words.as_bytes()[0]);
        Self { option, words, field, is_bytes: words_ == b'm', is_whole: letter == b'c' }
    }
}

/// Sets a limit in `throttlingLimits`; `None` is without limit, which stands in no field.
pub fn set_limit(limits: &mut serde_json::Map<String, Value>, limit: Limit, value: Option<f64>) {
    limits.remove(limit.field);
    if let Some(value) = value.filter(|value| *value != 0.0) {
        limits.insert(limit.field.into(), number(value));
    }
}
