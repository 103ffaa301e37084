//! Ids, names of epoch blobs, compaction logs and times.
#![no_main]

use kopia_format::{BlobId, ContentId, ObjectId, Timestamp, compaction, epoch};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = compaction::CompactionLog::parse(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<ObjectId>() {
        assert_eq!(id.to_string().parse::<ObjectId>(), Ok(id));
    }
    if let Ok(id) = text.parse::<ContentId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse::<Timestamp>(), Ok(time));
    }
    let names: Vec<_> = text.split('\n').filter_map(|name| BlobId::new(name).ok()).collect();
    let active = epoch::active_set(&names);
    assert!(active.blobs.iter().all(|blob| names.contains(blob)));
});
