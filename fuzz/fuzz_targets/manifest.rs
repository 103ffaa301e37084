//! Lists of manifests and the snapshots in them; what parses can be written again.
#![no_main]

use kopia_format::{manifest, snapshot::Snapshot};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for manifest in manifest::latest(manifest::parse(bytes).unwrap_or_default()) {
        if let Ok(snapshot) = Snapshot::parse(&manifest) {
            let _ = (snapshot.root(), snapshot.summary(), snapshot.source().to_string(), snapshot.end_time().to_string());
        }
    }
});
