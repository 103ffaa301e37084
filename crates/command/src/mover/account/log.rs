//! The log of a restore: lines while it runs, and at its end one report, in three forms.
//!
//! Everything goes to standard error, signals and wrong usage included: two streams of a container are not
//! kept in order, and the end of the log is what the controller shows. The account ends the log, goes as JSON
//! into the file from which kubelet takes the container's message, and as Prometheus text where that was
//! asked for. It is given once, whoever is first: the restore itself, or the signal that ends it. None of the
//! three waits for another whose disk is slow, once a signal ends the process.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::discovery;
use super::metrics;
use super::outcome::{JobOutcome, JobResult};
use super::report::JobReport;
use super::termination;
use crate::terminal::output::{escape, log_last, log_line};

/// The lines of a restore, and the account of it.
pub(crate) struct JobLog {
    report: Mutex<Option<JobReport>>,
    start: Instant,
    termination_log: PathBuf,
    metrics_file: Mutex<Option<PathBuf>>,
    ending: Mutex<Ending>,
    turned: Condvar,
}

/// How far the end has come.
#[derive(Debug, Default)]
struct Ending {
    /// Whether a signal ends the process, so that the last line waits for nothing.
    is_hurried: bool,
    /// Whether metrics are written, or cannot be.
    is_measured: bool,
    /// Whether the last line is written, or about to be: no other may follow it.
    is_told: bool,
}

impl JobLog {
    pub(crate) fn new(termination_log: &Path) -> Self {
        Self {
            report: Mutex::new(Some(JobReport::default())),
            start: Instant::now(),
            termination_log: termination_log.into(),
            metrics_file: Mutex::new(None),
            ending: Mutex::default(),
            turned: Condvar::new(),
        }
    }

    /// Sets the file that gets metrics at the end. Call only once it is known that it may be written.
    pub(crate) fn write_metrics_to(&self, file: &Path) {
        *self.metrics_file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file.into());
    }

    /// Removes the file that is to get metrics, where something else restores: an old one goes on telling how an
    /// earlier restore ended.
    pub(crate) fn remove_metrics(&self) {
        let file = self.metrics_file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(file) = file else { return };
        match fs::remove_file(&file) {
            Ok(()) => self.info(&format!("the old metrics file {} is removed", file.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                self.warn(&format!("the metrics file {} cannot be removed: {error}", file.display()));
            }
        }
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
    /// is written. One that a signal sends has the log end at once, whoever writes it.
    pub(crate) fn end(&self, outcome: &JobOutcome) -> u8 {
        let status = outcome.status();
        if matches!(outcome.result(), JobResult::Stopped(_)) {
            self.hurry();
        }
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut account) = report.take() else { return status };
        account.conclude(outcome, self.start.elapsed());
        let file = self.metrics_file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let measure = || {
            let file = file.as_deref()?;
            let error = metrics::write(file, &account).err()?;
            Some(format!("the metrics file {} cannot be written: {error}", file.display()))
        };
        // What it reports of is over; that it cannot be reported changes nothing.
        let message = || drop(termination::write(&self.termination_log, &account));
        self.conclude(&measure, &message, &|| write_end(outcome));
        status
    }

    /// Has the last line wait for nothing from now on.
    fn hurry(&self) {
        self.ending().is_hurried = true;
        self.turned.notify_all();
    }

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes metrics and the container's message, each on a thread of its own, and tells the end; returns once
    /// all of it is done.
    ///
    /// `measure` returns why there are no metrics. That is told before the end, which waits for it unless a
    /// signal came: a disk may be slow, and a line after the last one would be taken for it.
    fn conclude(
        &self,
        measure: &(dyn Fn() -> Option<String> + Sync),
        message: &(dyn Fn() + Sync),
        tell: &dyn Fn(),
    ) {
        let measured = || {
            let trouble = measure();
            let mut ending = self.ending();
            if let Some(trouble) = trouble.filter(|_| !ending.is_told) {
                self.warn(&trouble);
            }
            ending.is_measured = true;
            self.turned.notify_all();
        };
        thread::scope(|scope| {
            let is_begun = |work| thread::Builder::new().spawn_scoped(scope, work).is_ok();
            let works: [&(dyn Fn() + Sync); 2] = [&measured, message];
            let [is_measuring, is_messaging] = works.map(is_begun);
            let waits = |ending: &mut Ending| is_measuring && !ending.is_measured && !ending.is_hurried;
            self.turned.wait_while(self.ending(), waits).unwrap_or_else(PoisonError::into_inner).is_told =
                true;
            tell();
            // Where no thread is to be had, they come after what people read.
            let late = [is_measuring, is_messaging].into_iter().zip(works).filter(|(is_begun, _)| !is_begun);
            late.for_each(|(_, work)| work());
        });
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

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, mpsc};

    use super::*;

    fn log() -> JobLog {
        JobLog::new("/nonexistent/termination-log".as_ref())
    }

    #[test]
    fn metrics_message_and_last_line_do_not_wait_for_each_other_after_a_signal() {
        let log = log();
        log.hurry();
        // Each goes on once all others run.
        let all = Barrier::new(3);
        let wait = || {
            all.wait();
        };
        let measure = || {
            wait();
            None
        };
        log.conclude(&measure, &wait, &wait);
    }

    #[test]
    fn a_signal_ends_the_wait_of_a_restore_that_ended_before() {
        let log = &log();
        let (begun, has_begun) = mpsc::channel();
        let (told, is_told) = mpsc::channel();
        let is_told = Mutex::new(is_told);
        thread::scope(|scope| {
            scope.spawn(move || {
                // As a signal does that comes while a slow disk gets the metrics.
                has_begun.recv().unwrap();
                log.hurry();
            });
            let measure = || {
                begun.send(()).unwrap();
                is_told.lock().unwrap().recv().unwrap();
                None
            };
            log.conclude(&measure, &|| (), &|| told.send(()).unwrap());
        });
    }

    #[test]
    fn without_a_signal_the_last_line_comes_after_what_metrics_have_to_say() {
        let log = log();
        let is_measured = Mutex::new(false);
        let measure = || {
            *is_measured.lock().unwrap() = true;
            None
        };
        log.conclude(&measure, &|| (), &|| assert!(*is_measured.lock().unwrap()));
    }
}
