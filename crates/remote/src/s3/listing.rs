//! Pages of listings: of what is there, and of all versions.

use std::time::SystemTime;

use percent_encoding::percent_decode_str;

use crate::objects::{Page, encoded, rfc3339};
use crate::xml;

/// A key in a listing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) length: u64,
    pub(super) modified: Option<SystemTime>,
    /// The storage class, if the server says so.
    pub(super) class: String,
    /// The version, where versions are listed.
    pub(super) version: String,
    /// It says that the key was deleted then.
    pub(super) deleted: bool,
}

/// Returns the query for a page of what is there.
pub(super) fn query(prefix: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!("&continuation-token={}", encoded(token))).unwrap_or_default();
    format!("list-type=2{token}&delimiter=%2F&encoding-type=url&prefix={}", encoded(prefix))
}

/// Returns the query for a page of versions. A marker is what [`versions`] gave: it is encoded already.
pub(super) fn versions_query(prefix: &str, marker: Option<&str>) -> String {
    let marker = marker.unwrap_or_default();
    format!("versions&delimiter=%2F&encoding-type=url&prefix={}{marker}", encoded(prefix))
}

/// Reads a page of what is there. `None` is no such page.
pub(super) fn objects(body: &[u8]) -> Option<Page<Entry>> {
    let Level { keys, next, .. } = level(body)?;
    Some(Page { items: keys, next })
}

/// A page of what lies up to the next `/`.
#[derive(Debug)]
pub(super) struct Level {
    pub(super) keys: Vec<Entry>,
    /// What keys have in common that go on behind a `/`.
    pub(super) common: Vec<String>,
    /// What the next page is asked for by.
    pub(super) next: Option<String>,
}

/// Reads the keys of a page, and what the others have in common. `None` is no such page.
pub(super) fn level(body: &[u8]) -> Option<Level> {
    let raw = read(body, "ListBucketResult", &["Contents"])?;
    let next = match (raw.truncated, raw.token) {
        (false, _) => None,
        (true, token) => Some(token.filter(|token| !token.is_empty())?),
    };
    Some(Level { keys: raw.entries, common: raw.common, next })
}

/// Reads the names of buckets. `None` is no list of them.
pub(super) fn buckets(body: &[u8]) -> Option<Vec<String>> {
    let (mut names, mut rooted) = (Vec::new(), false);
    xml::walk(body, |path, text| match path {
        "ListAllMyBucketsResult" => rooted = true,
        "ListAllMyBucketsResult/Buckets/Bucket/Name" => names.push(text.into()),
        _ => {}
    })
    .ok()?;
    rooted.then_some(names)
}

/// Reads a page of versions. `None` is no such page.
pub(super) fn versions(body: &[u8]) -> Option<Page<Entry>> {
    let raw = read(body, "ListVersionsResult", &["Version", "DeleteMarker"])?;
    let next = match (raw.truncated, raw.key_marker) {
        (false, _) => None,
        (true, key) => {
            let key = key.filter(|key| !key.is_empty())?;
            let version = raw.version_marker.filter(|version| !version.is_empty());
            let version = version.map(|version| format!("&version-id-marker={}", encoded(&version)));
            Some(format!("&key-marker={}{}", encoded(&key), version.unwrap_or_default()))
        }
    };
    Some(Page { items: raw.entries, next })
}

#[derive(Default)]
struct Raw {
    entries: Vec<Entry>,
    truncated: bool,
    token: Option<String>,
    key_marker: Option<String>,
    version_marker: Option<String>,
    url_encoded: bool,
    /// What keys have in common that are not listed one by one.
    common: Vec<String>,
    /// A length that is none.
    bad: bool,
}

fn read(body: &[u8], root: &str, kinds: &[&str]) -> Option<Raw> {
    let (mut raw, mut entry, mut rooted) = (Raw::default(), Entry::default(), false);
    xml::walk(body, |path, text| {
        let Some(path) = path.strip_prefix(root) else { return };
        let mut parts = path.trim_start_matches('/').split('/');
        match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
            ("", None, None) => rooted = true,
            ("IsTruncated", None, None) => raw.truncated = text == "true",
            ("NextContinuationToken", None, None) => raw.token = Some(text.into()),
            ("NextKeyMarker", None, None) => raw.key_marker = Some(text.into()),
            ("NextVersionIdMarker", None, None) => raw.version_marker = Some(text.into()),
            ("CommonPrefixes", Some("Prefix"), None) => raw.common.push(text.into()),
            ("EncodingType", None, None) => raw.url_encoded = text == "url",
            (kind, None, None) if kinds.contains(&kind) => {
                entry.deleted = kind == "DeleteMarker";
                raw.entries.push(std::mem::take(&mut entry));
            }
            (kind, Some(field), None) if kinds.contains(&kind) => raw.bad |= !entry.set(field, text),
            _ => {}
        }
    })
    .ok()?;
    // The type of encoding may come after what is encoded.
    if raw.url_encoded {
        raw.entries.iter_mut().for_each(|entry| entry.key = decoded(&entry.key));
        raw.common.iter_mut().for_each(|common| *common = decoded(common));
        raw.key_marker = raw.key_marker.map(|marker| decoded(&marker));
    }
    (rooted && !raw.bad).then_some(raw)
}

impl Entry {
    /// Takes a field, and returns whether it can be used.
    fn set(&mut self, field: &str, text: &str) -> bool {
        match field {
            "Key" => self.key = text.into(),
            "Size" => match text.trim().parse() {
                Ok(length) => self.length = length,
                Err(_) => return false,
            },
            "LastModified" => self.modified = rfc3339(text.trim()),
            "StorageClass" => self.class = text.into(),
            "VersionId" => self.version = text.into(),
            _ => {}
        }
        true
    }
}

/// Decodes a key as forms do: a plus sign is a blank.
fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_without_its_common_prefixes() {
        let page = objects(
            br#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
            <Contents><Key>a+b%2Fp1</Key><LastModified>2023-11-14T22:13:20.000Z</LastModified><ETag>&quot;x&quot;</ETag>
            <Size>7</Size><Owner><ID>Key</ID></Owner><StorageClass>DEEP_ARCHIVE</StorageClass></Contents>
            <CommonPrefixes><Prefix>a+b%2Fsub%2F</Prefix></CommonPrefixes><EncodingType>url</EncodingType>
            <IsTruncated>true</IsTruncated><NextContinuationToken>to&amp;ken</NextContinuationToken></ListBucketResult>"#,
        )
        .unwrap();
        assert_eq!(page.next.as_deref(), Some("to&ken"));
        let [entry] = &*page.items else { panic!("{:?}", page.items) };
        assert_eq!((&*entry.key, entry.length, &*entry.class), ("a b/p1", 7, "DEEP_ARCHIVE"));
        assert!(entry.modified.is_some());
    }

    #[test]
    fn a_level_has_what_keys_have_in_common() {
        let Level { keys, common, .. } = level(
            br"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%2Fp1</Key><Size>7</Size></Contents>
            <CommonPrefixes><Prefix>a+b%2F</Prefix></CommonPrefixes></ListBucketResult>",
        )
        .unwrap();
        assert_eq!((&*keys[0].key, &common[..]), ("a/p1", &["a b/".to_string()][..]));
        let list = br"<ListAllMyBucketsResult><Owner/><Buckets><Bucket><Name>b1</Name></Bucket><Bucket><Name>b2</Name>
            </Bucket></Buckets></ListAllMyBucketsResult>";
        assert_eq!(buckets(list), Some(vec!["b1".into(), "b2".into()]));
        assert_eq!(buckets(b"<html/>"), None);
    }

    #[test]
    fn what_is_no_page_is_none() {
        for bad in [
            &b"<html></html>"[..],
            b"",
            b"<ListBucketResult><Contents><Size>-1</Size></Contents></ListBucketResult>",
            b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken/></ListBucketResult>",
            b"<ListBucketResult><Contents>",
        ] {
            assert!(objects(bad).is_none(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(
            objects(b"<ListBucketResult/>").is_some_and(|page| page.items.is_empty() && page.next.is_none())
        );
    }

    #[test]
    fn versions_and_markers_of_deletion_keep_their_order() {
        let page = versions(
            br#"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k+1</NextKeyMarker>
            <NextVersionIdMarker>v/2</NextVersionIdMarker>
            <DeleteMarker><Key>p1</Key><VersionId>3</VersionId></DeleteMarker>
            <Version><Key>p1</Key><VersionId>2</VersionId><Size>5</Size></Version></ListVersionsResult>"#,
        )
        .unwrap();
        let seen: Vec<_> = page.items.iter().map(|entry| (&*entry.version, entry.deleted)).collect();
        assert_eq!(seen, [("3", true), ("2", false)]);
        assert_eq!(page.next.as_deref(), Some("&key-marker=k%2B1&version-id-marker=v%2F2"));
    }

    #[test]
    fn damaged_pages_break_nothing() {
        let whole = b"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%2Fb</Key><Size>7</Size></Contents>\
            <IsTruncated>true</IsTruncated><NextContinuationToken>&#x41;</NextContinuationToken></ListBucketResult>";
        let mut random = kopia_testkit::random::Random::new(7);
        for _ in 0..5000 {
            let mut page = whole.to_vec();
            for _ in 0..random.within(1..4) {
                let at = random.within(0..page.len());
                match random.within(0..3) {
                    0 => page[at] = random.next() as u8,
                    1 => page.truncate(at.max(1)),
                    _ => page.insert(at, b"<>&;%"[random.within(0..5)]),
                }
            }
            let _ = (objects(&page), versions(&page), level(&page), buckets(&page));
        }
    }
}
