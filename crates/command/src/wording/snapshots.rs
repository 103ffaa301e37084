//! What snapshots and their list lack.

use kopia_rs::diagnosis::text::count;
use kopia_rs::{BlobId, Summary};

/// What cannot be known where index blobs are lost: their packs may have told all that they named, but not if
/// they are lost too.
pub(crate) const UNKNOWN: &str = "index blobs are lost: snapshots whose packs are lost too are not known";

/// Says that a pack may hide a snapshot; `newer` is "newer " or nothing.
pub(crate) fn may_be_hidden(newer: &str, pack: &BlobId) -> String {
    let why = "is named by no index, and not all of it can be read";
    format!("a {newer}snapshot may be missing: pack {pack} {why}")
}

/// Returns what the backup could not read: the number, then the names that kopia kept.
pub(crate) fn failed(summary: &Summary) -> Vec<String> {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let mut lines = Vec::new();
    let counts = [
        (summary.failed, count(number(summary.failed), "failed file", "failed files")),
        (summary.ignored_errors, count(number(summary.ignored_errors), "ignored error", "ignored errors")),
    ];
    let counts: Vec<_> = counts.into_iter().filter(|(number, _)| *number > 0).map(|(_, text)| text).collect();
    if counts.is_empty() {
        return lines;
    }
    let colon = if summary.errors.is_empty() { "" } else { ":" };
    lines.push(format!("made with {}{colon}", counts.join(" and ")));
    lines.extend(summary.errors.iter().map(|failed| format!("  {}: {}", failed.path, failed.error)));
    let unnamed =
        (number(summary.failed) + number(summary.ignored_errors)).saturating_sub(summary.errors.len() as u64);
    if unnamed > 0 && !summary.errors.is_empty() {
        lines.push(format!("  … and {unnamed} more, whose names kopia did not keep"));
    }
    lines
}
