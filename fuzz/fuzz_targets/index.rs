//! Index blobs of both versions: whatever parses can be read to its end.
#![no_main]

use kopia_format::ContentId;
use kopia_format::index::Index;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = Index::parse(bytes) {
        assert_eq!(index.entries().count(), index.len());
        for entry in index.entries() {
            assert!((entry.pack as usize) < index.packs().len());
            assert!(ContentId::from_key(entry.key).is_ok());
        }
    }
});
