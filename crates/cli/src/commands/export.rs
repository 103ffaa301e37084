//! `export WHAT [FILE]`: a folder, file or link as an archive.

mod dry_run;
mod file;
mod result;

use std::io::{self, IsTerminal};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use kopia_rs::export::{self, Format, Options};
use kopia_rs::owners::Owners;

use super::restore::foresight::Requests;
use super::restore::{announce, sum_up};
use crate::args;
use crate::error::{Exit, Failure};
use crate::session::{Session, needed};
use crate::terminal::output::{self, count};
use crate::terminal::progress::{Progress, ProgressMode};
use crate::terminal::report::Report;
use crate::terminal::signals::Interrupt;
use crate::wording::stubs;
use file::Destination;

/// Standard output, as people write it.
const STDOUT: &str = "-";

/// Decides what is written, before anything is opened or asked.
pub(super) fn format(args: &args::Export) -> Result<Format, Failure> {
    if !args.dry_run && named(args).is_none() && io::stdout().is_terminal() {
        return Err(Failure::usage("standard output is a terminal, which an archive would garble")
            .hint("give a FILE, or pipe it, as in `kopia-rs export WHAT | tar -x`"));
    }
    let name = named(args).map(Path::to_string_lossy).unwrap_or_default();
    match args.format.or_else(|| Format::of_name(&name)) {
        Some(format) => Ok(format),
        None if name.is_empty() => Ok(Format::Tar),
        None => {
            let known: Vec<_> = Format::NAMES.iter().map(|(name, _)| *name).collect();
            Err(Failure::usage(format!("the name {name} does not say which kind of archive is meant"))
                .hint(format!("give --format, one of {}", known.join(", "))))
        }
    }
}

/// Returns the file that is written to; nothing for standard output.
fn named(args: &args::Export) -> Option<&Path> {
    args.file.as_deref().filter(|file| *file != Path::new(STDOUT))
}

pub(super) fn run(
    session: &Session,
    args: &args::Export,
    format: Format,
    interrupt: &Arc<Interrupt>,
) -> Result<Exit, Failure> {
    let selection = session.select(&args.what)?;
    let (entry, directory) = (&selection.entry, session.repository.store().directory());
    let mut options = options(args, format, session.owners(&args.owners, &selection)?);
    options.chosen = session.chosen(&args.patterns, &[entry])?;
    announce(session, &selection, "exporting", named(args).unwrap_or(Path::new("standard output")));
    let report = || args.report.as_deref().map(|path| Report::create(path, directory.as_deref())).transpose();
    if args.dry_run {
        return dry_run::run(session, &selection, args, options.chosen, report()?);
    }
    file::refuse(named(args), args.overwrite, directory.as_deref())?;
    let report = report()?;
    let reads = needed::reading(options.chosen.clone());
    let packs = || needed::cold(&session.repository, entry, &reads);
    if let Err(failure) = session.warm_all(report.as_ref(), packs) {
        report.map_or(Ok(()), Report::finish)?;
        return Err(failure);
    }
    let whole = Some(entry).filter(|_| options.chosen.is_none());
    let progress = Progress::new(whole, report, interrupt.clone(), ProgressMode::unless(session.quiet));
    interrupt.will_ask();
    let destination = match named(args) {
        Some(file) => Destination::create(file, args.overwrite)?,
        // That of the library writes line by line.
        None => {
            Destination::Stream(io::stdout().as_fd().try_clone_to_owned().map_err(Failure::output)?.into())
        }
    };
    destination.remove_at_a_signal(interrupt);
    let start = Instant::now();
    let exported = progress.watch(|| export::export(entry, destination.writer(), &options, &progress));
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
    let json = || result::json(&selection, named(args), format, &outcome, requests, seconds);
    let written = match named(args) {
        Some(_) if session.json => output::json(&json()),
        Some(file) => result::text(&outcome, file, seconds),
        // The archive has standard output for itself.
        None if session.json => result::to_stderr(&json()),
        None => {
            session.note(&result::sentence(&outcome, Path::new("standard output"), seconds));
            Ok(())
        }
    };
    written.map_err(Failure::output).or_else(Failure::unless_reader_left)?;
    Ok(exit)
}

fn options(args: &args::Export, format: Format, owners: Owners) -> Options {
    let mut options = Options::default();
    options.owners = owners;
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
