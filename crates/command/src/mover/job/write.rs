//! The restore itself: how it is done, what is said of it, and whether everything is there.

use std::io::ErrorKind;

use kopia_rs::diagnosis::{Audience, Class, Hint};
use kopia_rs::restore::{self, Outcome};
use kopia_rs::{Entry, Snapshot};

use super::Job;
use super::preflight;
use crate::mover::account::advice;
use crate::mover::account::line::StatusLine;
use crate::mover::account::log::JobLog;
use crate::mover::account::outcome::{JobOutcome, JobResult};
use crate::mover::contract::settings::Settings;
use crate::terminal::metrics::Counts;
use crate::terminal::output::{self, count, size, thousands};
use crate::terminal::progress::{Progress, ProgressMode};
use crate::terminal::signals;
use crate::wording::attributes;
use crate::wording::extras;
use crate::wording::stubs;

/// Restores a snapshot and returns how that ended.
pub(crate) fn restore(
    job: &Job<'_>,
    snapshot: &Snapshot,
    root: &Entry,
    settings: &Settings,
) -> Result<JobOutcome, JobOutcome> {
    let progress = Progress::new(root, None, job.interrupt.clone(), ProgressMode::Log);
    job.interrupt.leaves(signals::UNFINISHED_FOLDER);
    job.interrupt.will_ask();
    let restored =
        progress.watch(|| restore::restore_observed(root, &settings.target, &settings.options, &progress));
    job.log.note(|report| report.progress = Some(progress.standing(restored.is_ok())));
    // It has no report that could fail to be written.
    let _ = progress.finish();
    let outcome = restored.map_err(|error| match (&error, job.interrupt.signal()) {
        (restore::Error::Stopped { .. }, Some(signal)) => {
            let cause = format!("{}: {error}", signals::name(signal));
            JobOutcome::new(JobResult::Stopped(signal), StatusLine::unable("finish", &cause, ""))
        }
        _ => {
            let refused = error_kind(&error) == Some(ErrorKind::PermissionDenied);
            let told = refused.then(|| preflight::refused(&settings.target)).flatten();
            let what = format!("restore {}", settings.wanted.identity);
            let job_outcome = JobOutcome::failed(told.unwrap_or_else(|| advice::target(&what, &error)));
            match &error {
                restore::Error::Target { unfinished: Some(unfinished), .. }
                | restore::Error::NoRoom { unfinished, .. } => {
                    let job_outcome = job_outcome.detail(format!(
                        "INFO: what was done lies in {}, and the next Job takes it up",
                        output::escape(&unfinished.display().to_string())
                    ));
                    match &error {
                        restore::Error::NoRoom { mixed, .. } if !mixed.is_empty() => {
                            let mixed = Hint::MixedFiles(mixed.clone()).text(Audience::VolSync);
                            job_outcome.detail(format!("WARN: {}", output::escape(&mixed)))
                        }
                        _ => job_outcome,
                    }
                }
                _ => job_outcome,
            }
        }
    })?;
    job.log.note(|report| report.counts = Some(Counts::from(&outcome)));
    log_outcome(job.log, &outcome);
    Ok(conclude(snapshot, &outcome, settings))
}

/// Returns the kind of error that the system gave for the target.
fn error_kind(error: &restore::Error) -> Option<ErrorKind> {
    match error {
        restore::Error::Target { source, .. } => Some(source.kind()),
        _ => None,
    }
}

/// Logs what was done and which attributes could not be set.
fn log_outcome(log: &JobLog, outcome: &Outcome) {
    attributes::sentences(&outcome.notes, Audience::VolSync).iter().for_each(|line| log.warn(line));
    let found = outcome.stubs.iter().map(|found| (&*found.path, &found.stub));
    stubs::lines(outcome.stub_count, found).iter().for_each(|line| log.warn(line));
    extras::kept(&outcome.mounts_kept, &outcome.restores_kept).for_each(|line| log.warn(&line));
    if outcome.extras_kept > 0 {
        log.warn(&format!(
            "nothing was deleted, because not all of the snapshot is restored; the volume keeps {} that it \
             does not have",
            entries(outcome.extras_kept)
        ));
    }
    let (files, bytes) = (count(outcome.files, "file", "files"), size(outcome.bytes));
    let folders = count(outcome.directories, "folder", "folders");
    let links = count(outcome.symlinks, "link", "links");
    let (kept, deleted) = (thousands(outcome.kept), thousands(outcome.deleted));
    let were = if outcome.kept == 1 { "was" } else { "were" };
    log.info(&format!(
        "wrote {files} ({bytes}), {folders} and {links}; kept {kept} that {were} right already, deleted \
         {deleted}"
    ));
}

/// Decides whether everything was restored.
fn conclude(snapshot: &Snapshot, outcome: &Outcome, settings: &Settings) -> JobOutcome {
    let from = format!("{} from {}", settings.wanted.identity, snapshot.start_time());
    if outcome.problem_count > 0 {
        let what = match outcome.problem_count.saturating_sub(outcome.undeleted) {
            0 => format!("delete {} that the snapshot does not have", entries(outcome.undeleted)),
            lost => format!("restore {} of {from} completely", entries(lost)),
        };
        let first = outcome.problems.first();
        let class = first.map_or(Class::Other, |problem| Class::of_reason(&problem.reason));
        let first = first.map(ToString::to_string).unwrap_or_default();
        let line = StatusLine::unable(&what, &first, "the lines above name each").with_class(class);
        return JobOutcome::new(JobResult::Partial, line);
    }
    let notes = attributes::settable(&outcome.notes);
    if settings.strict && !notes.is_empty() {
        let cause = format!("not as in the snapshot: {}", attributes::list(&notes));
        let advice = "run the mover as their owner or privileged, or leave out --no-ignore-permission-errors";
        let line = StatusLine::unable(&format!("restore {from} exactly"), &cause, advice);
        return JobOutcome::failed(line.with_class(Class::PermissionDenied));
    }
    let files = count(outcome.files + outcome.kept, "file", "files");
    let bytes = size(outcome.bytes_there());
    JobOutcome::new(JobResult::Restored, StatusLine::restored(&format!("{from}, {files}, {bytes}")))
}

fn entries(number: u64) -> String {
    count(number, "entry", "entries")
}
