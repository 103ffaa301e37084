//! What `kopia repository connect` takes, and the configuration that it writes.
//!
//! The fields of a storage stand in kopia's order, with those that mean something to writers alone: kopia goes on
//! with what is written here, and this crate reads what kopia wrote. Authority: Kopia's `cli/storage_*.go`,
//! `cli/command_repository_connect*.go`, `repo/local_config.go` and the `Options` of each package below
//! `repo/blob`.

mod client;
mod edit;
mod fields;
mod flags;
mod kinds;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

pub use client::{Caching, Client, configuration};
pub use edit::{Edit, Limit, set_limit};
pub use flags::{Flag, flags};
pub use kinds::Place;

use crate::{Error, Secret};

/// The value of each option that was given, by its name without hyphens; several of one name in their order.
pub type Given = Vec<(String, Secret)>;

/// A JSON object whose fields stand in the order in which they were added.
#[derive(Clone, Default)]
struct Ordered(Vec<(&'static str, Value)>);

impl Ordered {
    fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.push((name, value.into()));
    }
}

impl Serialize for Ordered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
        map.end()
    }
}

/// Makes the error of an option.
fn bad(name: &str, why: impl Into<String>) -> Error {
    Error::Option { name: name.into(), why: why.into() }
}

#[cfg(test)]
mod tests;
