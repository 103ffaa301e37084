//! The seam, from outside: contents that come from no pack, and random reads that are kept.

use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_format::ContentId;
use kopia_format::directory::EntryKind;
use kopia_storage::testing::CountingStore;
use kopia_storage::{BlobStore, MemoryStore, ReadAhead};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

use super::memory::Memory;
use super::*;
use crate::{Entry, OpenOptions, Repository, verify};

const FILES: usize = 40;

fn bytes_of(number: usize) -> Vec<u8> {
    format!("the bytes of file {number}").into_bytes()
}

/// A snapshot of files in four directories, and one of several pieces.
fn store() -> MemoryStore {
    let mut writer = RepositoryWriter::new().piece_size(1000);
    let mut directories: Vec<_> = (0..4)
        .map(|directory| {
            let files: Vec<_> = (directory * FILES / 4..(directory + 1) * FILES / 4)
                .map(|number| {
                    let bytes = bytes_of(number);
                    let object = writer.file(&bytes);
                    let name = format!("f{number:02}");
                    json!({"name": name, "type": "f", "mode": "0644", "size": bytes.len(), "obj": object})
                })
                .collect();
            let object = writer.directory(&files);
            json!({"name": format!("d{directory}"), "type": "d", "mode": "0755", "obj": object})
        })
        .collect();
    let object = writer.file(&pieces());
    directories.push(json!({"name": "large", "type": "f", "mode": "0644", "size": 5000, "obj": object}));
    let root = writer.directory(&directories);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect()
}

/// Five pieces that differ.
fn pieces() -> Vec<u8> {
    (0..5).flat_map(|piece| vec![piece; 1000]).collect()
}

fn root(repository: &Repository) -> Entry {
    repository.snapshots().unwrap().iter().next().unwrap().root().unwrap()
}

/// A repository without a single pack, whose contents are served from memory after `change`.
fn served(ahead: ReadAhead, change: impl Fn(ContentId, &mut Vec<u8>)) -> Repository {
    let store = store();
    let whole = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let mut contents = Vec::new();
    whole.contents().for_each(|content, _| {
        let mut plain = whole.contents().read(&content).unwrap();
        change(content, &mut plain);
        contents.push((content, plain));
    });
    for prefix in ["p", "q"] {
        for pack in store.list(prefix).unwrap() {
            store.remove(&pack.id).unwrap();
        }
    }
    let opened = Repository::open(store, &Password::from(PASSWORD)).unwrap();
    opened.served_from(Source::Memory(Memory::new(contents, ahead)))
}

/// Reads every file, and returns how many there are.
fn read_all(directory: &Entry, count: &mut usize) {
    for entry in directory.directory().unwrap().entries {
        match entry.kind() {
            EntryKind::Directory => read_all(&entry, count),
            _ => {
                let text = std::io::read_to_string(entry.open().unwrap()).unwrap().into_bytes();
                let expected = if entry.name() == "large" { pieces() } else { bytes_of(*count) };
                assert_eq!(text, expected, "{}", entry.name());
                *count += usize::from(entry.name() != "large");
            }
        }
    }
}

#[test]
fn a_repository_without_packs_is_walked_read_and_verified() {
    for ahead in [ReadAhead::Hints, ReadAhead::Threads] {
        let repository = served(ahead, |_, _| {});
        let mut count = 0;
        read_all(&root(&repository), &mut count);
        assert_eq!(count, FILES);
        let report = repository.verify_entry(None, &root(&repository), &verify::Options::default(), &());
        assert!(report.is_sound(), "{report:?}");
        // Every content is a group of its own: files, their directories, pieces and their list.
        let contents = FILES as u64 + 4 + 1 + 5 + 1;
        assert_eq!(report.contents, verify::Coverage { verified: contents, of: contents });
        assert_eq!(report.packs, report.contents);
    }
}

#[test]
fn a_content_that_is_served_wrong_is_named() {
    let third = |content: ContentId, plain: &mut Vec<u8>| {
        if content.prefix().is_none() && *plain == bytes_of(3) {
            plain[0] ^= 1;
        }
    };
    for ahead in [ReadAhead::Hints, ReadAhead::Threads] {
        let repository = served(ahead, third);
        let report = repository.verify_entry(None, &root(&repository), &verify::Options::default(), &());
        assert_eq!((report.damage_count, report.affected_count), (1, 1), "{report:?}");
        assert_eq!(report.affected[0].path, "d0/f03");
        let damage = &report.damage[0];
        assert_eq!(damage.pack.as_str(), damage.content.to_string(), "it lies in no pack");
    }
}

/// Opens the large file with so many bytes of cache, and returns the ranges that reading pieces in an order
/// takes.
fn reads(cache: usize, order: &[u64]) -> usize {
    let store = Arc::new(CountingStore::new(store()));
    let options = OpenOptions { content_cache: cache, ..OpenOptions::default() };
    let repository = Repository::open_with(store.clone(), &Password::from(PASSWORD), &options).unwrap();
    let file = root(&repository).at("large").unwrap().open().unwrap();
    store.take();
    for piece in order {
        let mut byte = [9];
        assert_eq!(file.read_at(&mut byte, piece * 1000 + 1).unwrap(), 1);
        assert_eq!(u64::from(byte[0]), *piece);
    }
    store.take().ranges.len()
}

#[test]
fn random_reads_are_kept_within_the_budget() {
    let back_and_forth = [4, 1, 4, 1, 4, 1, 4, 1];
    assert_eq!(reads(1 << 20, &back_and_forth), 2);
    assert_eq!(reads(0, &back_and_forth), 8, "the cache is off");
    // There is room for one of them.
    assert_eq!(reads(1500, &back_and_forth), 8);
    assert_eq!(reads(3000, &back_and_forth), 2);
}

#[test]
fn what_is_read_front_to_back_is_not_kept() {
    let twice = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4];
    // Only what was jumped to is: the first piece, the second time; it is there from then on.
    assert_eq!(reads(1 << 20, &twice), 10);
    assert_eq!(reads(1 << 20, &[twice, twice].concat()), 10 + 4 + 4);
}
