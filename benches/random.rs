//! Reading here and there: paths, places of large files, several places in turn, and front to back.

use std::hint::black_box;
use std::io::Read;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kopia_codec::key::Password;
use kopia_repository::object::ObjectReader;
use kopia_repository::{Entry, Repository};
use kopia_storage::MemoryStore;
use kopia_testkit::random::Random;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

/// Kopia's usual content of a large file.
const PIECE: usize = 4 << 20;

/// The large file, and the part of it that random reads stay in.
const LARGE: usize = 256 << 20;
const WORKING_SET: usize = 64 << 20;

/// Folders in the root, and files in each: 302 entries are on the way to the last file but one.
const FOLDERS: usize = 251;
const FILES: usize = 51;

/// The root of a snapshot with one large file, and folders of small ones, sealed and perhaps compressed.
fn root(is_compressed: bool) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(PIECE);
    let mut bytes = Random::new(15).bytes(LARGE);
    if is_compressed {
        writer = writer.compressed();
        // Text, by and large: half of it is gone.
        bytes.iter_mut().for_each(|byte| *byte = b"etaoinshrdlucmfw"[usize::from(*byte & 15)]);
    }
    let (large, small) = (writer.file(&bytes), writer.file(b"small"));
    let files: Vec<Value> = (0..FILES)
        .map(|number| {
            json!({"name": format!("f{number:03}.txt"), "type": "f", "mode": "0644", "size": 5,
            "mtime": "2026-01-02T03:04:05.123456789Z", "uid": 1000, "gid": 1000, "obj": small})
        })
        .collect();
    let folder = writer.directory(&files);
    let mut entries: Vec<Value> = (0..FOLDERS)
        .map(|number| json!({"name": format!("d{number:03}"), "type": "d", "mode": "0755", "obj": folder}))
        .collect();
    entries.push(json!({"name": "large", "type": "f", "mode": "0644", "size": LARGE, "obj": large}));
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().expect("a name"), bytes));
    let store: MemoryStore = blobs.collect();
    let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
    let snapshots = repository.snapshots().expect("a list");
    snapshots.iter().next().expect("there is one").root().expect("a root")
}

fn large(root: &Entry) -> ObjectReader {
    root.at("large").expect("it is there").open().expect("it opens")
}

fn paths(c: &mut Criterion, root: &Entry) {
    let mut group = c.benchmark_group("look up a path, 302 entries on the way");
    group.bench_function("again and again", |bencher| {
        bencher.iter(|| root.at(black_box("d250/f050.txt")).expect("it is there"));
    });
    group.finish();
    let mut group = c.benchmark_group("open a file of 64 pieces");
    let entry = root.at("large").expect("it is there");
    group.bench_function("again and again", |bencher| bencher.iter(|| entry.open().expect("it opens")));
}

fn places(c: &mut Criterion, root: &Entry, how: &str) {
    // The whole file is more than what is kept decoded, so that most of its places are cold.
    for (name, most) in [("within 64 MiB", WORKING_SET), ("within 256 MiB", LARGE)] {
        let reader = large(root);
        let mut group = c.benchmark_group(format!("read at random {name}, {how}"));
        let mut buffer = vec![0; 4 << 10];
        let mut random = Random::new(7);
        group.throughput(Throughput::Elements(1));
        group.bench_function("4 KiB", |bencher| {
            bencher.iter(|| {
                let place = random.next() % (most - buffer.len()) as u64;
                reader.read_full_at(&mut buffer, place).expect("it can be read")
            });
        });
        group.finish();
    }

    let mut group = c.benchmark_group(format!("read a file of 256 MiB, {how}"));
    group.sample_size(10).throughput(Throughput::Bytes(LARGE as u64));
    group.bench_function("64 KiB at two places in turn", |bencher| {
        bencher.iter(|| {
            let (reader, half) = (large(root), LARGE as u64 / 2);
            let mut buffer = vec![0; 64 << 10];
            for offset in (0..half).step_by(buffer.len()) {
                for start in [offset, half + offset] {
                    reader.read_full_at(&mut buffer, start).expect("it can be read");
                }
            }
        });
    });
    group.bench_function("front to back, 64 KiB each", |bencher| {
        bencher.iter(|| {
            let (mut reader, mut buffer) = (large(root), vec![0; 64 << 10]);
            while reader.read(&mut buffer).expect("it can be read") > 0 {}
        });
    });
    group.bench_function("as a copy", |bencher| {
        bencher.iter(|| {
            let copied = large(root).copy(|bytes| {
                black_box(bytes);
                Ok::<_, kopia_repository::Error>(())
            });
            copied.expect("it can be read");
        });
    });
}

fn all(c: &mut Criterion) {
    for (is_compressed, how) in [(false, "sealed"), (true, "sealed and compressed by gzip")] {
        let root = root(is_compressed);
        if !is_compressed {
            paths(c, &root);
        }
        places(c, &root, how);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
