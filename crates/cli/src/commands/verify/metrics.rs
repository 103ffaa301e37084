//! The result as Prometheus text, for a collector that reads files.

use std::fmt::Display;

use super::summary::Summary;
use crate::terminal::prometheus::{gauge, labels};
use crate::terminal::time;

/// Writes all metrics; those that are not known are left out.
pub(super) fn text(summary: &Summary<'_>, place: &str) -> String {
    let mut text = String::new();
    let labels = labels(&[("repository", place)]);
    let mut metric = |name: &str, help: &str, value: &dyn Display| {
        gauge(&mut text, &format!("kopia_rs_verify_{name}"), help, &labels, value);
    };
    let verified = summary.verified;
    metric("success", "Whether the last run found nothing wrong.", &u8::from(summary.is_sound()));
    metric("duration_seconds", "How long it took.", &summary.seconds);
    metric("end_timestamp_seconds", "When it ended, in seconds since 1970.", &time::now().seconds());
    if let Some(since) = summary.restorable_as_of() {
        metric(
            "restorable_as_of_timestamp_seconds",
            "Since when everything was read and found sound, in seconds since 1970.",
            &since.seconds(),
        );
    }
    for (name, help, value) in [
        ("packs", "Packs that hold contents.", verified.packs.of),
        ("packs_read", "Packs that the last run read.", verified.packs.verified),
        ("stored_bytes", "Stored bytes of contents.", verified.stored_bytes.of),
        ("stored_bytes_read", "Stored bytes that the last run read.", verified.stored_bytes.verified),
        ("damaged_contents", "Contents that could not be read.", verified.damage_count),
        (
            "lost_entries",
            "Entries of snapshots that cannot be restored as they were.",
            verified.affected_count,
        ),
    ] {
        metric(name, help, &value);
    }
    let Some(rotated) = &verified.rotated else { return text };
    let standing = rotated.standing;
    metric("packs_sound", "Packs that this run or one before read and found sound.", &standing.sound);
    metric("packs_damaged", "Packs of which something could not be read.", &standing.damaged);
    text
}
