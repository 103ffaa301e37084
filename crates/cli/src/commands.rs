//! One module for each command.

mod cat;
mod doctor;
mod ls;
pub(crate) mod restore;
pub(crate) mod snapshots;
mod status;
mod verify;

use std::sync::Arc;

use crate::args::{Args, Command};
use crate::error::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::session::Session;

/// Carries out what was asked for.
pub(crate) fn run(args: &Args, interrupt: &Arc<Interrupt>) -> Result<Exit, Failure> {
    let open = || Session::open(&args.global);
    let global = &args.global;
    match &args.command {
        Command::Status => status::run(&open()?),
        Command::Snapshots(args) => snapshots::run(&open()?, args),
        Command::Ls(args) => ls::run(&open()?, args),
        Command::Cat(_) if args.global.json => {
            Err(Failure::usage("cat writes a file's bytes as they are; --json has no meaning here"))
        }
        Command::Cat(args) => cat::run(&open()?, args),
        Command::Restore(args) => {
            restore::target::refuse_stream(&args.target)?;
            restore::run(&open()?, args, interrupt)
        }
        Command::Doctor(args) => doctor::run(global, args),
        Command::Verify(args) => verify::run(&open()?, args),
        Command::Mover(_) => Err(Failure::usage("the mover has settings and a log of its own")),
    }
}
