//! Asks for files of Google Drive, and reads the JSON of listings.
//!
//! Authority: Google's reference of `files.list` of the Drive API, version 3, and Kopia's
//! `gdrive_storage.go`.

use std::time::SystemTime;

use kopia_format::BlobId;
use serde::Deserialize;

use crate::objects::{self, Page};

/// The type of Kopia's files.
const MIME_TYPE: &str = "application/x-kopia";

/// How much of a prefix Drive compares.
const MAX_PREFIX: usize = 26;

/// The fields of a listing that are asked for.
pub(super) const FIELDS: &str = "nextPageToken,files(name,id,size,modifiedTime)";

/// One file of a listing.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    size: Option<String>,
    #[serde(default)]
    modified_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    files: Vec<File>,
    #[serde(default)]
    next_page_token: Option<String>,
}

/// Returns the query for all files in a directory whose names begin with a prefix, and perhaps for more.
pub(super) fn by_prefix(folder: &str, prefix: &str) -> String {
    let mut query = in_folder(folder);
    // Drive compares words, so a prefix that begins with a sign is compared here alone.
    if prefix.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        let prefix: String = prefix.chars().take(MAX_PREFIX).collect();
        query.push_str(&format!(" and name contains '{}'", escaped(&prefix)));
    }
    query
}

/// The query for all directories that the account can see.
pub(super) const DIRECTORIES: &str = "mimeType = 'application/vnd.google-apps.folder' and trashed = false";

/// Returns the query for all that is in a directory, Kopia's and others'.
pub(super) fn all(folder: &str) -> String {
    format!("'{}' in parents and trashed = false", escaped(folder))
}

/// Returns the query for the files in a directory with one name.
pub(super) fn by_name(folder: &str, id: &BlobId) -> String {
    format!("{} and name = '{}'", in_folder(folder), escaped(id.as_str()))
}

fn in_folder(folder: &str) -> String {
    format!("'{}' in parents and mimeType = '{MIME_TYPE}' and trashed = false", escaped(folder))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\'', "\\'")
}

/// Reads a page; `None` if it is none.
pub(super) fn page(body: &[u8]) -> Option<Page<File>> {
    let written: Written = serde_json::from_slice(body).ok()?;
    Some(Page { items: written.files, next: written.next_page_token.filter(|token| !token.is_empty()) })
}

impl File {
    pub(super) fn length(&self) -> Option<u64> {
        self.size.as_deref()?.parse().ok()
    }

    pub(super) fn modified(&self) -> Option<SystemTime> {
        objects::rfc3339(self.modified_time.as_deref()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_name_the_directory_the_type_and_the_name() {
        let base = "'f1' in parents and mimeType = 'application/x-kopia' and trashed = false";
        assert_eq!(by_prefix("f1", ""), base);
        assert_eq!(by_prefix("f1", "_log"), base);
        assert_eq!(by_prefix("f1", "xn"), format!("{base} and name contains 'xn'"));
        let long = by_prefix("f1", &"p".repeat(40));
        assert!(long.ends_with(&format!("'{}'", "p".repeat(26))), "{long}");
        let id = BlobId::new("a'b").unwrap();
        assert!(by_name(r"f\1", &id).starts_with(r"'f\\1' in parents"));
        assert!(by_name("f", &id).ends_with(r"and name = 'a\'b'"));
    }

    #[test]
    fn a_page_gives_files() {
        let body = br#"{"files":[{"id":"1","name":"p1","size":"12","modifiedTime":"2023-11-14T22:13:20.000Z"},{"id":"2","name":"q"}]}"#;
        let page = page(body).unwrap();
        assert_eq!(
            (page.items[0].length(), page.items[1].length(), page.next.as_deref()),
            (Some(12), None, None)
        );
        assert!(page.items[0].modified().is_some());
        assert!(super::page(b"{}").is_none() && super::page(b"<html>").is_none());
    }

    #[test]
    fn a_broken_page_is_refused_or_read() {
        let json = r#"{"files":[{"id":"1","name":"p1","size":"12","modifiedTime":"2023-11-14T22:13:20Z"}],"nextPageToken":"t"}"#;
        objects::broken(json, |body| {
            let read = |file: &File| assert!(file.modified().is_none() || file.length() != Some(u64::MAX));
            page(body).iter().flat_map(|page| &page.items).for_each(read);
        });
    }
}
