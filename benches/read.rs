//! Opening, looking up and planning: index blobs, the merged table, directories, the order of reads.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kopia_codec::key::Password;
use kopia_format::ContentId;
use kopia_format::index::Index;
use kopia_repository::Repository;
use kopia_repository::contents::{ContentLocation, Located};
use kopia_storage::MemoryStore;
use kopia_storage::testing::DelayedStore;
use kopia_testkit::huge::HugeIndex;
use kopia_testkit::writer::PASSWORD;
use serde_json::json;

fn store(huge: &HugeIndex) -> MemoryStore {
    let store = MemoryStore::new();
    let insert = |name: String, bytes: Vec<u8>| {
        store.insert(name.parse().expect("a name"), bytes);
        Ok(())
    };
    huge.for_each_blob(insert).expect("memory takes everything");
    store
}

fn parse(c: &mut Criterion) {
    const ENTRIES: u64 = 100_000;
    let mut group = c.benchmark_group("parse an index blob of 100,000 entries");
    group.throughput(Throughput::Elements(ENTRIES));
    for version in [1, 2] {
        let bytes = HugeIndex::new(0, 0).version(version).index(0, ENTRIES);
        group.bench_function(format!("version {version}"), |bencher| {
            bencher.iter(|| Index::parse(black_box(&bytes)).expect("it is one"));
        });
        let index = Index::parse(&bytes).expect("it is one");
        group.bench_function(format!("entries of version {version}"), |bencher| {
            bencher.iter(|| index.entries().map(|entry| u64::from(entry.offset)).sum::<u64>());
        });
    }
}

fn open(c: &mut Criterion) {
    let password = Password::from(PASSWORD);
    let mut group = c.benchmark_group("open, key derivation of 70 ms included");
    group.sample_size(10);
    for (contents, blobs) in [(0, 0), (100_000, 1), (100_000, 2000), (1_000_000, 1), (1_000_000, 100)] {
        let store = store(&HugeIndex::new(contents, blobs));
        group.bench_function(format!("{contents} contents in {blobs} index blobs"), |bencher| {
            bencher.iter(|| Repository::open(store.clone(), &password).expect("it opens"));
        });
    }
}

/// The round trip of a distant store. A request takes that; bytes take nothing.
const ROUND_TRIP: Duration = Duration::from_millis(50);

fn open_far(c: &mut Criterion) {
    let password = Password::from(PASSWORD);
    let mut group = c.benchmark_group("open and list snapshots at 50 ms, key derivation of 70 ms included");
    group.sample_size(10);
    for (contents, blobs) in [(0, 0), (1_000_000, 20), (1_000_000, 100)] {
        let store = store(&HugeIndex::new(contents, blobs));
        group.bench_function(format!("{contents} contents in {blobs} index blobs"), |bencher| {
            bencher.iter(|| {
                let far = DelayedStore::new(store.clone(), ROUND_TRIP);
                let repository = Repository::open(far, &password).expect("it opens");
                repository.snapshots().expect("a list")
            });
        });
    }
}

fn find(c: &mut Criterion) {
    let store = store(&HugeIndex::new(1_000_000, 10));
    let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
    let mut ids = Vec::new();
    repository.contents().for_each(|id, _| ids.push(id));
    // In an order that no cache foresees: this step and the number of contents have no common factor.
    let scattered = (0..ids.len()).map(|number| ids[number * 611_953 % ids.len()]);
    let present: Vec<ContentId> = scattered.collect();
    let absent: Vec<_> =
        present.iter().map(|id| ContentId::new(Some('z'), id.hash()).expect("an id")).collect();
    let mut group = c.benchmark_group("find one of 1,000,000 contents");
    for (name, ids, found) in [("hit", &present, true), ("miss", &absent, false)] {
        let mut next = ids.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let id = black_box(next.next().expect("it goes round"));
                assert_eq!(repository.contents().locate(id).is_ok(), found);
            });
        });
    }
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
            kopia_format::directory::read(black_box(text.as_bytes()), |entry| wanted(black_box(entry)))
        });
    });
    group.bench_function("as a stream", |bencher| {
        bencher.iter(|| {
            kopia_format::directory::read_stream(black_box(text.as_bytes()), |entry| wanted(black_box(entry)))
        });
    });
}

/// Drops something and goes on.
fn wanted<T>(_: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A use whose content does not matter.
#[derive(Clone)]
struct Placed(ContentLocation);

impl Located for Placed {
    fn content(&self) -> ContentId {
        ContentId::new(None, &[0; 16]).expect("an id")
    }

    fn location(&self) -> ContentLocation {
        self.0
    }
}

/// What planning costs besides parsing directories: sorting the locations of a batch and merging neighbours.
fn schedule(c: &mut Criterion) {
    const NEEDS: usize = 16_384;
    let store = store(&HugeIndex::new(NEEDS as u64, 1));
    let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
    let mut stored = Vec::new();
    repository.contents().for_each(|_, location| stored.push(Placed(location)));
    stored.sort_by_key(|placed| placed.0.order());
    // Files come by directory and name, which is nearly the order of packs; or after many snapshots in hardly
    // any.
    for (name, step) in [("in the order of packs", 1), ("scattered", 6151)] {
        let placed: Vec<Placed> = (0..NEEDS).map(|number| stored[number * step % NEEDS].clone()).collect();
        let mut group = c.benchmark_group("schedule 16,384 contents");
        group.throughput(Throughput::Elements(NEEDS as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || placed.clone(),
                |placed| repository.contents().schedule(black_box(placed), 0),
                BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(benches, parse, open, open_far, find, directory, schedule);
criterion_main!(benches);
