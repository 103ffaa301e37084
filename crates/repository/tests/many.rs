//! What looks at many snapshots reads once what they share.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::ops::ControlFlow::Continue;

use kopia_codec::key::Password;
use kopia_repository::compare::{self, compare};
use kopia_repository::history::{Track, sightings, versions};
use kopia_repository::search::{Event, Pattern, Place, Query, gone, search};
use kopia_repository::{OpenOptions, Repository};
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

/// How many snapshots there are.
const SNAPSHOTS: u64 = 20;

fn file(name: String, object: &str) -> Value {
    json!({"name": name, "type": "f", "mode": "0644", "size": 1, "obj": object})
}

fn folder(writer: &mut RepositoryWriter, name: &str, entries: &[Value]) -> Value {
    let object = writer.directory(entries);
    json!({"name": name, "type": "d", "mode": "0755", "obj": object})
}

/// Opens a repository of snapshots that share a folder of 2,000 files in `big/part`; the file `small` has other
/// bytes in each.
fn repository() -> Repository {
    // A pack for each content, so that no bytes are read along.
    let mut writer = RepositoryWriter::new().pack_size(1);
    let object = writer.file(b"x");
    let files: Vec<_> = (0..2000).map(|number| file(format!("file-{number:04}"), &object)).collect();
    let part = folder(&mut writer, "part", &files);
    let big = folder(&mut writer, "big", &[part]);
    for number in 0..SNAPSHOTS {
        let object = writer.file(&[number as u8]);
        let root = folder(&mut writer, "data", &[big.clone(), file("small".into(), &object)]);
        writer.snapshot("app@host:/data", root);
    }
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    Repository::open_with(store, &Password::from(PASSWORD), &OpenOptions::default()).unwrap()
}

/// Returns how many bytes are read meanwhile.
fn bytes_read(repository: &Repository, work: impl FnOnce()) -> u64 {
    let before = repository.traffic();
    work();
    (repository.traffic() - before).bytes
}

/// About how many bytes the large folder has.
const LARGE: u64 = 150_000;

#[test]
fn a_search_reads_a_shared_folder_once() {
    let repository = repository();
    let places = Place::newest_first(repository.snapshots().unwrap().iter()).unwrap();
    for (pattern, expected) in [("file-0007", 1), ("small", SNAPSHOTS), ("file-*", 2000)] {
        let query = Query { pattern: Some(Pattern::glob(pattern, false).unwrap()), ..Query::default() };
        let mut found = Vec::new();
        let bytes = bytes_read(&repository, || {
            let _ = search(&repository, &places, &query, |event| {
                let Event::Found(one) = event else { panic!("{event:?}") };
                found.push((one.place, one.path));
                Continue(())
            });
        });
        assert_eq!(found.len() as u64, expected, "{pattern}");
        assert!(bytes < 2 * LARGE, "{bytes} bytes were read for {pattern}");
        assert!(pattern == "small" || found.iter().all(|(place, _)| *place == 0), "in the newest alone");
    }
}

#[test]
fn a_history_reads_a_shared_folder_once() {
    let repository = repository();
    let snapshots = repository.snapshots().unwrap();
    for (path, expected) in [("big/part/file-0007", 1), ("small", SNAPSHOTS), ("big/none", 0), ("small/x", 0)]
    {
        let tracks = Track::named(&snapshots, &format!("app@host:/data/{path}"), ("", "")).unwrap();
        let mut spans = Vec::new();
        let bytes = bytes_read(&repository, || {
            spans = versions(&sightings(&repository, snapshots.iter(), &tracks));
        });
        assert_eq!(spans.len() as u64, expected, "{path}");
        let counted: u64 = spans.iter().map(|span| span.snapshots).sum();
        assert_eq!(counted, if expected == 0 { 0 } else { SNAPSHOTS });
        assert!(bytes < 2 * LARGE, "{bytes} bytes were read for {path}");
    }
}

#[test]
fn what_is_gone_and_what_differs_is_found_without_reading_what_is_shared() {
    let repository = repository();
    let places = Place::newest_first(repository.snapshots().unwrap().iter()).unwrap();
    let bytes = bytes_read(&repository, || {
        let _ = gone(&repository, &places, false, |event| panic!("{event:?}"));
    });
    assert!(bytes < 2 * LARGE, "{bytes} bytes were read");
    let mut differing = Vec::new();
    let bytes = bytes_read(&repository, || {
        let _ = compare(&places[1].root, &places[0].root, true, |event| {
            let compare::Event::Differs(one) = event else { panic!("{event:?}") };
            differing.push(one.path);
            Continue(())
        });
    });
    assert_eq!(differing, ["small"]);
    assert!(bytes < LARGE / 10, "{bytes} bytes were read");
}
