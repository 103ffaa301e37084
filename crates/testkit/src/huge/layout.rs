//! Where kopia puts blobs, and which epochs it takes.

use serde_json::{Value, json};

/// The directories of a new repository.
pub(super) const SHARDS: &str = r#"{"default":[1,3],"maxNonShardedLength":20}"#;

/// Returns the path of a blob's file below the repository.
pub(super) fn file(name: &str) -> String {
    match name.len() {
        ..=20 => format!("{name}.f"),
        _ => format!("{}/{}/{}.f", &name[..1], &name[1..4], &name[4..]),
    }
}

/// The defaults of `internal/epoch/epoch_manager.go`; durations are in nanoseconds. Without all of them kopia
/// refuses them.
pub(super) fn epochs(enabled: bool) -> Value {
    const HOUR: u64 = 3_600_000_000_000;
    json!({
        "Enabled": enabled,
        "EpochRefreshFrequency": HOUR / 3,
        "FullCheckpointFrequency": 7,
        "CleanupSafetyMargin": 4 * HOUR,
        "MinEpochDuration": 24 * HOUR,
        "EpochAdvanceOnCountThreshold": 20,
        "EpochAdvanceOnTotalSizeBytesThreshold": 10 << 20,
        "DeleteParallelism": 4,
    })
}
