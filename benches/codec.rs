//! One content: opened, hashed, decompressed, corrected. Throughput is of plain bytes, per core.

use std::hint::black_box;
use std::io::Write;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kopia_codec::cipher::{Cipher, Encryption};
use kopia_codec::compression::{Compression, Decompressor};
use kopia_codec::ecc::Ecc;
use kopia_codec::hash::{HashAlgorithm, Hasher};

const SIZES: [usize; 3] = [4 << 10, 64 << 10, 4 << 20];

/// Lines of text with numbers in them, which compress to about a third.
fn text(length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(length + 100);
    let mut state = 1u64;
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let line = format!(
            "2026-01-02T03:04:05 host app[{}]: request {:x} took {} ms\n",
            state >> 48,
            state,
            state % 977
        );
        text.extend_from_slice(line.as_bytes());
    }
    text.truncate(length);
    text
}

fn open(c: &mut Criterion) {
    for encryption in Encryption::ALL {
        let mut group = c.benchmark_group(format!("open/{}", encryption.name()));
        let cipher = Cipher::new(encryption, &[7; 32]);
        for size in SIZES {
            let sealed = cipher.seal(&[1; 16], [2; 12], &text(size));
            let mut plain = Vec::new();
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher
                    .iter(|| cipher.open(&[1; 16], black_box(&sealed), &mut plain).expect("it is authentic"));
            });
        }
    }
}

fn hash(c: &mut Criterion) {
    let plain = text(64 << 10);
    let four = [&plain[..]; 4];
    for algorithm in HashAlgorithm::ALL {
        let hasher = Hasher::new(algorithm, &[7; 32]).expect("a key of this length");
        let mut group = c.benchmark_group(format!("hash/{}", algorithm.name()));
        group.throughput(Throughput::Bytes(4 * plain.len() as u64));
        let mut digests = Vec::new();
        group.bench_function("four of 64 KiB", |bencher| {
            bencher.iter(|| hasher.hash_many(black_box(&four), &mut digests));
        });
    }
}

fn decompress(c: &mut Criterion) {
    let plain = text(1 << 20);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&plain).expect("memory takes everything");
    deflate.write_all(&plain).expect("memory takes everything");
    let mut s2 = minlz::Writer::new(Vec::new());
    s2.write_all(&plain).and_then(|()| s2.flush()).expect("memory takes everything");
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&plain).expect("memory takes everything");
    let streams = [
        (Compression::S2Default, s2.get_ref().clone()),
        (Compression::Lz4, lz4.finish().expect("it ends")),
        (Compression::Zstd, zstd::bulk::compress(&plain, 3).expect("it compresses")),
        (Compression::Gzip, gzip.finish().expect("it ends")),
        (Compression::DeflateDefault, deflate.finish().expect("it ends")),
    ];
    let mut group = c.benchmark_group("decompress");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    for (compression, stream) in &streams {
        let (mut decompressor, mut out) = (Decompressor::new(), Vec::new());
        group.bench_function(compression.name(), |bencher| {
            let decompress =
                || decompressor.decompress(*compression, black_box(stream), plain.len(), &mut out);
            let mut decompress = decompress;
            bencher.iter(|| decompress().expect("it is whole"));
        });
    }
}

fn correct(c: &mut Criterion) {
    let payload = text(1 << 20);
    let mut group = c.benchmark_group("error correction of 1 MiB");
    group.throughput(Throughput::Bytes(payload.len() as u64));
    for percent in [1, 10] {
        let ecc = Ecc::new("REED-SOLOMON-CRC32", percent).expect("a percentage");
        let healthy = ecc.encode(&payload).expect("it fits");
        let mut damaged = healthy.clone();
        damaged[100] ^= 1;
        let mut out = Vec::new();
        for (name, stored) in [("healthy", &healthy), ("one shard damaged", &damaged)] {
            group.bench_function(format!("{percent} %, {name}"), |bencher| {
                bencher.iter(|| ecc.decode(black_box(stored), &mut out).expect("it can be repaired"));
            });
        }
    }
}

criterion_group!(benches, open, hash, decompress, correct);
criterion_main!(benches);
