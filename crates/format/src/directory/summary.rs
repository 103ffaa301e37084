//! A directory's totals of everything below it.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, json, memory};

/// Totals of a directory and everything below it, and what the backup could not read there.
///
/// Serialized in the shape of kopia's own JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Summary {
    /// The sizes of all files, in bytes.
    pub size: i64,
    /// The number of files.
    pub files: i64,
    /// The number of symbolic links.
    pub symlinks: i64,
    /// The number of directories, this one included.
    pub dirs: i64,
    /// The latest modification time of a file below.
    #[serde(rename = "maxTime")]
    pub max_time: Timestamp,
    /// Why the backup of this directory was not finished; empty if it was.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub incomplete: String,
    /// How many entries the backup could not read.
    #[serde(rename = "numFailed")]
    pub failed: i64,
    /// How many entries it could not read and was told to ignore.
    #[serde(rename = "numIgnoredErrors", skip_serializing_if = "is_zero")]
    pub ignored_errors: i64,
    /// The first ten of them.
    #[serde(deserialize_with = "json::first::<_, _, 10>", skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FailedEntry>,
}

/// One entry that the backup could not read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct FailedEntry {
    /// Its path below the snapshot's root.
    pub path: String,
    /// Kopia's error message.
    pub error: String,
}

impl Summary {
    /// Returns about how many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        let errors = self.errors.iter().flat_map(|failed| [&failed.path, &failed.error]);
        let texts = errors.chain([&self.incomplete]).map(|text| memory::of_text(text));
        let list = self.errors.capacity().saturating_mul(size_of::<FailedEntry>());
        memory::total([size_of::<Self>(), list].into_iter().chain(texts))
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}
