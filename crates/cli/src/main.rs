//! The command `kopia-rs`.
//!
//! `args` is what clap reads, `session` opens the repository, `commands` has one module for each command, `diagnosis` finds
//! out why something cannot be done. Each command
//! returns an [`Exit`](error::Exit) or a [`Failure`](error::Failure). Exit codes are decided here and nowhere else.

mod args;
mod commands;
mod diagnosis;
mod error;
mod interrupt;
mod mover;
mod output;
mod progress;
mod report;
mod session;
mod time;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let name = std::env::args_os().next();
    let arguments = mover::called_with(std::env::args_os());
    let args = match args::Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(error) if mover::is_called(&arguments) && error.use_stderr() => {
            return ExitCode::from(mover::wrong_usage(&error));
        }
        Err(error) => error.exit(),
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

/// Has the system let this process write as it wants to. Programs that it becomes would inherit that, so not before it is known
/// that it stays what it is.
pub(crate) fn prepare() {
    // Modes come from the snapshot; the library corrects what a mask takes away, which costs a call for each file.
    rustix::process::umask(rustix::fs::Mode::empty());
    // Large files are open while their pieces are written; 64 at once, as some containers have it, are few.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, raised);
}
