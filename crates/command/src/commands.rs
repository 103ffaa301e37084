//! One module for each command.

#[cfg(feature = "browse")]
mod browse;
#[cfg(feature = "terminal-browser")]
mod browser;
mod cat;
mod connections;
#[cfg(feature = "describe")]
mod describe;
mod doctor;
mod entries;
#[cfg(feature = "export")]
mod export;
mod ls;
#[cfg(all(feature = "mount", target_os = "linux"))]
pub(crate) mod mount;
pub(crate) mod restore;
#[cfg(feature = "serve")]
mod serve;
mod several;
mod snapshots;
mod status;
mod undo;
#[cfg(feature = "velero")]
mod velero;
mod verify;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use clap::CommandFactory;
use clap::error::ErrorKind;
use kopia_rs::connection::Environment;

use crate::args::{self, Args, Command, unparsed};
use crate::error::{Exit, Failure};
use crate::session::{Choice, Session};
use crate::terminal::inside::is_in;
use crate::terminal::metrics_file::{MetricsFile, has_metrics};
use crate::terminal::output::log_line;
use crate::terminal::replace::{refusal, refusal_by_any};
use crate::terminal::signals::Interrupt;

/// What a command does once the repository is open.
type Work<'a> = &'a dyn Fn(&Session) -> Result<Exit, Failure>;

/// Carries out what was asked for.
pub(crate) fn run(args: &Args, interrupt: &Arc<Interrupt>) -> Result<Exit, Failure> {
    let global = &args.global;
    let Some(command) = &args.command else { return alone(args) };
    let pattern = match command {
        Command::Cat(_) => "cat WHAT",
        #[cfg(feature = "browse")]
        Command::Browse(command) => browse::pattern(command),
        Command::Restore(_) => "restore WHAT TARGET",
        #[cfg(feature = "export")]
        Command::Export(_) => "export WHAT FILE",
        #[cfg(all(feature = "mount", target_os = "linux"))]
        Command::Mount(_) => "mount WHAT MOUNTPOINT",
        _ => "ls WHAT",
    };
    let with = |work: Work<'_>| {
        let session = Session::open(global, pattern)?;
        work(&session).map(|exit| session.conclude(exit))
    };
    match command {
        Command::Connections(args) => connections::run(global, args),
        Command::Status => with(&|session| status::run(session)),
        Command::Snapshots(args) => with(&|session| snapshots::run(session, args)),
        Command::Ls(args) => with(&|session| ls::run(session, args)),
        #[cfg(feature = "browse")]
        Command::Browse(command) => browse::run(command, &with),
        #[cfg(feature = "terminal-browser")]
        Command::Browser(args) => browser::run(global, args, interrupt),
        Command::Cat(_) if args.global.json => {
            Err(Failure::usage("cat writes a file's bytes as they are; --json has no meaning here"))
        }
        Command::Cat(args) => with(&|session| cat::run(session, args)),
        Command::Restore(args) => restore::metrics::Metrics::write(global, args, interrupt, |metrics| {
            restore::target::refuse_stream(&args.places.target)?;
            restore::beside::refuse_early(args, global)?;
            with(&|session| restore::run(session, args, metrics, interrupt))
        }),
        Command::Undo(args) => undo::run(args, global.json, global.quiet),
        #[cfg(feature = "export")]
        Command::Export(args) => {
            let format = export::format(args)?;
            with(&|session| export::run(session, args, format, interrupt))
        }
        #[cfg(feature = "serve")]
        Command::Serve(args) => with(&|session| serve::run(session, args)),
        #[cfg(all(feature = "mount", target_os = "linux"))]
        Command::Mount(args) => {
            mount::refuse(args)?;
            with(&|session| mount::run(session, args, global.cache.as_deref(), interrupt))
        }
        Command::Doctor(args) => doctor::run(global, args),
        #[cfg(feature = "velero")]
        Command::Velero(args) => velero::run(global, args),
        Command::Verify(args) => verify::run(global, args, interrupt),
        #[cfg(feature = "describe")]
        Command::Describe(command) => describe::run(command),
        Command::Mover(_) => Err(Failure::usage("the mover has settings and a log of its own")),
    }
}

/// Replaces the metrics of a file that a command line names which cannot be parsed: they would go on telling how an
/// earlier run ended. No file is made, and none replaced that has something else: where the name is missing, the
/// option takes the next word, which may be the target, and a file there would be in the way of every later run.
pub(crate) fn tell_of_wrong_usage(arguments: &[OsString]) {
    let Some(unparsed::Metrics { command, file, others }) = unparsed::Metrics::of(arguments) else { return };
    let text: fn(f64) -> String = match command.to_str() {
        Some("restore") => restore::metrics::wrong_usage,
        Some("verify") => verify::metrics::wrong_usage,
        _ => return,
    };
    // Which word is the target or the repository is not known, so the file may lie in none of them.
    let is_refused = || others.iter().any(|other| is_in(&file, Path::new(other), true));
    let may_not = || refusal(&file, None).or_else(|| refusal_by_any(&file)).is_some();
    if may_not() || is_refused() || !has_metrics(&file) {
        return;
    }
    if let Err(error) = MetricsFile::new(&file).write(text) {
        log_line(format_args!("warning: the metrics file {} cannot be written: {error}", file.display()));
    }
}

/// Lists the snapshots of what kopia is connected to. Where nothing is, a command is missing.
fn alone(args: &Args) -> Result<Exit, Failure> {
    let environment = Environment::of_process();
    let Some(choice) = Choice::find(&args.global, &environment)? else {
        let message = "'kopia-rs' requires a subcommand but one was not provided";
        Args::command().error(ErrorKind::MissingSubcommand, message).exit();
    };
    let session = Session::open_chosen(&choice, environment, &args.global, "ls WHAT")?;
    let all = args::Snapshots::default();
    snapshots::run(&session, &all).map(|exit| session.conclude(exit))
}
