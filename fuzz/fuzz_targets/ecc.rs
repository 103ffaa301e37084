//! Error correction: the first byte is the percentage.
#![no_main]

use kopia_codec::ecc::Ecc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&percent, stored)) = bytes.split_first() else { return };
    if let Ok(ecc) = Ecc::new("REED-SOLOMON-CRC32", percent.into()) {
        let mut payload = Vec::new();
        let done = ecc.decode(stored, &mut payload);
        assert!(payload.len() <= if done.is_ok() { stored.len() } else { 0 });
    }
});
