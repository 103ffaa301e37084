//! The parsers: every accepted value keeps its promises.

use std::ops::ControlFlow;

use kopia_format::compaction::{self, CompactionLog};
use kopia_format::directory::{self, Entry, Refused};
use kopia_format::format_blob::{Envelope, RepositoryFormat, find_replica};
use kopia_format::index::Index;
use kopia_format::manifest;
use kopia_format::postamble::Postamble;
use kopia_format::snapshot::{SnapshotManifest, Source};
use kopia_format::{BlobId, ContentId, ManifestId, ObjectId, Timestamp};

/// Index blobs of version 1, without the byte that says so.
pub fn index_v1(bytes: &[u8]) {
    index(&[&[1], bytes].concat());
}

/// Index blobs of version 2, without the byte that says so.
pub fn index_v2(bytes: &[u8]) {
    index(&[&[2], bytes].concat());
}

/// Reads an index to its end; its pack names take no more memory than the blob has bytes.
fn index(bytes: &[u8]) {
    let Ok(index) = Index::parse(bytes) else { return };
    assert_eq!(index.entries().count(), index.len());
    assert_eq!(index.is_empty(), index.entries().next().is_none());
    let names: usize = index.packs().iter().map(|pack| pack.as_str().len()).sum();
    assert!(names <= bytes.len(), "names of packs have {names} bytes, of {}", bytes.len());
    for entry in index.entries() {
        assert!((entry.pack as usize) < index.packs().len());
        assert!(ContentId::from_key(entry.key).is_ok());
    }
}

/// Directories, whole and as a stream: both say the same, and no name leads out of it.
pub fn directory(bytes: &[u8]) {
    let mut whole = Vec::new();
    let result = directory::read(bytes, |entry: Result<Entry<'_>, Refused>| {
        whole.push(entry.map(Entry::into_owned));
        ControlFlow::Continue(())
    });
    for entry in whole.iter().flatten() {
        assert!(entry.name.split('/').all(|component| !matches!(component, "" | "." | "..")));
        assert!(!entry.name.contains('\0'));
        assert_eq!(entry.mode & !0o7777, 0);
    }
    let mut streamed = Vec::new();
    let stream = directory::read_stream(bytes, |entry| {
        streamed.push(entry.map(Entry::into_owned));
        ControlFlow::Continue(())
    });
    let stream = stream.expect("slices do not fail");
    if let Ok(summary) = result {
        assert_eq!((stream, &streamed), (Ok(summary), &whole));
    }
}

/// Lists of manifests: at most one state of each id remains, and no deleted one.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifests) = manifest::parse(bytes) else { return };
    let latest = manifest::latest(manifests);
    assert!(latest.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert!(latest.iter().all(|manifest| !manifest.deleted));
    latest.iter().filter(|manifest| manifest.is_snapshot()).for_each(|manifest| {
        let _ = SnapshotManifest::parse(manifest);
    });
}

/// The data of one snapshot manifest: serializing and parsing again gives the same.
pub fn snapshot(bytes: &[u8]) {
    let Some(first) = one_snapshot(bytes) else { return };
    let _ = (first.summary(), first.source().to_string(), first.incomplete(), first.stats());
    if let Ok(root) = first.root() {
        assert_eq!(root.mode & !0o7777, 0);
    }
    let json = serde_json::to_vec(&first).expect("a snapshot can be written");
    let second = one_snapshot(&json).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&second).expect("a snapshot can be written"), json);
}

fn one_snapshot(data: &[u8]) -> Option<SnapshotManifest> {
    let before = br#"{"entries":[{"id":"0","modified":"2026-01-01T00:00:00Z","data":"#;
    let list = [before, data, b"}]}"].concat();
    match &manifest::parse(&list).ok()?[..] {
        [manifest] => SnapshotManifest::parse(manifest).ok(),
        _ => None,
    }
}

/// The format blob, outside and inside, and replicas of it in packs.
pub fn format_blob(bytes: &[u8]) {
    let _ = Envelope::parse(bytes);
    if let Some((replica, seal)) = find_replica(bytes) {
        assert!(replica.len() + seal.len() <= bytes.len());
    }
    if let Ok(format) = RepositoryFormat::parse(bytes) {
        let _ = format.upgrade_lock.as_ref().map(|lock| lock.in_force(Timestamp::default()));
        assert!(!format!("{format:?}").contains("secret"));
    }
}

/// Lists of pieces: they follow each other without a gap.
pub fn indirect(bytes: &[u8]) {
    let mut end = 0;
    for piece in kopia_format::indirect::parse(bytes, 1 << 16).unwrap_or_default() {
        assert!(piece.start == end && piece.length > 0);
        end += piece.length;
    }
}

/// Names of epoch blobs, one a line: only blobs that are present become active.
pub fn epoch(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let names = blob_ids(text);
    let active = kopia_format::epoch::active_set(&names);
    assert!(active.blobs.iter().all(|blob| names.contains(blob)));
    assert!(active.blobs.is_sorted());
    assert!(active.incomplete.iter().all(|blob| names.contains(blob) && !active.blobs.contains(blob)));
}

/// Compaction logs: only present blobs are active, and a log never adds any.
pub fn compaction_log(bytes: &[u8]) {
    let Ok(log) = CompactionLog::parse(bytes) else { return };
    let present = [log.inputs(), log.outputs()].concat();
    let all = compaction::active_set(&present, &[]);
    let active = compaction::active_set(&present, std::slice::from_ref(&log));
    assert!(all.is_sorted() && all.iter().all(|blob| present.contains(blob)));
    assert!(active.is_sorted() && active.iter().all(|blob| all.contains(blob)));
}

/// Object and content ids: formatting and parsing again gives the same.
pub fn object_id(bytes: &[u8]) {
    let _ = ContentId::from_key(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<ObjectId>() {
        assert_eq!(id.to_string().parse::<ObjectId>(), Ok(id));
        let lists = std::iter::successors(Some(id), ObjectId::list).count();
        assert_eq!(lists, usize::from(id.indirection()) + 1);
    }
    if let Ok(id) = text.parse::<ContentId>() {
        assert_eq!(id.to_string(), text);
        assert_eq!(ContentId::new(id.prefix(), id.hash()), Ok(id));
    }
}

/// Names of blobs and manifests, and sources of snapshots.
pub fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = BlobId::new(text) {
        assert!(id.as_str() == text && !text.contains('/') && text != "..");
    }
    if let Ok(id) = ManifestId::new(text) {
        assert!(id.as_str() == text && !text.contains('/') && text != "..");
    }
    if let Ok(source) = text.parse::<Source>() {
        assert_eq!(source.to_string(), text);
    }
}

/// Times: formatting and parsing again gives the same instant.
pub fn time(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(time) = text.parse::<Timestamp>() else { return };
    assert_eq!(time.to_string().parse(), Ok(time));
    assert_eq!(Timestamp::new(time.seconds(), time.nanoseconds()), Ok(time));
    assert!(time.saturating_add(i128::MAX) >= time && time.saturating_add(i128::MIN) <= time);
}

/// The end of a pack.
pub fn postamble(bytes: &[u8]) {
    if let Ok(postamble) = Postamble::parse(bytes) {
        assert!(postamble.iv.len() < bytes.len());
    }
}

fn blob_ids(lines: &str) -> Vec<BlobId> {
    lines.split('\n').filter_map(|name| BlobId::new(name).ok()).collect()
}
