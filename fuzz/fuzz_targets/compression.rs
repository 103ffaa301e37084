//! Every decompressor: the first bytes choose it, and whether the length is known.
#![no_main]

use kopia_codec::compression::{Compression, Decompressor};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&[choice, low, high], stream)) = bytes.split_first_chunk() else { return };
    let compression = Compression::ALL[usize::from(choice & 0x7f) % Compression::ALL.len()];
    let length = usize::from(high) << 8 | usize::from(low);
    let (mut decompressor, mut out) = (Decompressor::new(), Vec::new());
    if choice & 0x80 == 0 {
        let done = decompressor.decompress(compression, stream, length, &mut out);
        assert_eq!(out.len(), if done.is_ok() { length } else { 0 });
    } else {
        let done = decompressor.decompress_within(compression, stream, length, &mut out);
        assert!(out.len() <= if done.is_ok() { length } else { 0 });
    }
});
