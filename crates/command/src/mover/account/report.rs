//! What is known of a restore, for programs.

use std::time::Duration;

use kopia_rs::Snapshot;
use kopia_rs::diagnosis::Class;
use serde::Serialize;

use super::outcome::{JobOutcome, JobResult};
use crate::terminal::metrics::{BackedUp, Counts, RestoreMetrics};
use crate::terminal::progress::{Phase, State};

/// What is known of a restore, for programs: the container's message and the metrics.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JobReport {
    version: &'static str,
    result: Option<JobResult>,
    exit_code: u8,
    /// What is wrong; absent where all is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<Class>,
    pub(crate) identity: Option<String>,
    pub(crate) repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<SnapshotReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<Counts>,
    /// How far it came, for the metrics.
    #[serde(skip)]
    pub(crate) progress: Option<(Phase, State)>,
    /// How many newer snapshots are, or may be, missing from the list; 1 where only index blobs are known to be
    /// lost.
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
    /// Entries that the backup itself could not read.
    failed_in_backup: u64,
    #[serde(skip)]
    backed_up: BackedUp,
}

impl JobReport {
    /// Adds how it ended.
    pub(crate) fn conclude(&mut self, outcome: &JobOutcome, elapsed: Duration) {
        self.version = env!("CARGO_PKG_VERSION");
        self.result = Some(outcome.result());
        self.exit_code = outcome.status();
        self.class = outcome.class();
        self.message = outcome.line().to_string();
        // Milliseconds are exact enough, and short.
        self.seconds = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
    }

    /// Returns what has room everywhere: paths and identities may be long.
    pub(crate) fn shortest(&self) -> Self {
        let (result, message, newer_missing) = (self.result, self.message.clone(), self.newer_missing);
        let (version, exit_code, class) = (self.version, self.exit_code, self.class);
        Self { version, exit_code, class, result, message, newer_missing, ..Self::default() }
    }

    /// Returns what metrics have of it.
    pub(crate) fn metrics(&self) -> RestoreMetrics {
        RestoreMetrics {
            identity: self.identity.clone(),
            exit_code: self.exit_code,
            class: self.class,
            seconds: self.seconds,
            snapshot: self.snapshot.as_ref().map(|snapshot| snapshot.backed_up),
            counts: self.counts.clone(),
            progress: self.progress,
        }
    }
}

impl SnapshotReport {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let backed_up = BackedUp::from(snapshot);
        Self {
            id: snapshot.id().into(),
            start_time: snapshot.start_time().to_string(),
            failed_in_backup: backed_up.failed,
            backed_up,
        }
    }
}
