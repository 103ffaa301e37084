//! What a run of maintenance did, in kopia's words. Authority: Kopia's `repo/maintenancestats`.

use kopia_rs::Timestamp;
use kopia_rs::maintenance::Extra;
use serde_json::Value;

use crate::kopia::words;
use crate::terminal::time;

/// Returns a sentence, without one for figures that are not known.
pub(super) fn of(extra: &Extra) -> Option<String> {
    let data: Value = serde_json::from_str(&extra.data).ok()?;
    let count = |name: &str| data[name].as_u64().unwrap_or_default();
    let size = |name: &str| words::size(count(name));
    let counted = |what: &str, of: &str| {
        format!("{}({})", count(&format!("{what}Count")), size(&format!("{what}{of}")))
    };
    Some(match &*extra.kind {
        "advanceEpochStats" => {
            let verb = if data["wasAdvanced"] == Value::Bool(true) {
                "Advanced epoch to"
            } else {
                "Stayed at epoch"
            };
            format!("{verb} {}", count("currentEpoch"))
        }
        "cleanupLogsStats" => {
            let [to_delete, deleted, retained] =
                ["toDeleteBlob", "deletedBlob", "retainedBlob"].map(|what| counted(what, "Size"));
            format!(
                "Found {to_delete} logs blobs for deletion and deleted {deleted} of them. Retained {retained} log blobs."
            )
        }
        "cleanupMarkersStats" => format!(
            "Cleaned up {} epoch markers and {} deletion watermarks",
            count("deletedEpochMarkerBlobCount"),
            count("deletedWatermarkBlobCount")
        ),
        "cleanupSupersededIndexesStats" => format!(
            "Cleaned up {}({}) superseded index blobs, max replacement time {}",
            count("deletedBlobCount"),
            size("deletedTotalSize"),
            instant(&data["maxReplacementTime"])
        ),
        "compactIndexesStats" => {
            format!("Dropped contents deleted before {}", instant(&data["droppedContentsDeletedBefore"]))
        }
        "compactSingleEpochStats" => format!(
            "Compacted {}({}) index blobs for epoch {}",
            count("supersededIndexBlobCount"),
            size("supersededIndexTotalSize"),
            count("epoch")
        ),
        "deleteUnreferencedPacksStats" => {
            let pair = |pack: &str, total: &str| format!("{}({})", count(pack), size(total));
            format!(
                "Found {} unreferenced pack blobs to delete and deleted {}. Retained {} unreferenced pack blobs.",
                pair("unreferencedPackCount", "unreferencedTotalSize"),
                pair("deletedPackCount", "deletedTotalSize"),
                pair("retainedPackCount", "retainedTotalSize")
            )
        }
        "extendBlobRetentionStats" => format!(
            "Blob retention extension found {} blobs and extended for {} blobs, retention period {}",
            count("toExtendBlobCount"),
            count("extendedBlobCount"),
            data["retentionPeriod"].as_str().unwrap_or_default()
        ),
        "generateRangeCheckpointStats" => format!(
            "Generated a range checkpoint from epoch {} to {} inclusive",
            count("rangeMinEpoch"),
            count("rangeMaxEpoch")
        ),
        "rewriteContentsStats" => {
            let [to_rewrite, rewritten, retained] =
                ["toRewriteContent", "rewrittenContent", "retainedContent"].map(|what| counted(what, "Size"));
            format!(
                "Found {to_rewrite} contents to rewrite and rewrote {rewritten}. Retained {retained} contents from rewrite"
            )
        }
        "snapshotGCStats" => {
            // Here kopia writes sizes as plain numbers.
            let pair =
                |what: &str| format!("{}({})", count(&format!("{what}Count")), count(&format!("{what}Size")));
            format!(
                "Found {} unreferenced contents and marked {} for deletion. Found {} in-use contents and {} in-use system contents. Retained {} recent contents. Recovered {} contents",
                pair("unreferencedContent"),
                pair("deletedContent"),
                pair("inUseContent"),
                pair("inUseSystemContent"),
                pair("unreferencedRecentContent"),
                pair("recoveredContent")
            )
        }
        _ => return None,
    })
}

/// Writes a time as Go does where nobody asks for a format.
fn instant(value: &Value) -> String {
    let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    time.map_or_else(
        || "0001-01-01 00:00:00 +0000 UTC".into(),
        |time| time::in_zone(time, "UTC", "%Y-%m-%d %H:%M:%S%.f %z UTC"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_as_kopia_writes_them() {
        for (kind, data, text) in [
            ("advanceEpochStats", r#"{"currentEpoch":3,"wasAdvanced":true}"#, Some("Advanced epoch to 3")),
            ("advanceEpochStats", r#"{"currentEpoch":3}"#, Some("Stayed at epoch 3")),
            (
                "compactIndexesStats",
                r#"{"droppedContentsDeletedBefore":"2026-01-02T03:04:05.120Z"}"#,
                Some("Dropped contents deleted before 2026-01-02 03:04:05.12 +0000 UTC"),
            ),
            (
                "snapshotGCStats",
                r#"{"inUseContentCount":2,"inUseContentSize":4096}"#,
                Some(
                    "Found 0(0) unreferenced contents and marked 0(0) for deletion. Found 2(4096) in-use contents and 0(0) in-use system contents. Retained 0(0) recent contents. Recovered 0(0) contents",
                ),
            ),
            (
                "deleteUnreferencedPacksStats",
                r#"{"unreferencedPackCount":1,"unreferencedTotalSize":2000}"#,
                Some(
                    "Found 1(2 KB) unreferenced pack blobs to delete and deleted 0(0 B). Retained 0(0 B) unreferenced pack blobs.",
                ),
            ),
            ("other", "{}", None),
            ("snapshotGCStats", "", None),
        ] {
            let json = serde_json::json!({"kind": kind});
            let mut extra: Extra = serde_json::from_value(json).unwrap();
            extra.data = data.into();
            assert_eq!(of(&extra).as_deref(), text, "{kind}");
        }
    }
}
