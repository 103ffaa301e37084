//! Reads the JSON that B2 answers with.
//!
//! Authority: Backblaze's reference of the B2 Native API, version 2.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kopia_connection::Secret;
use kopia_storage::BlobInfo;
use serde::Deserialize;

use crate::objects::{self, Page};

/// What `b2_authorize_account` gives.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) account: String,
    /// The URL of everything but downloads.
    pub(super) api_url: String,
    pub(super) download_url: String,
    pub(super) token: Secret,
    /// The bucket that the key is limited to.
    pub(super) bucket: Option<Bucket>,
    /// What names must begin with that the key may see.
    pub(super) name_prefix: Option<String>,
    pub(super) capabilities: Vec<String>,
}

/// A bucket by id and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) id: String,
    /// A key can be limited to a bucket whose name it may not see.
    pub(super) name: Option<String>,
}

/// Why B2 refuses.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenAuthorization {
    account_id: String,
    api_url: String,
    download_url: String,
    authorization_token: String,
    allowed: Option<Allowed>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Allowed {
    bucket_id: Option<String>,
    bucket_name: Option<String>,
    name_prefix: Option<String>,
    capabilities: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Buckets {
    buckets: Vec<WrittenBucket>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenBucket {
    bucket_id: String,
    bucket_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Files {
    files: Vec<File>,
    next_file_name: Option<String>,
}

/// One file of a listing.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    file_name: String,
    #[serde(default)]
    content_length: Option<u64>,
    /// Milliseconds since 1970.
    #[serde(default)]
    upload_timestamp: Option<u64>,
    #[serde(default)]
    file_info: Option<BTreeMap<String, String>>,
    #[serde(default)]
    action: Option<String>,
}

/// Reads the answer of `b2_authorize_account`; `None` if it is none.
pub(super) fn authorization(body: &[u8]) -> Option<Authorization> {
    let written: WrittenAuthorization = serde_json::from_slice(body).ok()?;
    let allowed = written.allowed.unwrap_or_default();
    Some(Authorization {
        account: written.account_id,
        api_url: written.api_url,
        download_url: written.download_url,
        token: written.authorization_token.into(),
        bucket: allowed.bucket_id.map(|id| Bucket { id, name: allowed.bucket_name }),
        name_prefix: allowed.name_prefix.filter(|prefix| !prefix.is_empty()),
        capabilities: allowed.capabilities.unwrap_or_default(),
    })
}

/// Reads the answer of `b2_list_buckets`, which is about the bucket of this name. The outer `None` says that
/// it is none.
pub(super) fn bucket(body: &[u8], name: &str) -> Option<Option<Bucket>> {
    let written: Buckets = serde_json::from_slice(body).ok()?;
    let found = written.buckets.into_iter().find(|bucket| bucket.bucket_name == name);
    Some(found.map(|bucket| Bucket { id: bucket.bucket_id, name: Some(bucket.bucket_name) }))
}

/// Reads the names of all buckets of such an answer; `None` if it is none.
pub(super) fn buckets(body: &[u8]) -> Option<Vec<String>> {
    let written: Buckets = serde_json::from_slice(body).ok()?;
    Some(written.buckets.into_iter().map(|bucket| bucket.bucket_name).collect())
}

/// Reads the answer of `b2_list_file_names`; `None` if it is none.
pub(super) fn files(body: &[u8]) -> Option<Page<File>> {
    let written: Files = serde_json::from_slice(body).ok()?;
    Some(Page { items: written.files, next: written.next_file_name.filter(|name| !name.is_empty()) })
}

/// Reads why B2 refuses, if it says so.
pub(super) fn refusal(body: &[u8]) -> Option<Refusal> {
    serde_json::from_slice(body).ok().filter(|refusal: &Refusal| !refusal.code.is_empty())
}

impl File {
    /// Returns what a listing says of the blob, if it is one of a repository with this prefix.
    pub(super) fn info(&self, prefix: &str) -> Option<BlobInfo> {
        if self.action.as_deref().is_some_and(|action| action != "upload") {
            return None;
        }
        let id = objects::id_of(prefix, &self.file_name)?;
        Some(BlobInfo::new(id, self.content_length?).with_modified(self.written()))
    }

    pub(super) fn name(&self) -> &str {
        &self.file_name
    }

    fn written(&self) -> Option<SystemTime> {
        let noted = self.file_info.as_ref().and_then(|info| objects::kopia_time(info.get("kopia-mtime")?));
        noted.or_else(|| UNIX_EPOCH.checked_add(Duration::from_millis(self.upload_timestamp?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authorization_says_where_to_go_and_what_is_allowed() {
        let body = br#"{"absoluteMinimumPartSize":5000000,"accountId":"acc","allowed":{"bucketId":"b1","bucketName":"backups",
            "capabilities":["listFiles","readFiles"],"namePrefix":"k/"},"apiUrl":"https://api005.backblazeb2.com",
            "authorizationToken":"4_tok","downloadUrl":"https://f005.backblazeb2.com","s3ApiUrl":"https://s3.x"}"#;
        let read = authorization(body).unwrap();
        assert_eq!((&*read.account, &*read.api_url), ("acc", "https://api005.backblazeb2.com"));
        assert_eq!((&*read.download_url, read.token.reveal()), ("https://f005.backblazeb2.com", "4_tok"));
        assert_eq!(read.bucket, Some(Bucket { id: "b1".into(), name: Some("backups".into()) }));
        assert_eq!((read.name_prefix.as_deref(), read.capabilities.len()), (Some("k/"), 2));
        assert!(!format!("{read:?}").contains("4_tok"));
        assert!(authorization(b"{}").is_none());
    }

    #[test]
    fn a_page_gives_files_that_are_there() {
        let body = br#"{"files":[
            {"fileName":"k/p1","contentLength":12,"uploadTimestamp":1700000000123,"action":"upload","fileInfo":{"kopia-mtime":"1600000000000000007"}},
            {"fileName":"k/q2","contentLength":3,"uploadTimestamp":1700000000123,"action":"upload","fileInfo":{}},
            {"fileName":"k/sub/","contentLength":0,"action":"folder"},
            {"fileName":"k/h","contentLength":0,"action":"hide"}],"nextFileName":"k/r"}"#;
        let page = files(body).unwrap();
        assert_eq!(page.next.as_deref(), Some("k/r"));
        let infos: Vec<_> = page.items.iter().filter_map(|file| file.info("k/")).collect();
        let seen: Vec<_> = infos.iter().map(|info| (info.id.as_str(), info.length, info.modified)).collect();
        let noted = UNIX_EPOCH + Duration::new(1_600_000_000, 7);
        let uploaded = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        assert_eq!(seen, [("p1", 12, Some(noted)), ("q2", 3, Some(uploaded))]);
        assert!(files(br#"{"files":[],"nextFileName":null}"#).is_some_and(|page| page.next.is_none()));
        assert!(files(b"<html>").is_none());
    }

    #[test]
    fn a_bucket_is_found_by_its_name_and_a_refusal_has_a_code() {
        let body =
            br#"{"buckets":[{"bucketId":"1","bucketName":"other"},{"bucketId":"2","bucketName":"backups"}]}"#;
        assert_eq!(bucket(body, "backups").unwrap().unwrap().id, "2");
        assert_eq!(bucket(body, "none"), Some(None));
        assert_eq!(bucket(b"[]", "none"), None);
        let body =
            br#"{"status":401,"code":"expired_auth_token","message":"Authorization token has expired"}"#;
        assert_eq!(refusal(body).unwrap().code, "expired_auth_token");
        assert!(refusal(b"{}").is_none() && refusal(b"no").is_none());
    }

    #[test]
    fn a_broken_page_is_refused_or_read() {
        let json = r#"{"files":[{"fileName":"p1","contentLength":12,"uploadTimestamp":1700000000000,"fileInfo":{"kopia-mtime":"1"}}],"nextFileName":"p2"}"#;
        objects::broken(json, |body| {
            files(body).iter().flat_map(|page| &page.items).for_each(|file| drop(file.info("")));
        });
    }
}
