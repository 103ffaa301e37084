//! Reads the JSON of listings of Google Cloud Storage.
//!
//! Authority: Google's reference of `Objects: list` of the JSON API, and Kopia's `gcs_storage.go`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use kopia_storage::{BlobInfo, Near};
use serde::Deserialize;

use crate::objects::{self, Candidate, Listed, Page, Version};

/// The fields of a listing that are asked for.
pub(super) const FIELDS: &str = "nextPageToken,items(name,size,timeCreated,timeDeleted,generation,metadata)";

/// One object of a listing, or one of its generations.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    name: String,
    /// Whole numbers are texts in this interface.
    #[serde(default)]
    size: Option<String>,
    #[serde(default)]
    time_created: Option<String>,
    #[serde(default)]
    time_deleted: Option<String>,
    #[serde(default)]
    generation: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    items: Vec<Item>,
    #[serde(default)]
    next_page_token: Option<String>,
}

/// Reads a page; `None` if it is none.
pub(super) fn page(body: &[u8]) -> Option<Page<Item>> {
    let written: Written = serde_json::from_slice(body).ok()?;
    Some(Page { items: written.items, next: written.next_page_token.filter(|token| !token.is_empty()) })
}

/// Reads the names of buckets; `None` if it is no list of them.
pub(super) fn buckets(body: &[u8]) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Bucket {
        name: String,
    }
    #[derive(Deserialize)]
    struct Buckets {
        #[serde(default)]
        items: Vec<Bucket>,
    }
    let Buckets { items } = serde_json::from_slice(body).ok()?;
    Some(items.into_iter().map(|bucket| bucket.name).collect())
}

/// Reads the names of one level: of objects, and what the others have in common. `None` is no listing.
pub(super) fn level(body: &[u8]) -> Option<Vec<Near>> {
    #[derive(Deserialize)]
    struct Level {
        #[serde(default)]
        items: Vec<Item>,
        #[serde(default)]
        prefixes: Vec<String>,
    }
    let Level { items, prefixes } = serde_json::from_slice(body).ok()?;
    let names = items.into_iter().map(|item| {
        let written = item.written();
        Near::new(item.name).with_modified(written)
    });
    Some(names.chain(prefixes.into_iter().map(Near::new)).collect())
}

impl Item {
    /// Returns the length in bytes.
    pub(super) fn length(&self) -> Option<u64> {
        self.size.as_deref()?.parse().ok()
    }

    fn written(&self) -> Option<SystemTime> {
        let mut metadata = self.metadata.iter().flatten();
        let noted = metadata.find(|(name, _)| name.eq_ignore_ascii_case("kopia-mtime"));
        let noted = noted.and_then(|(_, time)| objects::kopia_time(time));
        noted.or_else(|| objects::rfc3339(self.time_created.as_deref()?))
    }
}

impl Listed for Item {
    fn mark(&self) -> String {
        format!("{} {}", self.name, self.generation.as_deref().unwrap_or_default())
    }

    fn info(&self, prefix: &str) -> Option<BlobInfo> {
        let id = objects::id_of(prefix, &self.name)?;
        Some(BlobInfo::new(id, self.length()?).with_modified(self.written()))
    }

    /// Authority: Kopia's `gcs_versioned.go`.
    fn candidate(&self, prefix: &str, at: SystemTime) -> Option<Candidate> {
        let info = self.info(prefix)?;
        let version = self.generation.clone()?;
        // There are no deletions of their own: a generation says when it was deleted or replaced.
        let deleted = self.time_deleted.as_deref().and_then(objects::rfc3339).is_some_and(|time| time < at);
        Some(Candidate { since: info.modified?, version: Version { version, info }, deleted })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_page_gives_blobs_with_their_times() {
        let body = br#"{"kind":"storage#objects","nextPageToken":"n","items":[
            {"name":"k/p1","size":"12","timeCreated":"2023-11-14T22:13:20.5Z","metadata":{"Kopia-Mtime":"1600000000000000007"}},
            {"name":"k/q2","size":"3","timeCreated":"2023-11-14T22:13:20Z"},
            {"name":"k/a/b","size":"1"},{"name":"k/bad","size":"-1"}]}"#;
        let page = page(body).unwrap();
        assert_eq!(page.next.as_deref(), Some("n"));
        let infos: Vec<_> = page.items.iter().filter_map(|item| item.info("k/")).collect();
        let seen: Vec<_> = infos.iter().map(|info| (info.id.as_str(), info.length, info.modified)).collect();
        let noted = UNIX_EPOCH + Duration::new(1_600_000_000, 7);
        let created = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(seen, [("p1", 12, Some(noted)), ("q2", 3, Some(created))]);
    }

    #[test]
    fn a_level_has_what_names_have_in_common() {
        let near = level(br#"{"items":[{"name":"k/p1","size":"1"}],"prefixes":["k/a/"]}"#).unwrap();
        let names: Vec<_> = near.iter().map(|near| (&*near.name, near.is_directory())).collect();
        assert_eq!(names, [("k/p1", false), ("k/a/", true)]);
        assert!(level(b"{}").is_some_and(|near| near.is_empty()) && level(b"<html>").is_none());
    }

    #[test]
    fn a_generation_counts_as_deleted_only_before_the_instant() {
        let json = br#"{"name":"p1","size":"1","timeCreated":"2023-01-01T00:00:00Z","timeDeleted":"2023-11-14T22:13:20Z","generation":"7"}"#;
        let item: Item = serde_json::from_slice(json).unwrap();
        let deleted =
            |seconds| item.candidate("", UNIX_EPOCH + Duration::from_secs(seconds)).unwrap().deleted;
        assert_eq!((deleted(1_700_000_000), deleted(1_700_000_001)), (false, true));
    }

    #[test]
    fn an_empty_bucket_has_no_items_and_nonsense_is_none() {
        assert!(
            page(br#"{"kind":"storage#objects"}"#)
                .is_some_and(|page| page.items.is_empty() && page.next.is_none())
        );
        for body in ["", "<html>", "[1]", r#"{"items":[{"size":"1"}]}"#, r#"{"items":3}"#] {
            assert!(page(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn a_broken_page_is_refused_or_read() {
        let json = r#"{"items":[{"name":"p1","size":"12","timeCreated":"2023-11-14T22:13:20Z","generation":"1","metadata":{"a":"b"}}],"nextPageToken":"t"}"#;
        objects::broken(json, |body| {
            let read = |item: &Item| drop((item.info(""), item.candidate("", UNIX_EPOCH)));
            page(body).iter().flat_map(|page| &page.items).for_each(read);
        });
    }
}
