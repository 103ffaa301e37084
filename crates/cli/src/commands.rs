//! One module for each command.

mod cat;
mod doctor;
mod ls;
pub(crate) mod restore;
mod snapshots;
mod status;
mod verify;

use std::sync::Arc;

use crate::args::{Args, Command};
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::signals::Interrupt;

/// Carries out what was asked for.
pub(crate) fn run(args: &Args, interrupt: &Arc<Interrupt>) -> Result<Exit, Failure> {
    let global = &args.global;
    let pattern = match &args.command {
        Command::Cat(_) => "cat WHAT",
        Command::Restore(_) => "restore WHAT TARGET",
        Command::Verify(_) => "verify WHAT",
        _ => "ls WHAT",
    };
    let with = |work: &dyn Fn(&Session) -> Result<Exit, Failure>| {
        let session = Session::open(global, pattern)?;
        work(&session).map(|exit| session.conclude(exit))
    };
    match &args.command {
        Command::Status => with(&|session| status::run(session)),
        Command::Snapshots(args) => with(&|session| snapshots::run(session, args)),
        Command::Ls(args) => with(&|session| ls::run(session, args)),
        Command::Cat(_) if args.global.json => {
            Err(Failure::usage("cat writes a file's bytes as they are; --json has no meaning here"))
        }
        Command::Cat(args) => with(&|session| cat::run(session, args)),
        Command::Restore(args) => {
            restore::target::refuse_stream(&args.target)?;
            with(&|session| restore::run(session, args, interrupt))
        }
        Command::Doctor(args) => doctor::run(global, args),
        Command::Verify(args) => with(&|session| verify::run(session, args)),
        Command::Mover(_) => Err(Failure::usage("the mover has settings and a log of its own")),
    }
}
