//! What is known of a restore, for programs.

use std::time::Duration;

use kopia_rs::Snapshot;
use kopia_rs::restore::{Notes, Outcome};
use serde::Serialize;

use super::outcome::{JobOutcome, JobResult};

/// What is known of a restore, for programs: the container's message and the metrics.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobReport {
    version: &'static str,
    result: Option<JobResult>,
    exit_code: u8,
    pub(crate) identity: Option<String>,
    pub(crate) repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<SnapshotReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<Counts>,
    /// How many newer snapshots are, or may be, missing from the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newer_missing: Option<usize>,
    seconds: f64,
    message: String,
}

/// The snapshot that was chosen.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotReport {
    id: String,
    start_time: String,
    #[serde(skip)]
    start_seconds: i64,
    /// Entries that the backup itself could not read.
    failed_in_backup: u64,
}

/// What was done.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    pub(crate) files: u64,
    pub(crate) folders: u64,
    pub(crate) symlinks: u64,
    pub(crate) bytes: u64,
    pub(crate) kept: u64,
    pub(crate) deleted: u64,
    pub(crate) problems: u64,
    pub(crate) owners_not_set: u64,
    pub(crate) special_bits_lost: u64,
    pub(crate) modes_not_set: u64,
    pub(crate) times_not_set: u64,
    pub(crate) names_changed: u64,
}

impl JobReport {
    /// Adds how it ended.
    pub(crate) fn conclude(&mut self, outcome: &JobOutcome, elapsed: Duration) {
        self.version = env!("CARGO_PKG_VERSION");
        self.result = Some(outcome.result());
        self.exit_code = outcome.status();
        self.message = outcome.line().to_string();
        // Milliseconds are exact enough, and short.
        self.seconds = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
    }

    /// Returns what has room everywhere: paths and identities may be long.
    pub(crate) fn shortest(&self) -> Self {
        let (result, message, newer_missing) = (self.result, self.message.clone(), self.newer_missing);
        let (version, exit_code) = (self.version, self.exit_code);
        Self { version, exit_code, result, message, newer_missing, ..Self::default() }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.exit_code == 0
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }
}

impl SnapshotReport {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let summary = snapshot.manifest().summary();
        let failed = summary.map_or(0, |summary| summary.failed.saturating_add(summary.ignored_errors));
        Self {
            id: snapshot.id().into(),
            start_time: snapshot.start_time().to_string(),
            start_seconds: snapshot.start_time().seconds(),
            failed_in_backup: u64::try_from(failed).unwrap_or_default(),
        }
    }

    pub(crate) fn start_seconds(&self) -> i64 {
        self.start_seconds
    }

    pub(crate) fn failed_in_backup(&self) -> u64 {
        self.failed_in_backup
    }
}

impl From<&Outcome> for Counts {
    fn from(outcome: &Outcome) -> Self {
        let Notes { owners, special_bits, modes, times, names, .. } = outcome.notes;
        Self {
            files: outcome.files,
            folders: outcome.directories,
            symlinks: outcome.symlinks,
            bytes: outcome.bytes,
            kept: outcome.kept,
            deleted: outcome.deleted,
            problems: outcome.problem_count,
            owners_not_set: owners,
            special_bits_lost: special_bits,
            modes_not_set: modes,
            times_not_set: times,
            names_changed: names,
        }
    }
}
