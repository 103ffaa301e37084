//! How often maintenance is to run, and when it ran.
//!
//! The first is a manifest of the type [`TYPE`], the second the blob [`SCHEDULE_ID`], which has a key of its own.
//! Durations are in nanoseconds. Authority: Kopia's `repo/maintenance/maintenance_params.go` and
//! `maintenance_schedule.go`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::null_as_default;
use crate::{Result, Timestamp, json};

/// The type of the manifest that holds [`Parameters`].
pub const TYPE: &str = "maintenance";

/// The name of the blob that holds the [`Schedule`].
pub const SCHEDULE_ID: &str = "kopia.maintenance";

/// 0001-01-01T00:00:00Z, which stands for no time.
const NEVER: i64 = -62_135_596_800;

const HOUR: i64 = 3_600_000_000_000;

/// How often maintenance is to run, and who runs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Parameters {
    /// Who runs it, as `user@host`; empty for nobody.
    #[serde(default, deserialize_with = "null_as_default")]
    pub owner: String,
    /// What takes little time.
    #[serde(default, deserialize_with = "null_as_default")]
    pub quick: Cycle,
    /// What takes long.
    #[serde(default, deserialize_with = "null_as_default")]
    pub full: Cycle,
    /// How many of its logs are kept.
    #[serde(default, deserialize_with = "null_as_default")]
    pub log_retention: LogRetention,
    /// Whether the store is asked to keep blobs for longer.
    #[serde(default, deserialize_with = "null_as_default")]
    pub extend_object_locks: bool,
    /// How many lists are asked for at once; 0 where nobody said.
    #[serde(default, deserialize_with = "null_as_default")]
    pub list_parallelism: i64,
}

/// One of two kinds of maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Cycle {
    /// Whether it runs by itself.
    #[serde(default, deserialize_with = "null_as_default")]
    pub enabled: bool,
    /// How long after it ran it runs again.
    #[serde(default, deserialize_with = "null_as_default")]
    pub interval: i64,
}

/// How many logs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LogRetention {
    /// Of how many bytes together.
    #[serde(default, deserialize_with = "null_as_default")]
    pub max_total_size: i64,
    /// How many.
    #[serde(default, deserialize_with = "null_as_default")]
    pub max_count: i64,
    /// Up to which age.
    #[serde(default, deserialize_with = "null_as_default")]
    pub max_age: i64,
}

impl LogRetention {
    /// What counts where nothing is said: a gibibyte, 10,000 logs, 30 days.
    pub const DEFAULT: Self = Self { max_total_size: 1 << 30, max_count: 10_000, max_age: 30 * 24 * HOUR };

    /// Returns what counts.
    pub fn or_default(self) -> Self {
        if self == Self::default() { Self::DEFAULT } else { self }
    }
}

impl Default for Parameters {
    /// Those of a repository that has none.
    fn default() -> Self {
        Self {
            owner: String::new(),
            quick: Cycle { enabled: true, interval: HOUR },
            full: Cycle { enabled: true, interval: 24 * HOUR },
            log_retention: LogRetention::DEFAULT,
            extend_object_locks: false,
            list_parallelism: 0,
        }
    }
}

impl Parameters {
    /// Parses what the manifest holds.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if it is not the JSON that kopia writes.
    pub fn parse(text: &str) -> Result<Self> {
        json::parse("maintenance parameters", text.as_bytes())
    }
}

/// When maintenance ran, and when it is to run.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Schedule {
    /// When what takes long is to run; the year 1 where it has not run yet.
    #[serde(default = "never")]
    pub next_full_maintenance: Timestamp,
    /// When what takes little time is to run.
    #[serde(default = "never")]
    pub next_quick_maintenance: Timestamp,
    /// Runs by the name of what ran, the last one first; `None` where nothing ever did.
    #[serde(default)]
    pub runs: Option<BTreeMap<String, Vec<Run>>>,
}

fn never() -> Timestamp {
    Timestamp::new(NEVER, 0).unwrap_or_default()
}

impl Default for Schedule {
    /// That of a repository without one.
    fn default() -> Self {
        Self { next_full_maintenance: never(), next_quick_maintenance: never(), runs: None }
    }
}

impl Schedule {
    /// Parses the blob, once it is opened.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if it is not the JSON that kopia writes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        json::parse("maintenance schedule", bytes)
    }
}

/// One run.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Whether it succeeded.
    #[serde(default, skip_serializing_if = "is_false")]
    pub success: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// What it did, by kind.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Extra>,
}

/// What a run did.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Extra {
    /// What kind of figures these are, such as `snapshotGCStats`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The figures, as JSON.
    #[serde(
        default,
        deserialize_with = "raw_text",
        serialize_with = "as_raw",
        skip_serializing_if = "String::is_empty"
    )]
    pub data: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn raw_text<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    Ok(Box::<RawValue>::deserialize(deserializer)?.get().to_owned())
}

fn as_raw<S: Serializer>(text: &str, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let raw = RawValue::from_string(text.to_owned()).map_err(serde::ser::Error::custom)?;
    raw.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_as_kopia_writes_it_comes_back() {
        let text = r#"{"nextFullMaintenance":"2026-01-03T03:04:05.1Z","nextQuickMaintenance":"2026-01-02T04:04:05Z","runs":{"cleanup-logs":[{"start":"2026-01-02T03:04:05Z","end":"2026-01-02T03:04:06Z","success":true,"extra":[{"kind":"cleanupLogsStats","data":{"deletedBlobCount":3}}]},{"start":"2026-01-01T03:04:05Z","end":"2026-01-01T03:04:06Z","error":"none"}]}}"#;
        let schedule = Schedule::parse(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&schedule).unwrap(), text);
        let none = r#"{"nextFullMaintenance":"0001-01-01T00:00:00Z","nextQuickMaintenance":"0001-01-01T00:00:00Z","runs":null}"#;
        assert_eq!(serde_json::to_string(&Schedule::default()).unwrap(), none);
        assert_eq!(serde_json::to_string(&Schedule::parse(b"{}").unwrap()).unwrap(), none);
        assert!(Schedule::parse(br#"{"runs":{"x":[{}]}}"#).is_err());
    }

    #[test]
    fn parameters_of_old_repositories_lack_some() {
        let old =
            Parameters::parse(r#"{"owner":"a@b","quick":{"enabled":true,"interval":5},"full":{}}"#).unwrap();
        assert_eq!((&*old.owner, old.quick.interval, old.full.enabled), ("a@b", 5, false));
        assert_eq!(old.log_retention.or_default(), LogRetention::DEFAULT);
        let text = r#"{"owner":"","quick":{"enabled":true,"interval":3600000000000},"full":{"enabled":true,"interval":86400000000000},"logRetention":{"maxTotalSize":1073741824,"maxCount":10000,"maxAge":2592000000000000},"extendObjectLocks":false,"listParallelism":0}"#;
        assert_eq!(serde_json::to_string(&Parameters::default()).unwrap(), text);
    }
}
