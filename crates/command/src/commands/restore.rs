//! `restore WHAT TARGET`: the main job.

pub(super) mod beside;
mod device;
mod disk;
mod dry_run;
pub(super) mod foresight;
mod home;
mod job;
pub(super) mod metrics;
pub(super) mod result;
mod room;
pub(crate) mod target;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kopia_rs::EntryKind;
use kopia_rs::diagnosis::{Class, Effort, Finding, Hint, LocalPath, access};
use kopia_rs::restore::{self, Notes, Options, Outcome, Portion, Problem};
use kopia_rs::select::Selection;

use super::several;
use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::session::needed::{self, Ahead};
use crate::terminal::output::{self, count, log_line};
use crate::terminal::progress::{Kinds, Progress, SHOWN};
use crate::terminal::report::Report;
use crate::terminal::signals::{Interrupt, UNFINISHED_FOLDER};
use crate::terminal::time;
use crate::wording::advice::{audience, sentence};
use crate::wording::attributes;
use crate::wording::extras;
use crate::wording::snapshots::failed;
use crate::wording::stubs;
use foresight::Requests;
use job::Job;
use metrics::Metrics;

pub(crate) fn run(
    session: &Session,
    args: &args::Restore,
    metrics: &Metrics,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    metrics.refuse(session.repository.store().directory().as_deref())?;
    session.refuse_verify_hashes(args.verify_hashes)?;
    let whats = args.each();
    home::refuse_several(args, &whats)?;
    disk::refuse_several(args, &whats)?;
    // A finish reads no contents, or hardly any, and a dry run none.
    let reads = args.finish.is_none() && !args.dry_run;
    let archived = if reads { Ahead::begin(&session.repository) } else { Ahead::none() };
    let selections = several::select(session, &whats)?.into_iter().map(|one| disk::the_file(args, one));
    let selections = selections.collect::<Result<Vec<_>, _>>()?;
    let args = &*disk::with_image(home::with_target(session, args, &selections[0])?)?;
    metrics.refuse_written(args)?;
    beside::refuse(session, args, &selections)?;
    let is_several = selections.len() > 1;
    if !args.in_original_place
        && (is_several || selections.iter().any(|one| one.entry.kind() == EntryKind::Directory))
    {
        target::refuse_archive(&args.places.target)?;
    }
    // Names of owners are looked up once for each snapshot, before anything is written.
    let options: Vec<_> =
        selections.iter().map(|selection| options(session, args, selection)).collect::<Result<_, _>>()?;
    if let Some(path) = &args.disk.device {
        return device::run(session, args, (path, &selections[0]), &options[0], &archived, interrupt);
    }
    let parts = several::parts(session, (&whats, selections.clone()), &args.patterns, args.strip_components)?;
    if args.delete_extra && parts.iter().any(|part| part.is_stripped) && parts.len() > whats.len() {
        return Err(Failure::usage(
            "--delete-extra would delete what --strip-components puts beside each other",
        ));
    }
    let jobs = job::jobs(args, selections, &options, parts);
    beside::refuse_replaced(args, &jobs)?;
    let directory = session.repository.store().directory();
    let report = args.report.as_deref().map(|path| Report::create(path, directory.as_deref())).transpose()?;
    for job in &jobs {
        // It may read the directory, which a dry run is to count as well.
        let room = room::note(&job.selection.entry, &job.args);
        announce(session, &job.selection, "restoring", &job.args.places.target);
        if let Some(note) = room.filter(|_| !args.dry_run) {
            session.note(&note);
        }
    }
    let ready = || {
        warm(session, &archived, args, &jobs, report.as_ref())?;
        home::confirm(session, args, &jobs)
    };
    if !args.dry_run
        && let Err(failure) = ready()
    {
        report.map_or(Ok(()), Report::finish)?;
        return Err(failure);
    }
    let mut exit = Exit::Complete;
    for job in &jobs {
        let report = report.as_ref().map(|report| report.below(job.name.as_deref()));
        let ended = if args.dry_run {
            dry_run::run(session, job, report)?
        } else {
            run_one(session, job, report, metrics, interrupt)?
        };
        exit = if exit == Exit::Complete { ended } else { exit };
    }
    Ok(exit)
}

/// Restores one thing to its own target.
fn run_one(
    session: &Session,
    job: &Job,
    report: Option<Report>,
    metrics: &Metrics,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    let (args, target) = (&job.args, &*job.args.places.target);
    let progress = Progress::new(job.whole(), report, interrupt.clone(), session.progress)
        .strict(args.strict_attributes)
        .below(job.name.as_deref());
    interrupt.leaves(UNFINISHED_FOLDER);
    interrupt.will_ask();
    if let Some(snapshot) = &job.selection.snapshot {
        metrics.note(|known| {
            known.identity = Some(snapshot.source().to_string());
            known.snapshot = Some(snapshot.into());
        });
    }
    let (began, start) = (time::now(), Instant::now());
    let restored = progress.watch(|| {
        let mut all: Option<Outcome> = None;
        for (entry, options) in &job.parts {
            let part = restore::restore_observed(entry, target, options, &progress)?;
            match &mut all {
                Some(all) => all.add(part),
                None => all = Some(part),
            }
        }
        Ok(all.unwrap_or_default())
    });
    let seconds = start.elapsed().as_secs_f64();
    let (kinds, percent) = (progress.kinds(), progress.percent());
    metrics.note(|known| known.progress = Some(progress.standing(restored.is_ok())));
    let reported = progress.finish();
    if restored.is_err() && (args.keep_replaced || args.in_original_place) {
        home::note_unfinished(session, target, began);
    }
    let outcome = restored.map_err(|error| match (&error, interrupt.signal()) {
        (restore::Error::Stopped { unfinished }, Some(signal)) => {
            let done = unfinished.display();
            let left =
                format!("run the same command again to go on from there; what was done lies in {done}");
            Failure::stopped(signal, percent, &left)
        }
        _ => error.into(),
    })?;
    let first = outcome.problems.first().map(|problem| Class::of_reason(&problem.reason));
    metrics.note(|known| (known.counts, known.class) = (Some((&outcome).into()), first));
    reported?;

    for note in attributes::sentences(&outcome.notes, audience()) {
        session.note(&note);
    }
    if outcome.already_finished {
        session.note("the shards had been finished before: everything is there");
    }
    let found = outcome.stubs.iter().map(|found| (&*found.path, &found.stub));
    for line in stubs::lines(outcome.stub_count, found) {
        session.note(&line);
    }
    note_kept(session, &outcome.mounts_kept, &outcome.restores_kept, outcome.extras_kept);
    if outcome.problem_count == 0 {
        disk::cut(session, args, &job.selection)?;
    }
    let exit = conclude(session, &outcome, kinds, args);
    let written = if session.json {
        let requests = Requests::so_far(&session.repository, args.prices.as_ref());
        output::json(&result::json(&job.selection, target, &outcome, requests, seconds))
    } else {
        result::text(&outcome, args, seconds)
    };
    // The restore is done, and its end matters more than whether somebody reads of it.
    Failure::unless_shown(written)?;
    Ok(exit)
}

/// Sees to it that nothing of what is to be read lies in an archive, and says what reading it costs if that
/// is asked for.
fn warm(
    session: &Session,
    archived: &Ahead,
    args: &args::Restore,
    jobs: &[Job],
    report: Option<&Report>,
) -> Result<(), Failure> {
    let parts = || jobs.iter().flat_map(|job| &job.parts);
    if args.finish.is_none() {
        let things = || parts().map(|(entry, options)| (entry, options));
        session.warm_all(report, || needed::cold_of_all(&session.repository, archived, things()))?;
    }
    let foreseen = match &args.prices {
        Some(prices) => foresight::foresee(session, parts(), Some(prices))?,
        None => None,
    };
    if let Some(requests) = foreseen.and_then(|foreseen| foreseen.requests) {
        session.note(&format!("it takes {}", requests.words()));
    }
    Ok(())
}

fn options(session: &Session, args: &args::Restore, selection: &Selection) -> Result<Options, Failure> {
    let mut options = Options::default();
    options.owners = session.owners(&args.owners, selection)?;
    options.newer = args.newer;
    options.keep_replaced = args.keep_replaced || args.in_original_place;
    options.parallel = args.parallel.and_then(|number| NonZeroUsize::new(number.into()));
    options.writers = args.writers.and_then(|number| NonZeroUsize::new(number.into()));
    options.root_attributes = !args.no_root_attributes;
    options.skip_owners = args.skip_owners;
    options.skip_permissions = args.skip_permissions;
    options.skip_times = args.skip_times;
    options.max_depth = args.max_depth;
    options.verify_hashes = args.verify_hashes;
    options.sync = args.sync;
    options.sparse = args.sparse;
    options.page_cache = args.page_cache;
    options.read_ahead = args.read_ahead << 20;
    options.existing = args.existing;
    options.in_place = args.in_place;
    options.delete_extra = args.delete_extra;
    options.keep_lost_found = args.keep_lost_found;
    options.fail_fast = args.fail_fast;
    options.salvage = args.salvage;
    options.portion = match (args.shard, args.finish) {
        (Some(shard), _) => Portion::Shard(shard),
        (None, Some(of)) => Portion::Finish(of),
        (None, None) => Portion::Whole,
    };
    Ok(options)
}

/// Notes what was chosen, and what its backup could not read.
pub(super) fn announce(session: &Session, selection: &Selection, doing: &str, target: &Path) {
    let what = match &selection.snapshot {
        Some(snapshot) => {
            let path =
                if selection.path.is_empty() { String::new() } else { format!("{} of ", selection.path) };
            let time = time::local(snapshot.start_time(), "%Y-%m-%d %H:%M:%S %Z");
            format!("{path}{}, {time} (snapshot {}),", snapshot.source(), output::short(snapshot.id()))
        }
        None => format!("object {}", selection.entry.object()),
    };
    session.note(&format!("{doing} {what} to {}", target.display()));
    if let Some(reason) = selection.snapshot.as_ref().and_then(|snapshot| snapshot.manifest().incomplete()) {
        session.note(&format!("the snapshot is incomplete: {reason}"));
    }
    for line in selection.entry.summary().map(failed).unwrap_or_default() {
        session.note(&line);
    }
}

/// Sums up what could not be restored; each has been named already, up to a number.
pub(super) fn sum_up(session: &Session, problems: u64, undeleted: u64, kinds: Kinds, has_report: bool) {
    let lost = problems.saturating_sub(kinds.existing + undeleted);
    if kinds.existing > 0 {
        let existing =
            count(kinds.existing, "entry exists already and was", "entries exist already and were");
        log_line(format_args!("error: {existing} left alone, as --existing error asks for"));
    }
    if lost > 0 {
        let lost = count(lost, "entry is", "entries are");
        log_line(format_args!("error: {lost} missing, doubled or incomplete"));
    }
    if undeleted > 0 {
        let entries = count(undeleted, "entry", "entries");
        let but = if undeleted == problems { "everything is restored, but " } else { "" };
        log_line(format_args!("error: {but}{entries} that the snapshot does not have could not be deleted"));
    }
    hint_of(session, kinds);
    if problems > SHOWN && !has_report {
        log_line("hint: --report FILE lists them all");
    }
}

/// Makes the failure of a dry run with `--fail-fast` that finds problems: the first would end the run.
pub(super) fn stopped_at(first: Option<&Problem>, run: &str) -> Failure {
    let class = first.map_or(Class::Other, |problem| Class::of_reason(&problem.reason));
    let failure = Failure::failed(first.map(ToString::to_string).unwrap_or_default()).with_class(class);
    failure.hint(format!("without --fail-fast the {run} would go on to the end"))
}

/// Says what can be done about problems of some kinds.
fn hint_of(session: &Session, kinds: Kinds) {
    if kinds.denied > 0 {
        let directory = session.repository.store().directory();
        let refusals =
            directory.and_then(|directory| access::of_repository(&LocalPath::look(&directory), Effort::Hint));
        let hint = refusals.map(|refusals| sentence(&Finding::Refused(refusals)));
        let hint = hint.unwrap_or_else(|| "run as a user who may read all of the repository".into());
        log_line(format_args!("hint: {hint}"));
    }
    if kinds.refused > 0 {
        log_line(
            "hint: what has no place of its own is still there: `kopia-rs cat OBJECT` writes the bytes of a \
             file, \
             `kopia-rs restore OBJECT FOLDER` what is in a folder",
        );
    }
    if kinds.unfit > 0 {
        log_line(
            "hint: nothing of what the target's file system does not take is damaged: restore it to another \
             one, such as \
             ext4, XFS or Btrfs",
        );
    }
    if kinds.cold > 0 {
        log_line(format_args!("hint: {}", Hint::FetchFromArchive.text(audience())));
    }
    if kinds.unreadable > kinds.denied {
        log_line("hint: another snapshot or another copy of the repository may have what could not be read");
    }
}

/// Decides about the exit status: whether everything was restored.
fn conclude(session: &Session, outcome: &Outcome, kinds: Kinds, args: &args::Restore) -> Exit {
    if outcome.problem_count > 0 {
        sum_up(session, outcome.problem_count, outcome.undeleted, kinds, args.report.is_some());
        return Exit::Partial;
    }
    conclude_attributes(&outcome.notes, args)
}

/// Decides whether attributes are as they are to be.
fn conclude_attributes(notes: &Notes, args: &args::Restore) -> Exit {
    if args.strict_attributes && !notes.is_empty() {
        let what = attributes::list(notes);
        log_line(format_args!("error: not restored exactly, as --strict-attributes demands: {what}"));
        // A dry run counts attributes and lists none.
        if args.report.is_none() && !args.dry_run {
            log_line("hint: --report FILE lists them all");
        }
        return Exit::Partial;
    }
    Exit::Complete
}

/// Names what `--delete-extra` left alone, and why.
fn note_kept(session: &Session, mounts: &[String], restores: &[String], extras: u64) {
    extras::kept(mounts, restores).for_each(|line| session.note(&line));
    if extras > 0 {
        session.note(&format!(
            "nothing was deleted, because not all of the snapshot is restored; {} that it does not have {} \
             left",
            count(extras, "entry", "entries"),
            if extras == 1 { "was" } else { "were" }
        ));
    }
}
