//! Which snapshot is restored, and what speaks against it.

use kopia_rs::diagnosis::Class;
use kopia_rs::{Entry, Repository, Snapshot, Snapshots};

use super::missing::{self, Newer};
use super::{Job, archive};
use crate::mover::account::advice;
use crate::mover::account::line::StatusLine;
use crate::mover::account::outcome::{JobOutcome, JobResult};
use crate::mover::account::report::SnapshotReport;
use crate::mover::contract::selection::{Found, Wanted};
use crate::mover::contract::settings::Settings;
use crate::terminal::output::{count, size};
use crate::wording::snapshots::{UNKNOWN, failed};

/// The snapshot that is restored.
pub(super) struct Chosen {
    pub(super) snapshot: Snapshot,
    pub(super) root: Entry,
    /// Why it may not be the one that was meant.
    doubt: Option<StatusLine>,
    /// What the last line is to say of newer ones that the list lacks.
    newer: Option<String>,
}

impl Chosen {
    /// Returns how a restore ended that may be of the wrong snapshot.
    pub(super) fn doubted(self, outcome: JobOutcome) -> JobOutcome {
        match self.doubt {
            Some(doubt) if outcome.result() == JobResult::Restored => {
                JobOutcome::new(JobResult::Partial, doubt)
            }
            _ => self.newer.into_iter().fold(outcome, |outcome, newer| outcome.restored_but(&newer)),
        }
    }
}

/// Chooses the snapshot that is wanted, or ends the Job where there is none.
pub(super) fn choose(
    job: &Job<'_>,
    repository: &Repository,
    settings: &Settings,
) -> Result<Chosen, JobOutcome> {
    let snapshots = list(job, repository, settings)?;
    let snapshot = match settings.wanted.choose(&snapshots) {
        Found::Snapshot(snapshot) => snapshot,
        Found::Nothing => return Err(missing::identity(&snapshots, settings)),
        Found::NoneFits(trouble) => {
            let what = format!("restore {}", settings.wanted.identity);
            let outcome = JobOutcome::failed(trouble.unable(&what));
            return Err(missing::with_others(outcome, &snapshots, settings));
        }
    };
    let (doubt, newer) = if settings.degraded {
        doubt(job, repository, snapshot, &settings.wanted)?
    } else {
        (None, warn_of_newer(job, repository, snapshot, &settings.wanted))
    };
    let root = archive::directories(repository, settings, || snapshot.root())?;
    Ok(Chosen { root: described(job, snapshot, root)?, snapshot: snapshot.clone(), doubt, newer })
}

/// Lists snapshots. A list without the wanted one is looked at once more, whether it is whole.
fn list(job: &Job<'_>, repository: &Repository, settings: &Settings) -> Result<Snapshots, JobOutcome> {
    let wanted = &settings.wanted;
    let snapshots = archive::directories(repository, settings, || repository.snapshots())?
        .map_err(|error| JobOutcome::failed(advice::unlisted("list snapshots", &error, repository)))?;
    Ok(match wanted.choose(&snapshots) {
        Found::Snapshot(_) => snapshots,
        Found::Nothing => missing::certain(repository, wanted)?,
        // What is said of those that there are holds, whatever may be hidden beside them.
        Found::NoneFits(_) => missing::certain(repository, wanted).unwrap_or_else(|outcome| {
            job.log.warn(outcome.line().cause());
            snapshots
        }),
    })
}

/// Warns that newer snapshots than the chosen one are, or may be, missing from the list; returns what the
/// last line is to say of them.
fn warn_of_newer(
    job: &Job<'_>,
    repository: &Repository,
    chosen: &Snapshot,
    wanted: &Wanted,
) -> Option<String> {
    let Newer { hidden, unread, is_unknown } = missing::newer(repository, wanted, chosen)
        .inspect_err(|error| {
            job.log.warn(&format!("whether newer snapshots are missing is not known: {error}"));
        })
        .unwrap_or_default();
    hidden.iter().chain(&unread).for_each(|sentence| job.log.warn(sentence));
    if is_unknown {
        return Some(warn_of_unknown(job));
    }
    let verb = match (hidden.len(), unread.len()) {
        (0, 0) => return None,
        (0, _) => "may be",
        _ => "is",
    };
    job.log.info("additionalArgs: [--degraded] takes in what packs say they hold");
    job.log.note(|report| report.newer_missing = Some(hidden.len() + unread.len()));
    let looks = "additionalArgs: [--degraded] looks for it";
    Some(format!("; a newer snapshot {verb} missing from the list, {looks}"))
}

/// Warns that index blobs are lost, and newer snapshots perhaps with them; returns what the last line is to say
/// of that.
fn warn_of_unknown(job: &Job<'_>) -> String {
    job.log.warn(UNKNOWN);
    // How many is not known.
    job.log.note(|report| report.newer_missing = Some(1));
    "; a newer snapshot may be missing from the list, as index blobs are lost".into()
}

/// Returns why the snapshot that was chosen may not be the one that was meant: the list of a damaged
/// repository has gaps; and what the last line is to say where it has none that are known. One that was named by
/// its very time is meant.
fn doubt(
    job: &Job<'_>,
    repository: &Repository,
    snapshot: &Snapshot,
    wanted: &Wanted,
) -> Result<(Option<StatusLine>, Option<String>), JobOutcome> {
    let gaps = missing::gaps(repository)?;
    gaps.iter().for_each(|gap| job.log.warn(gap));
    if wanted.names(snapshot) {
        return Ok((None, None));
    }
    let newer = (!repository.lost_indexes().is_empty()).then(|| warn_of_unknown(job));
    let Some(first) = gaps.first() else { return Ok((None, newer)) };
    let time = snapshot.start_time();
    let what = format!("tell whether {time} is the newest snapshot of {}", wanted.identity);
    let line = StatusLine::unable(&what, first, &format!("set restoreAsOf to {time} to take it as it is"));
    Ok((Some(line.with_class(Class::Damaged)), newer))
}

/// Logs which snapshot was chosen and what its backup lacks, and returns its root.
fn described(job: &Job<'_>, snapshot: &Snapshot, root: kopia_rs::Result<Entry>) -> Result<Entry, JobOutcome> {
    let log = job.log;
    let report = SnapshotReport::of(snapshot);
    log.note(|all| all.snapshot = Some(report));
    log.info(&format!("Selected snapshot with id: {}", snapshot.id()));
    let root = root.map_err(|error| JobOutcome::failed(advice::repository("restore", &error)))?;
    let held = root.summary().map_or_else(String::new, |summary| {
        let number = |number: i64| u64::try_from(number).unwrap_or_default();
        let files = count(number(summary.files), "file", "files");
        format!(", {files}, {}", size(number(summary.size)))
    });
    log.info(&format!("the snapshot began {}{held}", snapshot.start_time()));
    for (number, line) in root.summary().map(failed).unwrap_or_default().iter().enumerate() {
        let subject = if number == 0 { "the backup was " } else { "" };
        log.warn(&format!("{subject}{line}"));
    }
    Ok(root)
}
