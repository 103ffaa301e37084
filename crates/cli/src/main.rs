//! The command `kopia-rs`.
//!
//! `args` is what clap reads, `session` opens the repository, `commands` has one module for each command. Each command
//! returns an [`Exit`](error::Exit) or a [`Failure`](error::Failure). Exit codes are decided here and nowhere else.

mod args;
mod attributes;
mod commands;
mod error;
mod foreign;
mod gaps;
mod interrupt;
mod mover;
mod output;
mod password;
mod progress;
mod report;
mod session;
mod stubs;
mod time;
mod wording;

use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() -> ExitCode {
    let name = std::env::args_os().next();
    let arguments = mover::called_with(std::env::args_os());
    let args = match args::Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) if mover::is_called(&arguments) && error.use_stderr() => {
            return ExitCode::from(mover::wrong_usage(&error));
        }
        Err(error) => foreign::exit(error),
    };
    let interrupt = interrupt::Interrupt::install();
    if let args::Command::Mover(mover) = &args.command {
        return ExitCode::from(mover::run(name.as_deref(), &args.global, mover, &interrupt));
    }
    prepare();
    let status = match commands::run(&args, &interrupt) {
        Ok(exit) => exit.status(),
        Err(failure) => {
            failure.report();
            failure.status()
        }
    };
    ExitCode::from(status)
}

/// Raises the limit of open files and disables core dumps. A program that is executed in place of this one would inherit
/// both, so the mover calls this only once it will not do that.
///
/// The umask stays as it is: modes of restored entries are set through handles, and everything else that is made belongs to
/// whoever runs this, as open to others as the umask lets it be.
pub(crate) fn prepare() {
    // Large files are open while their pieces are written; 64 at once, as some containers have it, are few.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    // No crash may write keys and plain data down. Linux runs the program that cores are piped to whatever the limit is,
    // but for a limit of 1. To make the process undumpable would take its own files in /proc away from it.
    let limit = getrlimit(Resource::Core);
    let least = limit.maximum.map_or(1, |maximum| maximum.min(1));
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(least), ..limit });
}
