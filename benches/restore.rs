//! From an open repository to files on disk: many small files, and a large one.
//!
//! Every restore goes into a fresh folder, and all are removed at the end: some file systems are slow to make
//! files for a while after many were deleted. Set `TMPDIR` to the file system to be measured.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kopia_codec::key::Password;
use kopia_repository::{Entry, Repository};
use kopia_storage::FilesystemStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

const SMALL_FILES: usize = 5000;
const LARGE_FILE: usize = 64 << 20;

/// Bytes that differ from file to file and from piece to piece.
fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn root(folder: &std::path::Path, write: impl FnOnce(&mut RepositoryWriter) -> Vec<Value>) -> Entry {
    let mut writer = RepositoryWriter::new();
    let entries = write(&mut writer);
    let object = writer.directory(&entries);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": object}));
    writer.finish_in(folder).expect("a repository");
    let store = FilesystemStore::open(folder).expect("it is there");
    let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
    let snapshots = repository.snapshots().expect("snapshots");
    snapshots.iter().next().expect("one snapshot").root().expect("a root")
}

fn file(writer: &mut RepositoryWriter, number: usize, length: usize) -> Value {
    let object = writer.file(&noise(number, length));
    json!({"name": format!("file-{number}"), "type": "f", "mode": "0644", "size": length,
        "mtime": "2026-01-02T03:04:05Z", "obj": object})
}

fn restore(c: &mut Criterion) {
    let place = tempfile::tempdir().expect("a temporary folder");
    let small = root(&place.path().join("small"), |writer| {
        let folders = (0..50).map(|folder| {
            let files: Vec<_> = (0..SMALL_FILES / 50)
                .map(|number| file(writer, folder * 1000 + number, number % 64 * 128))
                .collect();
            let object = writer.directory(&files);
            json!({"name": format!("folder-{folder}"), "type": "d", "mode": "0755", "obj": object})
        });
        folders.collect()
    });
    let large = root(&place.path().join("large"), |writer| vec![file(writer, 0, LARGE_FILE)]);
    let mut count = 0;
    let mut fresh = || {
        count += 1;
        place.path().join(format!("target-{count}"))
    };
    let options = kopia_restore::Options::default();

    let mut group = c.benchmark_group("restore");
    group.sample_size(10);
    group.throughput(Throughput::Elements(SMALL_FILES as u64));
    group.bench_function("5000 small files", |bencher| {
        let restore = |target| kopia_restore::restore(&small, target, &options).expect("it ends");
        bencher.iter_batched(&mut fresh, restore, BatchSize::PerIteration);
    });
    group.throughput(Throughput::Bytes(LARGE_FILE as u64));
    group.bench_function("a file of 64 MiB", |bencher| {
        let restore = |target| kopia_restore::restore(&large, target, &options).expect("it ends");
        bencher.iter_batched(&mut fresh, restore, BatchSize::PerIteration);
    });
}

/// From a folder and a password to a restored file: what a restore costs at least, nearly all of it the key.
fn whole(c: &mut Criterion) {
    let place = tempfile::tempdir().expect("a temporary folder");
    root(&place.path().join("repository"), |writer| vec![file(writer, 0, 1000)]);
    let mut count = 0;
    let mut fresh = || {
        count += 1;
        place.path().join(format!("target-{count}"))
    };
    c.bench_function("open and restore one file", |bencher| {
        let restore = |target| {
            let store = FilesystemStore::open(place.path().join("repository")).expect("it is there");
            let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
            let snapshots = repository.snapshots().expect("snapshots");
            let root = snapshots.iter().next().expect("one snapshot").root().expect("a root");
            kopia_restore::restore(&root, target, &kopia_restore::Options::default()).expect("it ends")
        };
        bencher.iter_batched(&mut fresh, restore, BatchSize::PerIteration);
    });
}

criterion_group!(benches, restore, whole);
criterion_main!(benches);
