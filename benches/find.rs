//! Searching 1,000 snapshots of 100,000 files each, which share all directories but those that lead to one
//! changed file: the list of snapshots, and a search for one name, for all that end alike, and for everything.
//!
//! `FIND_REPOSITORY=DIR` writes the repository into a folder instead, to be searched by the command itself.

use std::ops::ControlFlow;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kopia_codec::key::Password;
use kopia_repository::Repository;
use kopia_repository::search::{Event, Pattern, Place, Query, search};
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

const SNAPSHOTS: usize = 1000;
/// Directories of 100 files, 10 in each above them, and these 10 in each of 10.
const LEAVES: usize = 1000;
const FILES: usize = 100;

fn entry(name: String, kind: &str, size: usize, object: &str) -> Value {
    json!({
        "name": name, "type": kind, "mode": "0755", "mtime": "2026-01-02T03:04:05Z", "size": size, "obj": object,
    })
}

/// Writes a directory of files, of which one has the bytes of a version.
fn leaf(writer: &mut RepositoryWriter, number: usize, version: usize) -> String {
    let plain = writer.file(b"x");
    let changed = writer.file(version.to_string().as_bytes());
    let files: Vec<_> = (0..FILES)
        .map(|file| {
            let object = if file == 50 { &changed } else { &plain };
            entry(format!("file-{number:03}-{file:02}.txt"), "f", 1, object)
        })
        .collect();
    writer.directory(&files)
}

fn above(writer: &mut RepositoryWriter, objects: &[String]) -> String {
    let entries = objects.iter().enumerate();
    let entries: Vec<_> =
        entries.map(|(number, object)| entry(format!("{number}"), "d", 0, object)).collect();
    writer.directory(&entries)
}

/// Writes snapshots, of which each has one file changed since the one before.
fn write() -> RepositoryWriter {
    let mut writer = RepositoryWriter::new();
    let mut leaves: Vec<_> = (0..LEAVES).map(|number| leaf(&mut writer, number, 0)).collect();
    let mut middle: Vec<_> = leaves.chunks(10).map(|objects| above(&mut writer, objects)).collect();
    let mut top: Vec<_> = middle.chunks(10).map(|objects| above(&mut writer, objects)).collect();
    for snapshot in 0..SNAPSHOTS {
        // Neighbours lie far from each other.
        let number = snapshot * 7 % LEAVES;
        leaves[number] = leaf(&mut writer, number, snapshot + 1);
        let (above_leaf, above_middle) = (number / 10, number / 100);
        middle[above_leaf] = above(&mut writer, &leaves[above_leaf * 10..][..10]);
        top[above_middle] = above(&mut writer, &middle[above_middle * 10..][..10]);
        let root = above(&mut writer, &top);
        let time =
            format!("2026-01-01T{:02}:{:02}:{:02}Z", snapshot / 3600, snapshot / 60 % 60, snapshot % 60);
        writer.manifest(json!({
            "source": {"host": "host", "userName": "app", "path": "/data"},
            "startTime": time, "endTime": time, "rootEntry": entry("data".into(), "d", 0, &root),
        }));
    }
    writer
}

fn find(c: &mut Criterion) {
    if let Some(folder) = std::env::var_os("FIND_REPOSITORY") {
        write().finish_in(folder.as_ref()).expect("a folder");
        return;
    }
    let blobs = write().finish().into_iter().map(|(name, bytes)| (name.parse().expect("a name"), bytes));
    let store = blobs.collect::<MemoryStore>();
    let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
    let mut group = c.benchmark_group(format!("find in {SNAPSHOTS} snapshots of {} files", LEAVES * FILES));
    group.sample_size(10);
    for (pattern, expected) in [("file-123-50.txt", 2), ("*-50.txt", LEAVES + SNAPSHOTS), ("*.jpg", 0)] {
        let query =
            Query { pattern: Some(Pattern::glob(pattern, false).expect("a pattern")), ..Query::default() };
        group.throughput(Throughput::Elements(SNAPSHOTS as u64));
        group.bench_function(pattern, |bencher| {
            bencher.iter(|| {
                let snapshots = repository.snapshots().expect("a list");
                let places = Place::newest_first(snapshots.iter()).expect("roots");
                let mut found = 0;
                let _ = search(&repository, &places, &query, |event| {
                    let Event::Found(_) = event else { panic!("{event:?}") };
                    found += 1;
                    ControlFlow::Continue(())
                });
                assert!(found == expected || found + 1 == expected, "{found} of {pattern}");
            });
        });
    }
}

criterion_group!(benches, find);
criterion_main!(benches);
