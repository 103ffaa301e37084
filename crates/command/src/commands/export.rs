//! `export WHAT... [FILE]`: folders, files and links as an archive.

mod dry_run;
mod file;
mod result;

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kopia_rs::export::{self, Format, Options, Root};
use kopia_rs::owners::Owners;

use super::restore::foresight::Requests;
use super::restore::{announce, sum_up};
use super::several::{self, Part};
use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::session::needed::{self, Ahead};
use crate::terminal::output::{self, count};
use crate::terminal::progress::Progress;
use crate::terminal::replace::{ELSEWHERE, is_same};
use crate::terminal::report::Report;
use crate::terminal::signals::Interrupt;
use crate::wording::attributes::UNTOLD;
use crate::wording::stubs;
use file::Destination;

/// Decides what is written, before anything is opened or asked.
pub(super) fn format(args: &args::Export) -> Result<Format, Failure> {
    if !args.dry_run && args.named_file().is_none() && io::stdout().is_terminal() {
        return Err(Failure::usage("standard output is a terminal, which an archive would garble")
            .hint("give a FILE, or pipe it, as in `kopia-rs export WHAT | tar -x`"));
    }
    let name = args.named_file().map(Path::to_string_lossy).unwrap_or_default();
    match args.format.or_else(|| Format::of_name(&name)) {
        Some(format) => Ok(format),
        None if name.is_empty() => Ok(Format::Tar),
        None => {
            let known: Vec<_> = Format::NAMES.iter().map(|(name, _)| *name).collect();
            Err(Failure::usage(format!("the name {name} does not say which kind of archive is meant"))
                .hint(format!("give --format, one of {}", known.join(", ")))
                .hint("the last argument is the file: - after several WHAT is standard output"))
        }
    }
}

pub(super) fn run(
    session: &Session,
    args: &args::Export,
    format: Format,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    session.refuse_verify_hashes(args.verify_hashes)?;
    let whats = args.each();
    let archived = if args.dry_run { Ahead::none() } else { Ahead::begin(&session.repository) };
    let selections = several::select(session, &whats)?;
    let owners: Vec<_> = selections
        .iter()
        .map(|selection| session.owners(&args.owners, selection))
        .collect::<Result<_, _>>()?;
    let strip = args.strip_components;
    let parts = several::parts(session, (&whats, selections.clone()), &args.patterns, strip)?;
    let directory = session.repository.store().directory();
    let options = options(args, format);
    let roots: Vec<_> = parts.iter().map(|part| root(part, &owners[part.place], &options)).collect();
    let file = args.named_file().unwrap_or(Path::new("standard output"));
    selections.iter().for_each(|selection| announce(session, selection, "exporting", file));
    if let (Some(archive), Some(report)) = (args.named_file(), &args.report)
        && is_same(archive, report)
    {
        let text = format!("the report {} would be the archive, too", report.display());
        return Err(Failure::usage(text).hint(ELSEWHERE));
    }
    let report = || args.report.as_deref().map(|path| Report::create(path, directory.as_deref())).transpose();
    if args.dry_run {
        return dry_run::run(session, (&roots, &options), args, report()?);
    }
    file::refuse(args.named_file(), args.overwrite, directory.as_deref())?;
    if let Some(line) = args.named_file().and_then(file::leftovers) {
        session.note(&line);
    }
    let report = report()?;
    let reads: Vec<_> = roots.iter().map(|root| needed::reading(root.chosen.clone())).collect();
    let things = || roots.iter().map(|root| &root.entry).zip(&reads);
    let packs = || needed::cold_of_all(&session.repository, &archived, things());
    if let Err(failure) = session.warm_all(report.as_ref(), packs) {
        report.map_or(Ok(()), Report::finish)?;
        return Err(failure);
    }
    let whole = match &roots[..] {
        [root] if root.chosen.is_none() => Some(&root.entry),
        _ => None,
    };
    let progress = Progress::new(whole, report, interrupt.clone(), session.progress);
    interrupt.will_ask();
    let destination = match args.named_file() {
        Some(file) => Destination::create(file, args.overwrite)?,
        // That of the library writes line by line.
        None => {
            Destination::Stream(io::stdout().as_fd().try_clone_to_owned().map_err(Failure::output)?.into())
        }
    };
    destination.remove_at_a_signal(interrupt);
    let start = Instant::now();
    let exported = progress.watch(|| export::export_all(&roots, destination.writer(), &options, &progress));
    let seconds = start.elapsed().as_secs_f64();
    let (kinds, percent) = (progress.kinds(), progress.percent());
    let reported = progress.finish();
    let outcome = exported.map_err(|error| match (error, interrupt.signal()) {
        (export::Error::Stopped, Some(signal)) => {
            Failure::stopped(signal, percent, destination.left_behind())
        }
        (export::Error::Output { source }, _) => destination.failure(&source),
        (error, _) => error.into(),
    })?;
    destination.finish()?;
    reported?;

    if outcome.names > 0 {
        let names = count(outcome.names, "name was", "names were");
        session.note(&format!("{names} not UTF-8 when backed up; U+FFFD stands for what kopia did not keep"));
    }
    if outcome.foreign_names > 0 {
        let names = count(outcome.foreign_names, "name has", "names have");
        session.note(&format!(
            "{names} \\ or :, which programs that unpack a zip on Windows take for folders or drives, or \
             change; a tar keeps such names"
        ));
    }
    if !args.no_root_attributes && selections.iter().any(|selection| selection.entry.is_guessed()) {
        session.note(&format!("owner, permissions and time of the root are not known: {UNTOLD}"));
    }
    let found = outcome.stubs.iter().map(|found| (&*found.path, &found.stub));
    stubs::lines(outcome.stub_count, found).iter().for_each(|line| session.note(line));
    if let Some(line) = args.patterns.left_out(outcome.left_out) {
        session.note(&line);
    }
    let exit = if outcome.problem_count > 0 {
        sum_up(session, outcome.problem_count, 0, kinds, args.report.is_some());
        Exit::Partial
    } else {
        Exit::Complete
    };
    let requests = Requests::so_far(&session.repository, None);
    let json = || result::json((&selections, &parts), args.named_file(), format, &outcome, requests, seconds);
    let written = match args.named_file() {
        Some(_) if session.json => output::json(&json()),
        Some(file) => result::text(&outcome, file, seconds),
        // The archive has standard output for itself.
        None if session.json => result::to_stderr(&json()),
        None => {
            session.note(&result::sentence(&outcome, Path::new("standard output"), seconds));
            Ok(())
        }
    };
    Failure::unless_shown(written)?;
    Ok(exit)
}

/// Returns what is exported of one thing, and where it lies in the archive.
fn root(part: &Part, owners: &Owners, options: &Options) -> Root {
    let mut root = Root::new(&part.selection.entry, options);
    root.path = part.name.clone().unwrap_or_default();
    root.attributes &= !part.is_stripped;
    root.owners = owners.clone();
    root.chosen.clone_from(&part.chosen);
    root
}

fn options(args: &args::Export, format: Format) -> Options {
    let mut options = Options::default();
    options.format = format;
    options.level = args.level;
    options.parallel = args.parallel.and_then(|number| NonZeroUsize::new(number.into()));
    options.root_attributes = !args.no_root_attributes;
    options.max_depth = args.max_depth;
    options.verify_hashes = args.verify_hashes;
    options.salvage = args.salvage;
    options.fail_fast = args.fail_fast;
    options.window = args.window << 20;
    options.read_ahead = args.read_ahead << 20;
    options
}
