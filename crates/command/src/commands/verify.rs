//! `verify [WHAT]...`: what can be restored, and what damage costs.

pub(super) mod metrics;
mod page;
mod result;
mod summary;
mod turn;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::ProgressBar;
use kopia_rs::connection::Environment;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::select::Selection;
use kopia_rs::verify::{AffectedEntry, Damage, Observer, Options, Part, Report as Verified, Subject};
use kopia_rs::{Entry, Unreadable};

use super::several;
use crate::args::{self, Global};
use crate::error::{Exit, Failure};
use crate::session::{Choice, INCOMPLETE_LIST, Session, needed};
use crate::terminal::output::{self, count, escape, log_line, thousands};
use crate::terminal::progress::{self, Count, ProgressMode, SHOWN, State};
use crate::terminal::replace::{ELSEWHERE, is_same, refusal, replace};
use crate::terminal::report::{Report, ReportError};
use crate::terminal::signals::Interrupt;
use crate::terminal::time;
use crate::wording::advice::audience;
use crate::wording::stubs;
use metrics::Metrics;
use summary::Summary;

/// Opens the repository and verifies it. Metrics tell also of a repository that cannot be opened, and of a signal.
pub(crate) fn run(global: &Global, args: &args::Verify, interrupt: &Interrupt) -> Result<Exit, Failure> {
    refuse_same(args)?;
    // What lies in a cache says nothing of the repository.
    let global = &Global { cache: None, ..global.clone() };
    let environment = Environment::of_process();
    let choice = Choice::of(global, &environment);
    let metrics = Metrics::of(args.metrics.as_deref(), choice.as_ref().ok(), interrupt)?;
    let ended = choice.and_then(|choice| {
        let session = Session::open_chosen(&choice, environment, global, "verify WHAT")?;
        verify(&session, args, &metrics).map(|exit| session.conclude(exit))
    });
    ended.inspect_err(|failure| metrics.tell_of(failure))
}

fn verify(session: &Session, args: &args::Verify, metrics: &Metrics) -> Result<Exit, Failure> {
    let mut options = Options::default();
    options.part = Part { shard: args.shard.unwrap_or_default(), percent: args.percent };
    let seed = args.percent.map(|percent| start(session, args, percent, &mut options));
    let selections = several::select(session, &args.what.each())?;
    let is_whole = selections.is_empty();
    let roots: Vec<_> = selections.iter().map(|selection| &selection.entry).collect();
    options.chosen = match &roots[..] {
        [] if args.patterns.is_empty() => None,
        [] => return Err(Failure::usage("--include and --exclude need WHAT: of which folder?")),
        roots => session.chosen(&args.patterns, roots)?,
    };
    let began = time::now();
    let turn = turn::Turn::open(session, args, began)?;
    options.rotation = turn.as_ref().map(|(_, rotation)| rotation.clone());
    let directory = session.repository.store().directory();
    if let Some(page) = &args.page {
        may_write("the page", page, directory.as_deref())?;
    }
    let report = args.report.as_deref().map(|path| Report::create(path, directory.as_deref())).transpose()?;
    warm(session, &roots, &options, report.as_ref())?;
    let progress = Progress::new(report);
    let start = Instant::now();
    let verified = progress.watch(session.progress, || match &*subjects(&selections) {
        [] => session.repository.verify(&options, &progress),
        subjects => session.repository.verify_entries(subjects, &options, &progress),
    });
    let seconds = start.elapsed().as_secs_f64();
    let untold = verified.as_ref().map_or(0, |verified| verified.untold_count);
    let reported = progress.finish(untold);
    let verified = verified?;
    reported?;
    if let Some(line) = args.patterns.left_out(verified.left_out) {
        session.note(&line);
    }
    for line in stubs::lines(verified.stub_count, verified.stubs.iter().map(|(name, stub)| (&**name, stub))) {
        session.note(&line);
    }
    if is_whole {
        session.warn_of_gaps(None);
    }
    // A snapshot that was named is whole or not, whatever else is lost.
    let lost = if is_whole { session.repository.losses() } else { &[] };
    let lost_indexes = if is_whole { session.repository.lost_indexes().len() } else { 0 };
    // Before anything is said: what was read need not be read again.
    let kept = turn.as_ref().zip(verified.rotated.as_ref()).map(|((turn, _), rotated)| turn.keep(rotated));
    let (days, is_part, has_gaps) = (args.rotate, !is_whole, session.is_from_gaps());
    let summary = Summary { verified: &verified, lost, began, seconds, days, is_part, has_gaps };
    let written = if session.json {
        output::json(&result::json(&summary, seed))
    } else {
        result::text(&summary, lost_indexes, session.repository.options().degraded)
    };
    // What was found matters more than whether somebody reads of it.
    let exit = conclude(&verified, lost, session.repository.options().degraded);
    write_files(session, args, &summary, metrics).map_err(Failure::told)?;
    kept.transpose().map_err(Failure::told)?;
    Failure::unless_shown(written)?;
    Ok(exit)
}

/// Refuses one file for two of what is written.
fn refuse_same(args: &args::Verify) -> Result<(), Failure> {
    let files = [
        ("the report", &args.report),
        ("the metrics file", &args.metrics),
        ("the page", &args.page),
        ("the state", &args.state),
    ];
    let files: Vec<_> = files.iter().filter_map(|(what, file)| Some((what, file.as_deref()?))).collect();
    for (number, (what, file)) in files.iter().enumerate() {
        if let Some((other, _)) = files[..number].iter().find(|(_, other)| is_same(file, other)) {
            return refuse(what, file, Some((format!("would be {other}, too"), ELSEWHERE)));
        }
    }
    Ok(())
}

/// Checks that a file may be written beside what it must not touch.
fn may_write(what: &str, file: &Path, repository: Option<&Path>) -> Result<(), Failure> {
    refuse(what, file, refusal(file, repository))
}

fn refuse(what: &str, file: &Path, refusal: Option<(String, &str)>) -> Result<(), Failure> {
    let Some((why, hint)) = refusal else { return Ok(()) };
    let failure = Failure::usage(format!("{what} {} {why}", file.display()));
    Err(if hint.is_empty() { failure } else { failure.hint(hint) })
}

/// Returns what is verified; of several, paths in the report begin at the roots of their snapshots.
fn subjects(selections: &[Selection]) -> Vec<Subject> {
    let subject = |selection: &Selection| Subject {
        snapshot: selection.snapshot.clone(),
        entry: selection.entry.clone(),
        path: if selections.len() > 1 { selection.path.clone() } else { String::new() },
    };
    selections.iter().map(subject).collect()
}

/// Sees to it that nothing of what is to be verified lies in an archive.
fn warm(
    session: &Session,
    roots: &[&Entry],
    options: &Options,
    report: Option<&Report>,
) -> Result<(), Failure> {
    if options.part.percent.is_some() && session.archive.is_for_later() {
        let why = "--percent takes other packs each time, so that nobody would read what was fetched";
        return Err(Failure::usage(why).hint("wait for it with --wait, or take a part by --shard"));
    }
    session.warm_all(report, || match roots {
        [root] if options.is_whole() => {
            let reads = needed::reading(options.chosen.clone());
            needed::cold(&session.repository, root, &reads)
        }
        roots => Ok(Some(session.repository.cold_to_verify(roots, options)?)),
    })
}

/// Chooses where a percentage of the packs begins, and says how to begin there again; returns that number.
fn start(session: &Session, args: &args::Verify, percent: f64, options: &mut Options) -> u64 {
    // The standard library seeds its hashers at random. Half of the bits can be typed.
    let seed = args.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 32);
    options.start = fraction(seed);
    session.note(&match args.seed {
        Some(seed) => format!("{percent} % of the packs are read, from the one on that --seed {seed} means"),
        None => format!(
            "{percent} % of the packs are read, from a random one on; the next run takes others, and --seed \
             {seed} these again"
        ),
    });
    seed
}

/// Spreads numbers over 0 to below 1: SplitMix64, of which a float holds 53 bits.
fn fraction(seed: u64) -> f64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Writes the files that are asked for.
fn write_files(
    session: &Session,
    args: &args::Verify,
    summary: &Summary<'_>,
    metrics: &Metrics,
) -> Result<(), Failure> {
    let place = session.repository.store().location();
    metrics.write(summary, &place)?;
    args.page.as_deref().map_or(Ok(()), |file| write(file, &page::page(summary, &place)))
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    replace(file, text.as_bytes(), 0o644).map_err(|error| unwritten(file, &error))
}

fn unwritten(file: &Path, error: &io::Error) -> Failure {
    Failure::system(format!("{} cannot be written", file.display()), error)
}

/// Decides whether anything is wrong, and names the packs and what was left out when the repository was
/// opened; which entries are lost has been named already.
fn conclude(verified: &Verified, lost: &[Unreadable], degraded: bool) -> Exit {
    lost.iter().for_each(|lost| log_line(format_args!("error: lost: {}", escape(&lost.to_string()))));
    if verified.is_sound() {
        return if lost.is_empty() { Exit::Complete } else { Exit::Partial };
    }
    for what in &verified.unlisted {
        log_line(format_args!("error: {INCOMPLETE_LIST}: {}", escape(&what.to_string())));
    }
    if !verified.unlisted.is_empty() && !degraded {
        let option = audience().option("--degraded");
        log_line(format_args!("hint: with {option}, other commands go on with what can be read of the list"));
    }
    name_unindexed(verified, degraded);
    if let Some(error) = &verified.unsearched {
        let why = chain(error);
        log_line(format_args!("error: whether an index blob is missing is not known: {}", escape(&why)));
    }
    if verified.damage_count == 0 && verified.affected_count == 0 {
        return Exit::Partial;
    }
    let packs: Vec<&[Damage]> = verified.damage.chunk_by(|a, b| a.pack == b.pack).collect();
    for damage in packs.iter().take(SHOWN as usize) {
        let (first, contents) = (&damage[0], count(damage.len() as u64, "content", "contents"));
        let why = chain(&first.error);
        log_line(format_args!(
            "error: pack {}: {contents} cannot be read; the first: {}",
            first.pack,
            escape(&why)
        ));
    }
    if packs.len() as u64 > SHOWN {
        log_line(format_args!("error: … and {} more packs", thousands(packs.len() as u64 - SHOWN)));
    }
    if verified.damage_count == 0 {
        let entries = count(verified.affected_count, "entry of a snapshot", "entries of snapshots");
        let were = if verified.affected_count == 1 { "it was" } else { "they were" };
        log_line(format_args!("error: {entries} cannot be restored as {were}"));
        return Exit::Partial;
    }
    let damage = count(verified.damage_count, "content", "contents");
    let entries = count(verified.affected_count, "entry of a snapshot is", "entries of snapshots are");
    log_line(format_args!("error: {damage} cannot be read; {entries} lost"));
    Exit::Partial
}

/// Names the packs that an index blob should name that is missing.
fn name_unindexed(verified: &Verified, degraded: bool) {
    let mut packs = verified.unexpected();
    for pack in packs.by_ref().take(SHOWN as usize) {
        let held = match &pack.error {
            Some(error) => format!("does not say what it holds: {}", chain(error)),
            None => {
                let unknown = |manifests: bool| {
                    let held = pack.holds.iter();
                    let held = held.filter(|(prefix, _)| (**prefix == Some('m')) == manifests);
                    held.map(|(_, held)| held.unknown).sum::<u64>()
                };
                let all = count(unknown(true) + unknown(false), "content", "contents");
                let manifests = match unknown(true) {
                    0 => String::new(),
                    manifests => format!(", {} of snapshots or policies", thousands(manifests)),
                };
                format!("holds {all} known from nowhere else{manifests}")
            }
        };
        log_line(format_args!("error: pack {} is named by no index, and {}", pack.id, escape(&held)));
    }
    let more = packs.count();
    if more > 0 {
        log_line(format_args!("error: … and {} more packs", thousands(more as u64)));
    }
    if verified.unexpected().next().is_some() && !degraded {
        let option = audience().option("--degraded");
        log_line(format_args!(
            "hint: an index blob may be lost, or not copied yet; {option} takes in what packs say they hold \
             (while kopia \
             maintenance runs with --safety=none this may pass by itself: verify again after it)"
        ));
    }
}

/// Counts what is read, and shows it.
struct Progress {
    total: AtomicU64,
    bytes: AtomicU64,
    problems: AtomicU64,
    bar: ProgressBar,
    report: Option<Report>,
}

impl Progress {
    fn new(report: Option<Report>) -> Self {
        Self {
            total: AtomicU64::default(),
            bytes: AtomicU64::default(),
            problems: AtomicU64::default(),
            bar: progress::bar(),
            report,
        }
    }

    fn watch<R>(&self, mode: ProgressMode, work: impl FnOnce() -> R) -> R {
        progress::watch(mode, &self.bar, || self.state(), work)
    }

    fn state(&self) -> State {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        // How much there is comes out when all folders have been read.
        let total = Some(load(&self.total)).filter(|&total| total > 0);
        let bytes = Count { done: load(&self.bytes), total };
        State { bytes, problems: load(&self.problems), ..State::default() }
    }

    /// Writes one thing that is wrong, unless there were many already.
    fn problem(&self, text: &str) {
        if self.problems.fetch_add(1, Ordering::Relaxed) < SHOWN {
            self.bar.suspend(|| log_line(format_args!("error: {}", escape(text))));
        }
    }

    /// Says how many problems more there are, with those that were counted only.
    fn finish(self, untold: u64) -> Result<(), ReportError> {
        let more = self.problems.into_inner().saturating_sub(SHOWN).saturating_add(untold);
        if more > 0 {
            log_line(format_args!("error: … and {} more", thousands(more)));
        }
        self.report.map_or(Ok(()), Report::finish)
    }
}

impl Observer for Progress {
    fn total(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    fn content(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn damage(&self, damage: &Damage) {
        if let Some(report) = &self.report {
            report.push(&result::DamageLine::from(damage));
        }
        // A pack that is gone has thousands of contents: they are told pack by pack, at the end.
    }

    fn affected(&self, entry: &AffectedEntry) {
        if let Some(report) = &self.report {
            report.push(&result::AffectedLine::from(entry));
        }
        let snapshot = entry
            .snapshot
            .as_ref()
            .map(|snapshot| (snapshot.source(), time::local(snapshot.start_time(), "%Y-%m-%d %H:%M:%S %Z")))
            .map(|(source, time)| format!("{source} {time}: "));
        let path = if entry.path.is_empty() { "." } else { &entry.path };
        self.problem(&format!("{}{path}: {}", snapshot.unwrap_or_default(), entry.reason));
    }
}
