//! How much memory open repositories take.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::num::NonZero;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use kopia_codec::key::{KeyDerivation, Password};
use kopia_repository::verify::Options;
use kopia_repository::{Error, OpenOptions, Repository, Resources};
use kopia_storage::FilesystemStore;
use kopia_testkit::huge::HugeIndex;
use kopia_testkit::peak;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

const MIB: u64 = 1 << 20;

/// Two threads work, whatever the machine has: each has buffers and a heap of its own.
fn options(mut resources: Resources) -> OpenOptions {
    resources.threads = NonZero::new(2);
    let mut options = OpenOptions::default();
    options.resources = resources;
    options
}

fn open(place: &Path, resources: Resources) -> Repository {
    let store = FilesystemStore::open(place.join("repository")).unwrap();
    Repository::open_with(store, &Password::from(PASSWORD), &options(resources)).unwrap()
}

/// Finds each of some contents, and counts them all.
fn look_up(repository: &Repository, contents: u64) {
    let mut number = 0;
    repository.contents().for_each(|id, location| {
        if number % 997 == 0 {
            assert_eq!(repository.contents().locate(&id).unwrap(), location);
        }
        number += 1;
    });
    // Those of the snapshot are there, too.
    assert_eq!(number, contents + 3);
}

/// Returns the most bytes that opening such a repository takes, and looking contents up.
fn peak_of(test: &str, huge: &HugeIndex, contents: u64, in_file: bool) -> Option<u64> {
    let set_up = |place: &Path| {
        huge.write_in(&place.join("repository")).unwrap();
        std::fs::create_dir(place.join("index")).unwrap();
    };
    let work = |place: &Path| {
        let mut resources = Resources::default();
        if in_file {
            resources = resources.index_directory(place.join("index"));
        }
        look_up(&open(place, resources), contents);
    };
    peak::of(test, &format!("{huge:?} {in_file}"), set_up, work)
}

#[test]
fn sixteen_repositories_that_are_opened_at_once() {
    const CONTENTS: u64 = 50_000;
    let huge = HugeIndex::new(CONTENTS, 4).derivation(KeyDerivation::Scrypt65536);
    let set_up = |place: &Path| huge.write_in(&place.join("repository")).unwrap();
    let work = |place: &Path| {
        let all_are_open = Barrier::new(16);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let repository = open(place, Resources::default());
                    all_are_open.wait();
                    assert_eq!(repository.status().unwrap().contents, CONTENTS + 3);
                });
            }
        });
    };
    let peak = peak::of("sixteen_repositories_that_are_opened_at_once", "all", set_up, work);
    // Each scrypt takes 64 MiB: all at once would take 1024.
    assert!(peak.is_none_or(|peak| peak <= 256 * MIB), "{peak:?} bytes");
}

#[test]
fn a_million_contents() {
    let huge = HugeIndex::new(1_000_000, 1);
    let peak = peak_of("a_million_contents", &huge, 1_000_000, false);
    // The index blob has 33 MB, the table 34 while it grows, the program some 20.
    assert!(peak.is_none_or(|peak| peak <= 80 * MIB), "{peak:?} bytes");
}

#[test]
fn the_merged_index_in_a_file() {
    let huge = HugeIndex::new(20_000, 7);
    let place = tempfile::tempdir().unwrap();
    let repository = place.path().join("repository");
    huge.write_in(&repository).unwrap();
    let index = place.path().join("index");
    std::fs::create_dir(&index).unwrap();
    let in_file = open(place.path(), Resources::default().index_directory(&index));
    look_up(&in_file, 20_000);
    let list = |repository: &Repository| {
        let mut all = Vec::new();
        // Packs are numbered in the order in which index blobs happen to be read, so their names count.
        repository.contents().for_each(|id, location| {
            let pack = repository.pack_name(location.group()).unwrap().unwrap();
            let lengths = (location.stored_length(), location.plain_length());
            all.push((pack, location.order(), id, lengths, location.is_deleted()));
        });
        all.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        all.into_iter()
            .map(|(pack, _, id, lengths, deleted)| (pack, id, lengths, deleted))
            .collect::<Vec<_>>()
    };
    assert!(list(&in_file) == list(&open(place.path(), Resources::default())));
    assert_eq!(in_file.snapshots().unwrap().iter().count(), 1);
    assert_eq!(std::fs::read_dir(&index).unwrap().count(), 0, "it has no name");

    for (directory, why) in
        [(repository.join("x"), "nothing is written"), (place.path().join("none"), "No such")]
    {
        let store = FilesystemStore::open(&repository).unwrap();
        let options = options(Resources::default().index_directory(&directory));
        let error = Repository::open_with(store, &Password::from(PASSWORD), &options).unwrap_err();
        assert!(matches!(error, Error::IndexFile { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(why) && error.contains(&*directory.to_string_lossy()), "{error}");
    }
}

#[test]
fn what_is_lost_of_a_snapshot_holds_no_copy_of_it() {
    const LOST: usize = 500;
    let set_up = |place: &Path| {
        let mut writer = RepositoryWriter::new();
        let missing = "f".repeat(32);
        let lost =
            |number: usize| json!({"name": number.to_string(), "type": "f", "size": 1, "obj": missing});
        let root = writer.directory(&(0..LOST).map(lost).collect::<Vec<_>>());
        writer.manifest(json!({
            "source": {"host": "host", "userName": "app", "path": "/data"},
            "description": "A".repeat(1_000_000),
            "startTime": "2026-01-01T00:00:00Z",
            "endTime": "2026-01-01T00:00:00Z",
            "rootEntry": {"name": "data", "type": "d", "obj": root},
        }));
        writer.finish_in(&place.join("repository")).unwrap();
    };
    let work = |place: &Path| {
        let report = open(place, Resources::default()).verify(&Options::default(), &()).unwrap();
        assert_eq!((report.affected_count, report.affected.len()), (LOST as u64, LOST));
    };
    let peak = peak::of("what_is_lost_of_a_snapshot_holds_no_copy_of_it", "all", set_up, work);
    // The copies would take 500 MB.
    assert!(peak.is_none_or(|peak| peak <= 128 * MIB), "{peak:?} bytes");
}

/// Prints what opening takes: `CONTENTS=10000000 BLOBS=1 cargo test … -- --ignored --nocapture of_contents`.
#[test]
#[ignore = "measures, and takes long"]
fn of_contents() {
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let (contents, blobs) = (number("CONTENTS", 10_000_000), number("BLOBS", 1));
    for in_file in [false, true] {
        let peak = peak_of("of_contents", &HugeIndex::new(contents, blobs), contents, in_file);
        let place = if in_file { "a file" } else { "memory" };
        println!("{contents} contents in {blobs} index blobs, in {place}: {} MiB", peak.unwrap_or(0) / MIB);
    }
}
