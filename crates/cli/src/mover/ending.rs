//! How a restore ended, and what is known of it.

use std::time::Duration;

use kopia_rs::restore::{Notes, Outcome};
use kopia_rs::{Snapshot, Source};
use serde::{Serialize, Serializer};

use super::sentence::Sentence;
use crate::diagnosis::identity::Identity;
use crate::interrupt;

/// How a restore ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Result {
    /// Everything is there.
    Restored,
    /// There was nothing to restore, which is right on a first deployment.
    Nothing,
    /// As [`Self::Nothing`], where something was demanded.
    Missing,
    /// Some entries are missing or incomplete, and the others are there.
    Partial,
    /// Nothing, or not enough, could be done.
    Failed,
    /// It was called in the wrong way.
    Usage,
    /// A signal came.
    Stopped(i32),
}

impl Serialize for Result {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Restored => "restored",
            Self::Nothing => "nothing",
            Self::Missing => "missing",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Stopped(_) => "stopped",
        })
    }
}

/// The end of a restore.
#[derive(Debug)]
pub(crate) struct Ending {
    result: Result,
    sentence: Sentence,
    /// Boxed, because every step may return an ending instead of what comes next.
    context: Box<Context>,
}

/// What is said around the sentence.
#[derive(Debug)]
struct Context {
    /// What was to be done.
    operation: String,
    /// What comes before the last lines, each a line.
    details: Vec<String>,
    /// What was asked for and not found, and what there is instead.
    wanted: Option<Source>,
    identities: Vec<Identity>,
}

impl Ending {
    pub(crate) fn new(result: Result, sentence: Sentence) -> Self {
        let operation = "restore".into();
        let context = Context { operation, details: Vec::new(), wanted: None, identities: Vec::new() };
        Self { result, sentence, context: context.into() }
    }

    /// Says that it was something else than a restore that ended so.
    pub(crate) fn of(mut self, operation: &str) -> Self {
        self.context.operation = operation.into();
        self
    }

    pub(crate) fn failed(sentence: Sentence) -> Self {
        Self::new(Result::Failed, sentence)
    }

    /// Adds a line before the last ones.
    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.context.details.push(line.into());
        self
    }

    /// Adds what was looked for in vain, and what there is instead.
    pub(crate) fn instead(mut self, wanted: &Source, identities: Vec<Identity>) -> Self {
        self.context.wanted = Some(wanted.clone());
        self.context.identities = identities;
        self
    }

    pub(crate) fn sentence(&self) -> &Sentence {
        &self.sentence
    }

    pub(crate) fn identities(&self) -> &[Identity] {
        &self.context.identities
    }

    /// Returns the exit status.
    pub(crate) fn status(&self) -> u8 {
        match self.result {
            Result::Restored | Result::Nothing => 0,
            Result::Missing | Result::Partial | Result::Failed => 1,
            Result::Usage => 2,
            Result::Stopped(signal) => interrupt::status(signal),
        }
    }

    /// Writes what comes before the list of identities, in the words of the script.
    pub(crate) fn summary(&self) -> Vec<String> {
        let word = if self.status() == 0 { "SUCCESS" } else { "FAILURE" };
        let mut lines = self.context.details.clone();
        if matches!(self.result, Result::Nothing | Result::Missing) {
            lines.push("=== No data will be restored ===".into());
        }
        lines.extend([
            "INFO: === OPERATION SUMMARY ===".into(),
            format!("INFO: OPERATION_TYPE: {}", self.context.operation),
            format!("INFO: OPERATION_RESULT: {word}"),
            format!("INFO: EXIT_CODE: {}", self.status()),
            "INFO: === Done ===".into(),
        ]);
        if self.status() != 0 && !self.sentence.as_str().starts_with("ERROR: ") {
            lines.push("ERROR: there is nothing to restore, and that was to be a failure".into());
        }
        // The controller takes the identity that was asked for from this line.
        lines.extend(self.context.wanted.iter().map(|wanted| {
            let wanted = wanted.to_string();
            format!("No snapshots found for {}", crate::output::escape(&wanted))
        }));
        lines
    }
}

/// What is known of a restore, for programs: the container's message and the metrics.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Facts {
    version: &'static str,
    result: Option<Result>,
    exit_code: u8,
    pub(crate) identity: Option<String>,
    pub(crate) repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<SnapshotFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<Counts>,
    seconds: f64,
    message: String,
}

/// The snapshot that was chosen.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotFacts {
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

impl Facts {
    /// Adds how it ended.
    pub(crate) fn conclude(&mut self, ending: &Ending, elapsed: Duration) {
        self.version = env!("CARGO_PKG_VERSION");
        self.result = Some(ending.result);
        self.exit_code = ending.status();
        self.message = ending.sentence.to_string();
        // Milliseconds are exact enough, and short.
        self.seconds = (elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
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

impl SnapshotFacts {
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
            folders: outcome.folders,
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
