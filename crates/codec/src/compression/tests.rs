//! What holds for all formats. The files in `testdata/vectors/compression` were written by Kopia's own
//! compressors (LZ4: by the library it used), header included; [`ledger`] and [`weave`] make the same plain
//! bytes again.

use std::io::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// 110 lines, much like each other.
fn ledger() -> Vec<u8> {
    let line = |i: u64| format!("entry {i}: {} bytes, day {}\n", i * i * 7919 % 100_003, i % 31);
    (0..110).map(line).collect::<String>().into_bytes()
}

/// Noise, short periods and far repeats: what makes S2 use all of its tags.
fn weave(size: usize) -> Vec<u8> {
    fn back(out: &mut Vec<u8>, offset: usize, count: usize, start: u8) {
        for _ in 0..count {
            out.push(out.len().checked_sub(offset).map_or(start, |at| out[at]));
        }
    }
    let mut state = 12_345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    let mut out = vec![];
    while out.len() < size {
        let n = next() % 2000 + 1;
        match next() % 5 {
            0 => out.extend((0..n / 8 + 1).map(|_| next() as u8)),
            1 | 2 => back(&mut out, next() % 20 + 1, n * 4, 7),
            3 => back(&mut out, next() % 70_000 + 1, n, 9),
            _ => {
                let offset = next() % 3000 + 1;
                for k in 0..6 {
                    back(&mut out, offset, 12 + k, 3);
                    out.push(next() as u8);
                }
            }
        }
    }
    out.truncate(size);
    out
}

macro_rules! vector {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../../testdata/vectors/compression/", $name)).as_slice())
    };
}

/// Names of streams, the streams with their headers, and their plain bytes.
fn vectors() -> Vec<(&'static str, &'static [u8], Vec<u8>)> {
    let ledgers = [
        vector!("gzip.ledger"),
        vector!("gzip-best-speed.ledger"),
        vector!("gzip-best-compression.ledger"),
        vector!("zstd.ledger"),
        vector!("zstd-fastest.ledger"),
        vector!("zstd-better-compression.ledger"),
        vector!("zstd-best-compression.ledger"),
        vector!("s2-default.ledger"),
        vector!("s2-better.ledger"),
        vector!("s2-parallel-4.ledger"),
        vector!("s2-parallel-8.ledger"),
        vector!("pgzip.ledger"),
        vector!("pgzip-best-speed.ledger"),
        vector!("pgzip-best-compression.ledger"),
        vector!("lz4.ledger"),
        vector!("deflate-default.ledger"),
        vector!("deflate-best-speed.ledger"),
        vector!("deflate-best-compression.ledger"),
    ];
    let weaves = [
        vector!("s2-default.weave"),
        vector!("s2-better.weave"),
        vector!("s2-best-index-padding.weave"),
        vector!("zstd.weave"),
        vector!("zstd-best-compression.weave"),
    ];
    let short = vector!("s2-snappy.weave");
    let ledgers = ledgers.map(|(name, bytes)| (name, bytes, ledger()));
    let weaves = weaves.map(|(name, bytes)| (name, bytes, weave(150_000)));
    ledgers.into_iter().chain(weaves).chain([(short.0, short.1, weave(20_000))]).collect()
}

fn is_corrupt(result: Result<()>) -> bool {
    matches!(result, Err(Error::Corrupt { .. }))
}

#[test]
fn ids_and_names_are_kopias() {
    for compression in Compression::ALL {
        assert_eq!(Compression::from_id(compression.id()).unwrap(), compression);
    }
    assert!(Compression::ALL.is_sorted_by_key(|compression| compression.id()));
    // The vectors of all compressors are named after them and hold their ids.
    let vectors = vectors();
    for compression in Compression::ALL {
        let named = format!("{}.ledger", compression.name());
        let (_, bytes, _) = vectors.iter().find(|(name, ..)| **name == named).unwrap();
        assert_eq!(split_header(bytes).unwrap().0, compression);
    }
    let error = Compression::from_id(0x1234).unwrap_err();
    assert_eq!(error.to_string(), "unsupported compression: 0x1234");
    assert!(is_corrupt(split_header(&[0, 0, 0x12]).map(drop)));
    assert!(matches!(split_header(&[0; 4]), Err(Error::Unsupported { .. })));
}

#[test]
fn kopias_streams_come_out_whole() {
    let mut decompressor = Decompressor::new();
    let mut out = b"left over".to_vec();
    for (name, bytes, plain) in vectors() {
        let (compression, stream) = split_header(bytes).unwrap();
        decompressor.decompress(compression, stream, plain.len(), &mut out).unwrap();
        assert!(out == plain, "{name}");
        for limit in [plain.len(), plain.len() + 1, 1 << 30, usize::MAX] {
            decompressor.decompress_within(compression, stream, limit, &mut out).unwrap();
            assert!(out == plain, "{name}");
        }
    }
}

#[test]
fn another_length_is_corrupt() {
    let mut decompressor = Decompressor::new();
    for (name, bytes, plain) in vectors() {
        let (compression, stream) = split_header(bytes).unwrap();
        for length in [0, 1, plain.len() - 1, plain.len() + 1, plain.len() * 2, usize::MAX] {
            // Both into an empty vector and into one that has more room than the length.
            for mut out in [vec![], vec![0xee; plain.len() * 3]] {
                let result = decompressor.decompress(compression, stream, length, &mut out);
                assert!(is_corrupt(result), "{name} at {length}");
                assert!(out.is_empty());
                if length < plain.len() {
                    let result = decompressor.decompress_within(compression, stream, length, &mut out);
                    assert!(is_corrupt(result), "{name} within {length}");
                    assert!(out.is_empty());
                }
            }
        }
    }
}

#[test]
fn cut_streams_are_corrupt() {
    let mut decompressor = Decompressor::new();
    let mut out = vec![];
    for (name, bytes, plain) in vectors() {
        let (compression, stream) = split_header(bytes).unwrap();
        let identifier = 10;
        for cut in (1..stream.len()).step_by(if plain.len() > 10_000 { 97 } else { 1 }) {
            let cut_stream = &stream[..cut];
            let result = decompressor.decompress(compression, cut_stream, plain.len(), &mut out);
            // Padding and index, which stand after all the data, may be lost between two chunks.
            let whole = result.is_ok() && compression.format() == Format::S2 && out == plain;
            assert!(whole || is_corrupt(result), "{name} at {cut}");
            // S2 has no end mark: cut between two chunks it is a stream of fewer bytes.
            let result = decompressor.decompress_within(compression, cut_stream, 1 << 20, &mut out);
            let shorter = compression.format() == Format::S2 && (whole || cut == identifier);
            assert!(shorter || is_corrupt(result), "{name} within, at {cut}");
        }
    }
}

#[test]
fn bytes_after_the_end_are_corrupt() {
    let mut decompressor = Decompressor::new();
    let mut out = vec![];
    for (name, bytes, plain) in vectors() {
        let (compression, stream) = split_header(bytes).unwrap();
        for tail in [&b"\0"[..], b"garbage", &[0; 40]] {
            let stream = [stream, tail].concat();
            let exactly = decompressor.decompress(compression, &stream, plain.len(), &mut out);
            let lenient = compression.format() == Format::Deflate;
            assert_eq!(is_corrupt(exactly), !lenient, "{name}");
            let within = decompressor.decompress_within(compression, &stream, 1 << 20, &mut out);
            assert_eq!(is_corrupt(within), !lenient, "{name}");
        }
    }
}

#[test]
fn streams_of_several_parts() {
    let mut decompressor = Decompressor::new();
    let mut out = vec![];
    let plain = ledger();
    let skippable = [&b"\x53\x2a\x4d\x18\x03\0\0\0"[..], b"abc"].concat();
    for (name, bytes, _) in vectors().into_iter().filter(|(name, ..)| name.ends_with("ledger")) {
        let (compression, stream) = split_header(bytes).unwrap();
        let stream = match compression.format() {
            Format::Gzip | Format::Lz4 | Format::S2 => [stream, stream].concat(),
            Format::Zstd => [&skippable, stream, &skippable, stream, &skippable].concat(),
            Format::Deflate => continue,
        };
        decompressor.decompress(compression, &stream, plain.len() * 2, &mut out).unwrap();
        assert!(out == [&plain[..], &plain].concat(), "{name}");
        decompressor.decompress_within(compression, &stream, 1 << 20, &mut out).unwrap();
        assert!(out == [&plain[..], &plain].concat(), "{name}");
        if compression.format() != Format::Gzip {
            // The first part alone has the right length.
            let result = decompressor.decompress(compression, &stream, plain.len(), &mut out);
            assert!(is_corrupt(result), "{name}");
        }
    }
    // Gzip tells, too, but for members of the same length.
    let [(gzip, first), ..] = &streams_of(&plain)[..] else { panic!() };
    let [(_, second), ..] = &streams_of(b"and more")[..] else { panic!() };
    let stream = [&first[..], second].concat();
    assert!(is_corrupt(decompressor.decompress(*gzip, &stream, plain.len(), &mut out)));
}

#[test]
fn empty_contents() {
    let mut decompressor = Decompressor::new();
    for (compression, stream) in streams_of(&[]) {
        let mut out = b"left over".to_vec();
        decompressor.decompress(compression, &stream, 0, &mut out).unwrap();
        assert!(out.is_empty());
        out.push(1);
        decompressor.decompress_within(compression, &stream, 0, &mut out).unwrap();
        assert!(out.is_empty());
    }
    // Nothing at all is an empty content for some and no stream for others.
    for (compression, empty) in [
        (Compression::S2Better, true),
        (Compression::Zstd, true),
        (Compression::Lz4, true),
        (Compression::Gzip, false),
        (Compression::DeflateDefault, false),
    ] {
        let exactly = decompressor.decompress(compression, &[], 0, &mut vec![]);
        assert_eq!(exactly.is_ok(), empty, "{compression:?}");
        let within = decompressor.decompress_within(compression, &[], 9, &mut vec![]);
        assert_eq!(within.is_ok(), empty, "{compression:?}");
    }
}

/// Streams of writers other than Kopia's.
fn streams_of(plain: &[u8]) -> Vec<(Compression, Vec<u8>)> {
    let level = flate2::Compression::default();
    let mut gzip = flate2::write::GzEncoder::new(vec![], level);
    gzip.write_all(plain).unwrap();
    let mut raw = flate2::write::DeflateEncoder::new(vec![], level);
    raw.write_all(plain).unwrap();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(vec![]);
    lz4.write_all(plain).unwrap();
    let mut streams = vec![
        (Compression::Pgzip, gzip.finish().unwrap()),
        (Compression::DeflateDefault, raw.finish().unwrap()),
        (Compression::Lz4, lz4.finish().unwrap()),
    ];
    #[cfg(feature = "native")]
    for size_known in [true, false] {
        use ::zstd::stream::write::Encoder;
        let mut zstd = Encoder::new(vec![], 3).unwrap();
        zstd.include_checksum(true).unwrap();
        zstd.window_log(25).unwrap();
        if size_known {
            zstd.set_pledged_src_size(Some(plain.len() as u64)).unwrap();
        }
        zstd.write_all(plain).unwrap();
        streams.push((Compression::ZstdBestCompression, zstd.finish().unwrap()));
    }
    #[cfg(feature = "pure-rust")]
    streams.push((
        Compression::Zstd,
        ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest),
    ));
    streams
}

#[test]
fn bombs_end_at_the_limit() {
    let mut decompressor = Decompressor::new();
    let zeroes = vec![0; 32 << 20];
    let limit = 100_000;
    for (compression, stream) in streams_of(&zeroes) {
        let mut out = vec![];
        assert!(is_corrupt(decompressor.decompress_within(compression, &stream, limit, &mut out)));
        assert!(out.capacity() <= 4 * limit, "{compression:?} took {}", out.capacity());
        let mut out = vec![];
        assert!(is_corrupt(decompressor.decompress(compression, &stream, limit, &mut out)));
        assert!(out.capacity() <= 4 * limit, "{compression:?} took {}", out.capacity());
        decompressor.decompress(compression, &stream, zeroes.len(), &mut out).unwrap();
        assert!(out == zeroes);
        // Many times the first guess, into a buffer that has to grow.
        let mut out = vec![];
        decompressor.decompress_within(compression, &stream, usize::MAX, &mut out).unwrap();
        assert!(out == zeroes);
    }
}

#[test]
fn an_error_names_the_limit() {
    let mut out = vec![];
    for (compression, stream) in streams_of(&[7; 3000]) {
        let error = Decompressor::new().decompress_within(compression, &stream, 2999, &mut out).unwrap_err();
        assert!(error.to_string().ends_with("it holds more than 2999 bytes"), "{compression:?}: {error}");
    }
}

/// libzstd takes blocks of up to 2 MiB where they repeat one byte.
#[test]
fn a_zstd_block_beyond_128_kib_is_corrupt() {
    let block = ((0x1f_ffff_u32 << 3) | (1 << 1) | 1).to_le_bytes();
    let stream = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58][..], &block[..3], b"x"].concat();
    let mut out = vec![];
    let within = Decompressor::new().decompress_within(Compression::Zstd, &stream, 4 << 20, &mut out);
    assert!(is_corrupt(within));
    assert!(out.is_empty());
    assert!(is_corrupt(Decompressor::new().decompress(Compression::Zstd, &stream, 0x1f_ffff, &mut out)));
}

/// Their lengths are right, which is looked at first.
#[test]
fn a_changed_checksum_of_gzip_is_corrupt() {
    let mut out = vec![];
    let plain = ledger();
    let (compression, mut stream) = streams_of(&plain).swap_remove(0);
    assert_eq!(compression.format(), Format::Gzip);
    let checksum = stream.len() - 8;
    stream[checksum] ^= 1;
    assert!(is_corrupt(Decompressor::new().decompress(compression, &stream, plain.len(), &mut out)));
    assert!(is_corrupt(Decompressor::new().decompress_within(compression, &stream, 1 << 20, &mut out)));
}

#[test]
fn lengths_nobody_can_keep_allocate_nothing() {
    for compression in Compression::ALL {
        let mut out = vec![];
        let result = Decompressor::new().decompress(compression, &[0x28; 40], usize::MAX / 2, &mut out);
        assert!(is_corrupt(result));
        assert_eq!(out.capacity(), 0);
    }
}

#[cfg(all(feature = "native", feature = "pure-rust"))]
#[test]
fn both_zstd_decoders_agree() {
    let mut pure = zstd::PureZstd::default();
    let mut out = vec![];
    for (name, bytes, plain) in vectors() {
        let (compression, stream) = split_header(bytes).unwrap();
        if compression.format() == Format::Zstd {
            pure.decompress(stream, Expect::Exactly(plain.len()), &mut out).unwrap();
            assert!(out == plain, "{name}");
        }
    }
}

fn any_compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.to_vec())
}

proptest! {
    #[test]
    fn round_trips(seed in vec(any::<u8>(), 0..300), times in 0..300_usize) {
        let plain = seed.repeat(times);
        let mut decompressor = Decompressor::new();
        let mut out = vec![];
        for (compression, stream) in streams_of(&plain) {
            decompressor.decompress(compression, &stream, plain.len(), &mut out).unwrap();
            prop_assert!(out == plain);
            decompressor.decompress_within(compression, &stream, plain.len(), &mut out).unwrap();
            prop_assert!(out == plain);
        }
    }

    #[test]
    fn noise_does_no_harm(
        compression in any_compression(),
        stream in vec(any::<u8>(), 0..300),
        length in 0..5000_usize,
    ) {
        let mut decompressor = Decompressor::new();
        let mut out = vec![];
        if decompressor.decompress(compression, &stream, length, &mut out).is_ok() {
            prop_assert_eq!(out.len(), length);
        }
        if decompressor.decompress_within(compression, &stream, length, &mut out).is_ok() {
            prop_assert!(out.len() <= length);
        }
    }

    #[test]
    fn damaged_streams_do_no_harm(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bytes in vec(any::<u8>(), 1..8),
        limit in 0..200_000_usize,
    ) {
        let vectors = vectors();
        let (_, content, plain) = which.get(&vectors);
        let mut content = content.to_vec();
        let at = 4 + at.index(content.len() - 4);
        for (place, byte) in content[at..].iter_mut().zip(bytes) {
            *place = byte;
        }
        let (compression, stream) = split_header(&content).unwrap();
        let mut decompressor = Decompressor::new();
        let mut out = vec![];
        if decompressor.decompress(compression, stream, plain.len(), &mut out).is_ok() {
            prop_assert_eq!(out.len(), plain.len());
        }
        if decompressor.decompress_within(compression, stream, limit, &mut out).is_ok() {
            prop_assert!(out.len() <= limit);
        }
    }
}
