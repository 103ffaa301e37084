//! The format blob, outside and inside, and replicas of it in packs.
#![no_main]

use kopia_format::repository_blob::{RepositoryBlob, RepositoryFormat, find_replica};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = RepositoryBlob::parse(bytes);
    let _ = find_replica(bytes);
    if let Ok(format) = RepositoryFormat::parse(bytes) {
        let _ = format.upgrade_lock.as_ref().map(|lock| lock.in_force(Default::default()));
        let _ = format!("{format:?}");
    }
});
