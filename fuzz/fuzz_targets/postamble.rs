//! The end of a pack.
#![no_main]

use kopia_format::postamble::Postamble;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = Postamble::parse(bytes);
});
