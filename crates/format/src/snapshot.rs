//! One snapshot manifest.
//!
//! Serialized in the shape of `kopia snapshot list --json`, fields in kopia's order, times in UTC. Authority:
//! `snapshot/manifest.go`, `snapshot/stats.go`, `snapshot/source.go`.

mod source;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use source::Source;

use crate::directory::{Entry, RawEntry, Refusal, Refused, Summary};
use crate::manifest::Manifest;
use crate::{Error, Result, Timestamp, json, memory};

const WHAT: &str = "snapshot";

/// A point-in-time copy of one source.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotManifest {
    // The manifest's own id; what the data says is empty in most repositories.
    id: String,
    source: Source,
    description: String,
    start_time: Timestamp,
    end_time: Timestamp,
    stats: Stats,
    #[serde(skip_serializing_if = "String::is_empty")]
    incomplete: String,
    #[serde(deserialize_with = "RawEntry::owned")]
    root_entry: Option<RawEntry<'static>>,
    #[serde(deserialize_with = "json::null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(deserialize_with = "json::without_nulls", skip_serializing_if = "Vec::is_empty")]
    pins: Vec<String>,
}

/// The backup's counters. Kopia 0.5 had fewer of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stats {
    /// Bytes of all files.
    pub total_size: i64,
    /// Bytes of files that policies left out.
    pub excluded_total_size: i64,
    /// Files.
    pub file_count: i64,
    /// Files that were the same in an earlier snapshot.
    pub cached_files: i64,
    /// Files that were read.
    pub non_cached_files: i64,
    /// Directories.
    pub dir_count: i64,
    /// Files that policies left out.
    pub excluded_file_count: i64,
    /// Directories that policies left out.
    pub excluded_dir_count: i64,
    /// Errors that policies ignored.
    pub ignored_error_count: i64,
    /// Errors.
    pub error_count: i64,
}

impl SnapshotManifest {
    /// Parses the data of a manifest of type `snapshot`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the manifest holds no snapshot; what it was [refused](Manifest::refused) with.
    pub fn parse(manifest: &Manifest) -> Result<Self> {
        if let Some(refused) = &manifest.refused {
            return Err(Error::clone(refused));
        }
        let data = manifest.data.as_ref().ok_or_else(|| Error::corrupt(WHAT, "the manifest has no data"))?;
        let mut snapshot: Self = json::parse(WHAT, data.get().as_bytes())?;
        snapshot.id = manifest.id.to_string();
        Ok(snapshot)
    }

    /// Returns the id of its manifest.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns what was backed up: a label made of user, host and path.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the user's description.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Returns when the backup began; snapshots are ordered by it.
    pub fn start_time(&self) -> Timestamp {
        self.start_time
    }

    /// Returns when the backup ended.
    pub fn end_time(&self) -> Timestamp {
        self.end_time
    }

    /// Returns the backup's counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns why the snapshot is incomplete, such as `checkpoint` or `canceled`; `None` if it is complete.
    pub fn incomplete(&self) -> Option<&str> {
        Some(&*self.incomplete).filter(|reason| !reason.is_empty())
    }

    /// Returns the tags; their keys begin with `tag:`.
    pub fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    /// Returns the pins that keep it from being deleted.
    pub fn pins(&self) -> &[String] {
        &self.pins
    }

    /// Returns about how many bytes of memory it takes; short tags and pins take many times their JSON.
    pub fn memory(&self) -> usize {
        let Self { id, source, description, incomplete, root_entry, tags, pins, .. } = self;
        let texts = [id, &source.host, &source.user, &source.path, description, incomplete];
        let texts = texts.into_iter().chain(pins).map(|text| memory::of_text(text));
        let root = root_entry.as_ref().map_or(0, RawEntry::memory);
        let list = pins.capacity().saturating_mul(size_of::<String>());
        memory::total([size_of::<Self>(), root, memory::of_texts(tags), list].into_iter().chain(texts))
    }

    /// Returns totals of the tree, and which entries the backup could not read.
    pub fn summary(&self) -> Option<&Summary> {
        self.root_entry.as_ref()?.summ.as_deref()
    }

    /// Returns the root: a directory or a single file, named as the directory that was really read.
    ///
    /// # Errors
    /// [`Refused`] if there is none or it cannot be restored.
    pub fn root(&self) -> Result<Entry<'static>, Refused> {
        let none = || Refused { name: String::new(), why: Refusal::NoRoot, object: None };
        self.root_entry.clone().ok_or_else(none)?.validate_root()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(data: &str) -> Result<SnapshotManifest> {
        let list = format!(
            r#"{{"entries":[{{"id":"0d85","labels":{{}},"modified":"2026-01-01T00:00:00Z","data":{data}}}]}}"#
        );
        SnapshotManifest::parse(&crate::manifest::parse(list.as_bytes())?[0])
    }

    #[test]
    fn json_has_the_shape_of_kopias() {
        let data = r#"{"id":"","source":{"host":"media","userName":"app","path":"/data"},"description":"first","startTime":"2026-01-02T03:04:05Z","endTime":"2026-01-02T08:34:05.50+05:30","stats":{"totalSize":161348,"excludedTotalSize":0,"fileCount":6,"cachedFiles":0,"nonCachedFiles":6,"dirCount":3,"excludedFileCount":0,"excludedDirCount":0,"ignoredErrorCount":0,"errorCount":0},"rootEntry":{"name":"a","type":"d","mode":"0755","mtime":"2022-07-05T05:46:40Z","obj":"kf6","summ":{"size":161348,"files":6,"symlinks":1,"dirs":3,"maxTime":"2022-06-23T16:00:00Z","numFailed":0}},"tags":{"tag:env":"prod"},"storageStats":{},"pins":["keep"]}"#;
        let expected = data
            .replace(r#""id":"""#, r#""id":"0d85""#)
            .replace("08:34:05.50+05:30", "03:04:05.5Z")
            .replace(r#","storageStats":{}"#, "");
        let snapshot = snapshot(data).unwrap();
        assert_eq!(serde_json::to_string(&snapshot).unwrap(), expected);
        assert_eq!(snapshot.source().to_string(), "app@media:/data");
        assert_eq!((snapshot.id(), snapshot.description(), snapshot.incomplete()), ("0d85", "first", None));
        assert_eq!(snapshot.start_time(), "2026-01-02T03:04:05Z".parse().unwrap());
        assert_eq!(snapshot.end_time(), "2026-01-02T03:04:05.5Z".parse().unwrap());
        assert_eq!((snapshot.stats().total_size, snapshot.stats().dir_count), (161_348, 3));
        assert_eq!((&*snapshot.tags()["tag:env"], snapshot.pins()), ("prod", &["keep".to_owned()][..]));
        assert_eq!(snapshot.summary().unwrap().symlinks, 1);
        let root = snapshot.root().unwrap();
        assert_eq!((&*root.name, root.mode, root.modified.seconds()), ("a", 0o755, 1_657_000_000));
    }

    #[test]
    fn numbers_of_the_root_are_written_unless_they_are_zero() {
        let root = concat!(
            r#"{"name":"a","type":"f","mode":"0640","size":7,"mtime":"2022-07-05T05:46:40Z","uid":1000,"gid":100,"#,
            r#""obj":"f6","summ":{"size":7,"files":1,"symlinks":0,"dirs":0,"maxTime":"2022-06-23T16:00:00Z","#,
            r#""numFailed":1,"numIgnoredErrors":2,"errors":[{"path":"p","error":"e"}]}}"#
        );
        let snapshot = snapshot(&format!(r#"{{"rootEntry":{root}}}"#)).unwrap();
        let json = serde_json::to_string(&snapshot).unwrap();
        assert!(json.contains(root), "{json}");
        let root = snapshot.root().unwrap();
        assert_eq!((root.size, root.uid, root.gid), (7, 1000, 100));
        assert_eq!(root.summary.as_deref(), snapshot.summary());
    }

    #[test]
    fn old_and_unfinished_ones() {
        let old = snapshot(r#"{"source":{"host":"h","userName":"u","path":"/"},"startTime":"2020-01-01T00:00:00Z","endTime":"2020-01-01T00:00:00Z","stats":{"dirCount":1},"incomplete":"checkpoint","rootEntry":null,"tags":null}"#).unwrap();
        assert_eq!(old.incomplete(), Some("checkpoint"));
        assert_eq!(old.root().unwrap_err().why, Refusal::NoRoot);
        assert!(snapshot("null").is_err());
        assert!(snapshot("[1]").is_err());
    }

    #[test]
    fn memory_is_that_of_everything_it_is_made_of() {
        let memory = |data: &str| snapshot(data).unwrap().memory();
        let nothing = memory("{}");
        assert!(nothing >= size_of::<SnapshotManifest>());
        let text = "A".repeat(5000);
        for data in [
            format!(r#"{{"description":"{text}"}}"#),
            format!(r#"{{"incomplete":"{text}"}}"#),
            format!(r#"{{"source":{{"path":"{text}"}}}}"#),
            format!(r#"{{"tags":{{"{text}":""}}}}"#),
            format!(r#"{{"pins":["{text}"]}}"#),
            format!(r#"{{"rootEntry":{{"name":"{text}"}}}}"#),
            format!(r#"{{"rootEntry":{{"summ":{{"incomplete":"{text}"}}}}}}"#),
            format!(r#"{{"rootEntry":{{"summ":{{"errors":[{{"error":"{text}"}}]}}}}}}"#),
        ] {
            let more = memory(&data) - nothing;
            assert!((5000..7000).contains(&more), "{more}: {data:.40}");
        }
        // Of 9 bytes each, and of 5.
        let tags: Vec<_> = (0..1000).map(|number| format!(r#""{number:03}":"""#)).collect();
        assert!(memory(&format!(r#"{{"tags":{{{}}}}}"#, tags.join(","))) > nothing + 100_000);
        assert!(memory(&format!(r#"{{"pins":[{}]}}"#, vec![r#""ab""#; 1000].join(","))) > nothing + 40_000);
    }

    #[test]
    fn tags_and_pins_are_as_many_as_a_manifest_holds() {
        let many = |count: usize, text: &dyn Fn(usize) -> String| -> String {
            (0..count).map(text).collect::<Vec<_>>().join(",")
        };
        let tags =
            |count| format!(r#"{{"tags":{{{}}}}}"#, many(count, &|number| format!(r#""{number:05}":"""#)));
        let pins = |count| format!(r#"{{"pins":[{}]}}"#, many(count, &|_| r#""""#.into()));
        assert_eq!(snapshot(&tags(50_000)).unwrap().tags().len(), 50_000);
        assert_eq!(snapshot(&pins(200_000)).unwrap().pins().len(), 200_000);
        assert!(snapshot(r#"{"tags":null,"pins":[null]}"#).unwrap().pins().is_empty());
        for data in [tags(100_000), pins(400_000)] {
            let refused = snapshot(&data).unwrap_err();
            assert!(matches!(refused, Error::Unsupported { what: "length", .. }), "{refused}");
            let manifest = Manifest::new(
                "0d85".parse().unwrap(),
                BTreeMap::new(),
                Timestamp::default(),
                data.as_bytes(),
            );
            let refused = manifest.unwrap_err();
            assert!(matches!(refused, Error::Unsupported { what: "length", .. }), "{refused}");
        }
    }
}
