//! Lists of pieces: those that parse follow each other without a gap.
#![no_main]

use kopia_format::indirect;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut end = 0;
    for piece in indirect::parse(bytes).unwrap_or_default() {
        assert!(piece.start == end && piece.length > 0);
        end += piece.length;
    }
});
