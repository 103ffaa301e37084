//! The walk over a snapshot's tree: one directory of a million entries, and 100,000 directories.

use std::hint::black_box;
use std::ops::ControlFlow::{self, Continue};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kopia_codec::key::Password;
use kopia_format::directory::Summary;
use kopia_repository::tree::{Order, Problem, Visitor, Walk, Walked};
use kopia_repository::{Defect, Entry, Error, Repository, Trail};
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

/// Counts entries, as the least that a visitor does.
#[derive(Default)]
struct Counter(u64);

impl Visitor for Counter {
    type Directory = ();

    fn leaf(&mut self, _: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
        self.0 += 1;
        drop(black_box(entry));
        Continue(())
    }

    fn directory(
        &mut self,
        _: &mut Walked<()>,
        _: &Entry,
        _: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        self.0 += 1;
        Continue(Some(()))
    }

    fn problem(&mut self, _: &mut Walked<()>, problem: Problem) -> ControlFlow<()> {
        panic!("{problem:?}");
    }

    fn leave(&mut self, _: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        read.expect("it is whole");
        Continue(())
    }
}

fn entry(name: &str, kind: &str, object: &str) -> Value {
    json!({"name": name, "type": kind, "mode": "0755", "mtime": "2026-01-02T03:04:05Z", "obj": object})
}

/// Writes a repository and opens the root of its snapshot.
fn root(write: impl FnOnce(&mut RepositoryWriter) -> String) -> Entry {
    let mut writer = RepositoryWriter::new();
    let root = write(&mut writer);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().expect("a name"), bytes));
    let store = blobs.collect::<MemoryStore>();
    let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
    let snapshots = repository.snapshots().expect("a list");
    snapshots.iter().next().expect("one").root().expect("a directory")
}

/// A million files in one directory, in kopia's order.
fn wide() -> Entry {
    root(|writer| {
        let empty = writer.file(b"");
        let files: Vec<_> =
            (0..1_000_000).map(|file| entry(&format!("file-{file:07}"), "f", &empty)).collect();
        writer.directory(&files)
    })
}

/// 100,000 directories of two files each, 300 in each of those above them.
fn deep() -> Entry {
    root(|writer| {
        let empty = writer.file(b"");
        let mut level: Vec<_> = (0..100_000)
            .map(|number| {
                let files = [entry(&format!("{number}-a"), "f", &empty), entry("b", "f", &empty)];
                writer.directory(&files)
            })
            .collect();
        while level.len() > 1 {
            let above = level.chunks(300).map(|objects| {
                let entries = objects.iter().enumerate();
                let entries: Vec<_> =
                    entries.map(|(number, object)| entry(&format!("{number:03}"), "d", object)).collect();
                writer.directory(&entries)
            });
            level = above.collect();
        }
        level.remove(0)
    })
}

fn walk(c: &mut Criterion) {
    for (name, root, orders) in [
        ("a directory of 1,000,000 entries", wide(), &[Order::Batches][..]),
        ("100,000 directories", deep(), &[Order::Batches, Order::DepthFirst]),
    ] {
        let mut counter = Counter::default();
        let _ = Walk::new(root.repository()).run([(&root, ())], &mut counter);
        let mut group = c.benchmark_group(format!("walk {name}"));
        group.throughput(Throughput::Elements(counter.0));
        group.sample_size(10);
        for &order in orders {
            let walk = Walk::new(root.repository()).order(order);
            group.bench_function(format!("{order:?}"), |bencher| {
                bencher.iter(|| walk.run([(&root, ())], &mut Counter::default()));
            });
        }
    }
}

criterion_group!(benches, walk);
criterion_main!(benches);
