//! Reads the XML of Azure's "List Blobs".
//!
//! Authority: Microsoft's reference of "List Blobs", for versions of the service since 2021-02-12.

use std::time::SystemTime;

use kopia_storage::{BlobInfo, Near};
use percent_encoding::percent_decode_str;

use super::archive::ARCHIVE;
use crate::http::date;
use crate::objects::{self, Candidate, Listed, Page, Version};
use crate::xml;

/// One blob of a listing, or one of its versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Item {
    name: String,
    encoded: bool,
    length: Option<u64>,
    /// What Kopia noted as the time of writing.
    noted: Option<SystemTime>,
    last_modified: Option<SystemTime>,
    version: Option<String>,
    /// The blob was deleted; this stands for the deletion.
    has_versions_only: bool,
    /// It lies in the archive tier, and may be on its way out.
    is_archived: bool,
    /// Accounts with directories list these, too.
    is_directory: bool,
}

/// Reads a page. The error says in words why it is none.
pub(super) fn page(body: &[u8]) -> Result<Page<Item>, String> {
    let (mut items, mut next, mut item, mut is_listing) = (Vec::new(), None, Item::default(), false);
    xml::walk(body, |path, text| match path.strip_prefix("EnumerationResults") {
        Some("/Blobs/Blob") => items.push(std::mem::take(&mut item)),
        Some("/NextMarker") => next = Some(text.to_string()).filter(|marker| !marker.is_empty()),
        Some("") => is_listing = true,
        Some(field) => field.strip_prefix("/Blobs/Blob/").into_iter().for_each(|field| item.set(field, text)),
        None => {}
    })?;
    if is_listing { Ok(Page { items, next }) } else { Err("its root is not EnumerationResults".into()) }
}

/// Reads the names of one level: of blobs, and what the others have in common. `None` is no listing.
pub(super) fn level(body: &[u8]) -> Option<Vec<Near>> {
    let (mut near, mut common, mut encoded, mut is_listing) = (Vec::new(), String::new(), false, false);
    for item in page(body).ok()?.items {
        near.push(Near::new(item.decoded_name()).with_modified(item.noted.or(item.last_modified)));
    }
    xml::walk(body, |path, text| match path.strip_prefix("EnumerationResults/Blobs/BlobPrefix") {
        Some("/Name") => common = text.into(),
        Some("/Name/@Encoded") => encoded = is_true(text),
        Some("") => near.push(Near::new(decoded(&std::mem::take(&mut common), std::mem::take(&mut encoded)))),
        _ => is_listing |= path == "EnumerationResults",
    })
    .ok()?;
    is_listing.then_some(near)
}

/// Reads the names of containers. `None` is no list of them.
pub(super) fn containers(body: &[u8]) -> Option<Vec<String>> {
    let (mut names, mut is_list) = (Vec::new(), false);
    xml::walk(body, |path, text| match path {
        "EnumerationResults" => is_list = true,
        "EnumerationResults/Containers/Container/Name" => names.push(text.into()),
        _ => {}
    })
    .ok()?;
    is_list.then_some(names)
}

fn decoded(name: &str, encoded: bool) -> String {
    if encoded { percent_decode_str(name).decode_utf8_lossy().into() } else { name.into() }
}

impl Item {
    fn decoded_name(&self) -> String {
        decoded(&self.name, self.encoded)
    }

    fn set(&mut self, field: &str, text: &str) {
        match field {
            "Name" => self.name = text.into(),
            "Name/@Encoded" => self.encoded = is_true(text),
            "VersionId" => self.version = Some(text.into()),
            "HasVersionsOnly" => self.has_versions_only = is_true(text),
            "Properties/Content-Length" => self.length = text.trim().parse().ok(),
            "Properties/Last-Modified" => self.last_modified = date::parse(text),
            "Properties/AccessTier" => self.is_archived = text == ARCHIVE,
            "Properties/ResourceType" => self.is_directory |= text == "directory",
            _ => self.set_metadata(field, text),
        }
    }

    /// Names of metadata keep the case that they were written in.
    fn set_metadata(&mut self, field: &str, text: &str) {
        let Some(name) = field.strip_prefix("Metadata/") else { return };
        if name.eq_ignore_ascii_case("kopiamtime") {
            self.noted = objects::kopia_time(text);
        } else if name.eq_ignore_ascii_case("hdi_isfolder") {
            self.is_directory |= is_true(text);
        }
    }

    /// Returns whether it lies in the archive tier.
    pub(super) fn is_archived(&self) -> bool {
        self.is_archived
    }

    /// Returns whether the listing says which version this is.
    pub(super) fn has_version(&self) -> bool {
        self.version.is_some()
    }
}

impl Listed for Item {
    fn mark(&self) -> String {
        format!("{} {}", self.name, self.version.as_deref().unwrap_or_default())
    }

    fn info(&self, prefix: &str) -> Option<BlobInfo> {
        let id = objects::id_of(prefix, &self.decoded_name()).filter(|_| !self.is_directory)?;
        Some(BlobInfo::new(id, self.length?).with_modified(self.noted.or(self.last_modified)))
    }

    /// A deletion has the times of the version before it, and its own time as its version. Authority:
    /// `azure_pit.go`.
    fn candidate(&self, prefix: &str, _at: SystemTime) -> Option<Candidate> {
        let info = Self { length: Some(self.length.unwrap_or(0)), ..self.clone() }.info(prefix)?;
        let version = self.version.clone()?;
        let written = info.modified?;
        let since = match self.has_versions_only {
            true => objects::rfc3339(&version)?.max(written),
            false => written,
        };
        Some(Candidate { version: Version { version, info }, since, deleted: self.has_versions_only })
    }
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const PAGE: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ServiceEndpoint="https://a.blob.core.windows.net/" ContainerName="c"><Prefix>k/</Prefix><Blobs>
<Blob><Name>k/p1</Name><Properties><Last-Modified>Tue, 14 Nov 2023 22:13:20 GMT</Last-Modified>
<Content-Length>12</Content-Length><AccessTier>Hot</AccessTier></Properties><Metadata><Kopiamtime>1600000000000000007</Kopiamtime></Metadata></Blob>
<Blob><Name Encoded="true">k%2Fq2</Name><Properties><Content-Length>3</Content-Length></Properties><Metadata/></Blob>
<Blob><Name>k/sub</Name><Properties><Content-Length>0</Content-Length><ResourceType>directory</ResourceType></Properties></Blob>
<Blob><Name>k/old</Name><Properties><Content-Length>0</Content-Length></Properties><Metadata><hdi_isfolder>true</hdi_isfolder></Metadata></Blob>
<Blob><Name>k/a&amp;b</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>
</Blobs><NextMarker>2!84!x&amp;y</NextMarker></EnumerationResults>"#;

    fn at(seconds: u64, nanoseconds: u32) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
    }

    #[test]
    fn a_page_gives_blobs_with_their_times_and_no_directories() {
        let page = page(PAGE.as_bytes()).unwrap();
        assert_eq!(page.next.as_deref(), Some("2!84!x&y"));
        let infos: Vec<_> = page.items.iter().filter_map(|item| item.info("k/")).collect();
        let seen: Vec<_> = infos.iter().map(|info| (info.id.as_str(), info.length, info.modified)).collect();
        assert_eq!(seen, [("p1", 12, at(1_600_000_000, 7)), ("q2", 3, None), ("a&b", 1, None)]);
        assert_eq!(date::parse("Tue, 14 Nov 2023 22:13:20 GMT"), at(1_700_000_000, 0));
    }

    #[test]
    fn a_level_has_what_names_have_in_common() {
        let xml = PAGE
            .replace("</Blobs>", "<BlobPrefix><Name Encoded=\"true\">k%2Fa b/</Name></BlobPrefix></Blobs>");
        let near = level(xml.as_bytes()).unwrap();
        let names: Vec<_> = near.iter().map(|near| &*near.name).collect();
        assert_eq!(names, ["k/p1", "k/q2", "k/sub", "k/old", "k/a&b", "k/a b/"]);
        let list = b"<EnumerationResults><Containers><Container><Name>c1</Name></Container></Containers></EnumerationResults>";
        assert_eq!(containers(list), Some(vec!["c1".into()]));
        assert!(level(b"<html/>").is_none() && containers(b"<html/>").is_none());
    }

    #[test]
    fn a_deletion_counts_from_its_own_time() {
        let blob = |version: &str, extra: &str| {
            let xml = format!(
                "<EnumerationResults><Blobs><Blob><Name>p1</Name><VersionId>{version}</VersionId>{extra}<Properties>\
                 <Last-Modified>Tue, 14 Nov 2023 22:13:20 GMT</Last-Modified></Properties></Blob></Blobs></EnumerationResults>"
            );
            page(xml.as_bytes()).unwrap().items.remove(0).candidate("", SystemTime::UNIX_EPOCH).unwrap()
        };
        let there = blob("2023-11-14T22:13:20.0000000Z", "");
        assert_eq!((Some(there.since), there.deleted), (at(1_700_000_000, 0), false));
        let gone = blob("2023-11-14T22:15:00.0000000Z", "<HasVersionsOnly>true</HasVersionsOnly>");
        assert_eq!((Some(gone.since), gone.deleted), (at(1_700_000_100, 0), true));
    }

    #[test]
    fn what_is_no_listing_is_an_error() {
        let cut = &PAGE[..PAGE.len() - 30];
        for body in ["", "<html></html>", "{}", cut, "<Error><Code>X</Code></Error>"] {
            assert!(page(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_broken_page_is_refused_or_read() {
        objects::broken(PAGE, |body| {
            let page = page(body).ok();
            page.iter()
                .flat_map(|page| &page.items)
                .for_each(|item| drop((item.info("k/"), item.candidate("k/", SystemTime::UNIX_EPOCH))));
        });
    }
}
