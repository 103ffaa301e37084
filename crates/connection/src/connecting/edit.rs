//! Changes single fields of a configuration, and leaves all others as they stand.

use std::fmt;

use kopia_codec::key::Password;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use zeroize::Zeroizing;

use super::client::SECRET;
use super::fields::number;
use crate::{Error, Result, token};

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

    /// Returns a field, as it stands.
    pub fn raw(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value.get())
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

    /// Returns the place for people, as `kopia repository status` shows it, with its fields in their order; what may be
    /// secret is not in it. `null` where the configuration names no storage.
    pub fn place(&self) -> Box<RawValue> {
        let storage = self.fields.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case("storage"));
        let scrubbed = storage.and_then(|(_, storage)| scrubbed(storage));
        scrubbed.unwrap_or_else(|| to_raw_value(&Value::Null).expect("a plain value"))
    }

    /// Returns a token of the place, as `kopia repository status --reconnect-token` shows it, with a password if it is
    /// to be in it; nothing where the configuration names no storage. Keys of the store are in it in clear.
    pub fn token(&self, password: Option<&Password>) -> Option<Zeroizing<String>> {
        let (_, storage) =
            self.fields.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case("storage"))?;
        Some(token::text(storage.get(), password))
    }

    /// Writes the configuration.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(serde_json::to_string_pretty(self).expect("plain values"))
    }
}

/// Replaces what may be secret in an object, and leaves the order of its fields as it is.
fn scrubbed(object: &RawValue) -> Option<Box<RawValue>> {
    let mut object: Edit = serde_json::from_str(object.get()).ok()?;
    for (name, value) in &mut object.fields {
        if let Some(inner) = scrubbed(value).filter(|_| !SECRET.contains(&&**name)) {
            *value = inner;
            continue;
        }
        let mut alone =
            serde_json::json!({ name.as_str(): serde_json::from_str::<Value>(value.get()).ok()? });
        super::client::scrub(&mut alone);
        *value = to_raw_value(&alone[name.as_str()]).ok()?;
    }
    to_raw_value(&object).ok()
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
