//! How a Job ended, with its exit status.

use kopia_rs::Source;
use kopia_rs::diagnosis::{Class, Identity};
use serde::{Serialize, Serializer};

use super::line::StatusLine;
use crate::terminal::signals;

/// How a Job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobResult {
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

impl Serialize for JobResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
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

/// The end of a Job.
#[derive(Debug)]
pub(crate) struct JobOutcome {
    result: JobResult,
    line: StatusLine,
    /// Boxed, because every step may return an outcome instead of what comes next.
    context: Box<Context>,
}

/// What is logged around the last line.
#[derive(Debug)]
struct Context {
    /// What was to be done.
    operation: String,
    /// What comes before the last lines, each a line.
    details: Vec<String>,
    /// What was asked for and has no snapshot at all.
    wanted: Option<Source>,
    /// What there is instead.
    identities: Vec<Identity>,
}

impl JobOutcome {
    pub(crate) fn new(result: JobResult, line: StatusLine) -> Self {
        let operation = "restore".into();
        let context = Context { operation, details: Vec::new(), wanted: None, identities: Vec::new() };
        Self { result, line, context: context.into() }
    }

    /// Takes another operation than `restore` for what ended so.
    pub(crate) fn of(mut self, operation: &str) -> Self {
        self.context.operation = operation.into();
        self
    }

    pub(crate) fn failed(line: StatusLine) -> Self {
        Self::new(JobResult::Failed, line)
    }

    /// Adds to the line of a restore that succeeded what whoever reads no other line must know.
    pub(crate) fn restored_but(mut self, what: &str) -> Self {
        if self.result == JobResult::Restored {
            self.line = self.line.and(what);
        }
        self
    }

    /// Adds a line before the last ones.
    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.context.details.push(line.into());
        self
    }

    /// Adds what has no snapshot. The controller shows that in a line of its own, so it must be true.
    pub(crate) fn without_snapshots(mut self, wanted: &Source) -> Self {
        self.context.wanted = Some(wanted.clone());
        self
    }

    /// Adds what there is instead.
    pub(crate) fn instead(mut self, identities: Vec<Identity>) -> Self {
        self.context.identities = identities;
        self
    }

    pub(crate) fn result(&self) -> JobResult {
        self.result
    }

    pub(crate) fn line(&self) -> &StatusLine {
        &self.line
    }

    pub(crate) fn identities(&self) -> &[Identity] {
        &self.context.identities
    }

    /// Returns what is wrong, for programs; nothing where all is there, or there may be nothing.
    pub(crate) fn class(&self) -> Option<Class> {
        match self.result {
            JobResult::Restored | JobResult::Nothing => None,
            JobResult::Usage => Some(Class::Usage),
            JobResult::Stopped(_) => Some(Class::Stopped),
            JobResult::Missing | JobResult::Partial | JobResult::Failed => {
                Some(self.line.class().unwrap_or(Class::Other))
            }
        }
    }

    /// Returns the exit status.
    pub(crate) fn status(&self) -> u8 {
        match self.result {
            JobResult::Restored | JobResult::Nothing => 0,
            JobResult::Missing | JobResult::Partial | JobResult::Failed => 1,
            JobResult::Usage => 2,
            JobResult::Stopped(signal) => signals::status(signal),
        }
    }

    /// Writes what comes before the list of identities, in the words of the script.
    pub(crate) fn summary(&self) -> Vec<String> {
        let word = if self.status() == 0 { "SUCCESS" } else { "FAILURE" };
        let mut lines = self.context.details.clone();
        lines.extend(self.line.whole().map(|whole| format!("INFO: in full: {whole}")));
        if matches!(self.result, JobResult::Nothing | JobResult::Missing) {
            lines.push("=== No data will be restored ===".into());
        }
        lines.extend([
            "INFO: === OPERATION SUMMARY ===".into(),
            format!("INFO: OPERATION_TYPE: {}", self.context.operation),
            format!("INFO: OPERATION_RESULT: {word}"),
            format!("INFO: EXIT_CODE: {}", self.status()),
            "INFO: === Done ===".into(),
        ]);
        if self.status() != 0 && !self.line.as_str().starts_with("ERROR: ") {
            lines.push("ERROR: there is nothing to restore, and that was to be a failure".into());
        }
        // The controller takes the identity that was asked for from this line.
        lines.extend(self.context.wanted.iter().map(|wanted| {
            let wanted = wanted.to_string();
            format!("No snapshots found for {}", crate::terminal::output::escape(&wanted))
        }));
        lines
    }
}
