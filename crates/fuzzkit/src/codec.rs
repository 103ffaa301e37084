//! The decoders: their output has the requested length, and all ways to decode agree.

use kopia_codec::compression::{Compression, Decompressor};
use kopia_codec::ecc::Ecc;

/// The most plain bytes that are asked for where the length is not known.
const LIMIT: usize = 1 << 20;

/// Gzip, and pgzip, which is the same.
pub fn gzip(bytes: &[u8]) {
    decompress(Compression::Gzip, bytes);
}

/// Deflate without a wrapper.
pub fn deflate(bytes: &[u8]) {
    decompress(Compression::DeflateDefault, bytes);
}

/// Zstandard.
pub fn zstd(bytes: &[u8]) {
    decompress(Compression::Zstd, bytes);
}

/// S2.
pub fn s2(bytes: &[u8]) {
    decompress(Compression::S2Default, bytes);
}

/// LZ4 frames.
pub fn lz4(bytes: &[u8]) {
    decompress(Compression::Lz4, bytes);
}

/// Decodes a stream after two bytes that state its plain length, and once more without knowing it.
fn decompress(compression: Compression, bytes: &[u8]) {
    let Some((&[high, low], stream)) = bytes.split_first_chunk() else { return };
    let length = usize::from(high) << 8 | usize::from(low);
    let mut decompressor = Decompressor::new();
    let (mut exact, mut within) = (Vec::new(), Vec::new());
    let is_exact = decompressor.decompress(compression, stream, length, &mut exact).is_ok();
    assert_eq!(exact.len(), if is_exact { length } else { 0 });

    let is_within = decompressor.decompress_within(compression, stream, LIMIT, &mut within).is_ok();
    assert!(within.len() <= if is_within { LIMIT } else { 0 });
    if is_within {
        // Another decoder often serves callers that know the length.
        let known = decompressor.decompress(compression, stream, within.len(), &mut exact);
        assert!(known.is_ok() && exact == within, "{} bytes: {known:?}", within.len());
        if let Some(less) = within.len().checked_sub(1) {
            assert!(decompressor.decompress_within(compression, stream, less, &mut exact).is_err());
            assert!(exact.is_empty());
        }
    } else if compression != Compression::Gzip {
        // Of gzip, a second member as long as the first goes unnoticed where the length is known.
        assert!(!is_exact, "it has {length} bytes, or none at all");
    }
}

/// Error correction. The first byte is the percentage. If the second is 0, the rest is decoded as it is;
/// otherwise it is encoded, damaged no further than can be repaired, and decoded.
pub fn ecc(bytes: &[u8]) {
    let Some((&[percent, choice], rest)) = bytes.split_first_chunk() else { return };
    let Ok(ecc) = Ecc::new("REED-SOLOMON-CRC32", percent.into()) else { return };
    let mut payload = Vec::new();
    if choice == 0 {
        let done = ecc.decode(rest, &mut payload);
        assert!(payload.len() <= if done.is_ok() { rest.len() } else { 0 });
        return;
    }
    let mut stored = ecc.encode(rest).expect("it is short enough");
    // Two bytes damage two shards at most, and every geometry has two to spare.
    let length = stored.len();
    for place in [usize::from(choice) * 7919, usize::from(choice) * 104_729] {
        stored[place % length] ^= choice;
    }
    let repair = ecc.decode(&stored, &mut payload).expect("two shards can be rebuilt");
    assert!(payload == rest && repair.damaged_shards <= 2);
}
