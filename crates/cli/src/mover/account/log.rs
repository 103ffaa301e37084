//! The log of a restore: lines while it runs, and at its end one report, in three forms.
//!
//! Everything goes to standard error, signals and wrong usage included: two streams of a container are not
//! kept in order, and the end of the log is what the controller shows. The account ends the log, goes as JSON
//! into the file from which kubelet takes the container's message, and as Prometheus text where that was
//! asked for. It is given once, whoever is first: the restore itself, or the signal that ends it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::discovery;
use super::metrics;
use super::outcome::JobOutcome;
use super::report::JobReport;
use super::termination;
use crate::terminal::output::{escape, log_last, log_line};

/// The lines of a restore, and the account of it.
pub(crate) struct JobLog {
    report: Mutex<Option<JobReport>>,
    start: Instant,
    termination_log: PathBuf,
    metrics_file: Mutex<Option<PathBuf>>,
}

impl JobLog {
    pub(crate) fn new(termination_log: &Path) -> Self {
        Self {
            report: Mutex::new(Some(JobReport::default())),
            start: Instant::now(),
            termination_log: termination_log.into(),
            metrics_file: Mutex::new(None),
        }
    }

    /// Sets the file that gets metrics at the end. Call only once it is known that it may be written.
    pub(crate) fn write_metrics_to(&self, file: &Path) {
        *self.metrics_file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file.into());
    }

    /// Logs what is going on.
    pub(crate) fn info(&self, text: &str) {
        log_line(format_args!("INFO: {}", escape(text)));
    }

    /// Logs what deserves a look.
    pub(crate) fn warn(&self, text: &str) {
        log_line(format_args!("WARN: {}", escape(text)));
    }

    /// Adds to the final report.
    pub(crate) fn note(&self, add: impl FnOnce(&mut JobReport)) {
        if let Some(report) = &mut *self.report.lock().unwrap_or_else(PoisonError::into_inner) {
            add(report);
        }
    }

    /// Writes the final report exactly once, and returns the exit status; a concurrent caller blocks until it
    /// is written.
    pub(crate) fn end(&self, outcome: &JobOutcome) -> u8 {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let status = outcome.status();
        let Some(mut account) = report.take() else { return status };
        account.conclude(outcome, self.start.elapsed());
        if let Some(file) = &*self.metrics_file.lock().unwrap_or_else(PoisonError::into_inner)
            && let Err(error) = metrics::write(file, &account)
        {
            self.warn(&format!("the metrics file {} cannot be written: {error}", file.display()));
        }
        // What it reports of is over; that it cannot be reported changes nothing.
        let _ = termination::write(&self.termination_log, &account);
        write_end(outcome);
        status
    }
}

/// Writes the end of the log in one piece: nothing comes between its lines, and nothing after them.
fn write_end(outcome: &JobOutcome) {
    let line = outcome.line();
    let mut lines = outcome.summary();
    lines.extend(discovery::lines(outcome.identities(), line.as_str().len()));
    lines.push(line.to_string());
    log_last(lines.join("\n"));
}
