//! Opening and looking up: index blobs, the merged table, directories.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kopia_codec::key::Password;
use kopia_format::ContentId;
use kopia_repository::Repository;
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

/// As many contents as a repository of some 100 GB has.
const CONTENTS: u32 = 100_000;

fn store(contents: u32) -> (MemoryStore, Vec<ContentId>) {
    let mut writer = RepositoryWriter::new();
    let ids = (0..contents).map(|number| writer.content(None, &number.to_be_bytes())).collect();
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().expect("a name"), bytes));
    (blobs.collect(), ids)
}

fn open(c: &mut Criterion) {
    let password = Password::from(PASSWORD);
    let mut group = c.benchmark_group("open, key derivation of 70 ms included");
    group.sample_size(20);
    for contents in [1, CONTENTS] {
        let (store, _) = store(contents);
        group.bench_function(format!("{contents} contents"), |bencher| {
            bencher.iter(|| Repository::open(store.clone(), &password).expect("it opens"));
        });
    }
}

fn find(c: &mut Criterion) {
    let (store, ids) = store(CONTENTS);
    let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
    let mut next = ids.iter().cycle();
    c.bench_function("find one of 100,000 contents", |bencher| {
        bencher
            .iter(|| repository.find(black_box(next.next().expect("it goes round"))).expect("it is there"));
    });
}

fn directory(c: &mut Criterion) {
    let entries: Vec<_> = (0..10_000)
        .map(|number| {
            json!({"name": format!("file-{number:05}.txt"), "type": "f", "mode": "0644", "size": number,
                "mtime": "2026-01-02T03:04:05.123456789Z", "uid": 1000, "gid": 1000,
                "obj": format!("{number:032x}")})
        })
        .collect();
    let text = json!({"stream": "kopia:directory", "entries": entries, "summary": null}).to_string();
    let mut group = c.benchmark_group("directory of 10,000 entries");
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("in memory", |bencher| {
        bencher.iter(|| {
            kopia_format::directory::read(black_box(text.as_bytes()), |entry| drop(black_box(entry)))
        });
    });
    group.bench_function("as a stream", |bencher| {
        bencher.iter(|| {
            kopia_format::directory::read_stream(black_box(text.as_bytes()), |entry| drop(black_box(entry)))
        });
    });
}

criterion_group!(benches, open, find, directory);
criterion_main!(benches);
