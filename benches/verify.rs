//! `verify` beside what it cannot do without: reading, decoding and hashing every content, pack by pack, and
//! nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kopia_codec::hash::HashAlgorithm;
use kopia_codec::key::Password;
use kopia_format::ContentId;
use kopia_repository::contents::Stored;
use kopia_repository::{ContentLocation, Repository, verify};
use kopia_rs_benches::noise::Noise;
use kopia_storage::FilesystemStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

const FILES: usize = 128;
const FILE: usize = 4 << 20;

/// Writes 512 MiB in packs of 20 MiB.
fn repository(folder: &std::path::Path, hash: HashAlgorithm) -> Repository {
    let mut writer = RepositoryWriter::new().hash(hash);
    let entries: Vec<_> = (0..FILES)
        .map(|number| {
            let mut bytes = Vec::new();
            Noise::new(number as u64).bytes(FILE, &mut bytes);
            let object = writer.file(&bytes);
            json!({"name": format!("f{number:02}"), "type": "f", "mode": "0644", "size": FILE, "obj": object})
        })
        .collect();
    let object = writer.directory(&entries);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": object}));
    writer.finish_in(folder).expect("a repository");
    let store = FilesystemStore::open(folder).expect("it is there");
    Repository::open(store, &Password::from(PASSWORD)).expect("it opens")
}

/// Reads each pack once and decodes and hashes what is in it, on all cores.
fn alone(repository: &Repository) -> usize {
    let mut contents: Vec<(ContentId, ContentLocation)> = Vec::new();
    repository.contents().for_each(|content, location| contents.push((content, location)));
    contents.sort_by_key(|(_, location)| location.order());
    let packs: Vec<&[(ContentId, ContentLocation)]> =
        contents.chunk_by(|(_, a), (_, b)| a.group() == b.group()).collect();
    let (next, right) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let origin = |location: &ContentLocation| repository.contents().origin(location);
    let work = || {
        let (mut decoder, mut buffer) = (repository.contents().decoder(), Vec::new());
        decoder.set_verify_hashes(true);
        while let Some(pack) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (first, last) = (origin(&pack[0].1), origin(&pack[pack.len() - 1].1).range());
            let start = first.offset;
            let bytes =
                repository.store().read_range(&first.blob, start, (last.end - start) as usize, buffer);
            let bytes = bytes.expect("the pack is there");
            let stored = pack.iter().map(|&(id, location)| {
                let range = origin(&location).range();
                let bytes = &bytes[(range.start - start) as usize..(range.end - start) as usize];
                Stored { id, location, bytes }
            });
            decoder.decode_many(&stored.collect::<Vec<_>>(), |_, plain| {
                right.fetch_add(usize::from(plain.is_ok()), Ordering::Relaxed);
            });
            buffer = bytes.into_buffer();
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    right.into_inner()
}

fn hashes(c: &mut Criterion) {
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut group = c.benchmark_group("verify");
    group.sample_size(10);
    group.throughput(Throughput::Bytes((FILES * FILE) as u64));
    for hash in [HashAlgorithm::Blake2b256_128, HashAlgorithm::Blake3_256, HashAlgorithm::HmacSha256] {
        let repository = repository(&place.path().join(hash.name()), hash);
        group.bench_function(format!("{}: read, decode and hash alone", hash.name()), |bencher| {
            bencher.iter(|| assert!(alone(&repository) >= FILES));
        });
        group.bench_function(format!("{}: verify", hash.name()), |bencher| {
            bencher.iter(|| {
                let report = repository.verify(&verify::Options::default(), &()).expect("it ends");
                assert!(report.damage.is_empty());
            });
        });
    }
}

criterion_group!(benches, hashes);
criterion_main!(benches);
