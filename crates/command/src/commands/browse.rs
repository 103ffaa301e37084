//! Commands that look into snapshots and compare them.

mod diff;
mod du;
mod find;
mod found;
mod gone;
mod log;
mod packs;
mod stats;

use super::several::joined;
use super::{Work, entries};
use crate::args::Browse;
use crate::error::{Exit, Failure};

/// Shows how a command is to be written, for hints.
pub(super) fn pattern(command: &Browse) -> &'static str {
    match command {
        Browse::Diff(_) => "diff WHAT OTHER",
        Browse::Find(_) => "find PATTERN WHAT",
        Browse::Gone(_) => "gone PATH",
        Browse::Log(_) => "log PATH",
        _ => "ls WHAT",
    }
}

/// Carries out one of them; `with` opens the repository first.
pub(super) fn run(
    command: &Browse,
    with: &dyn Fn(Work<'_>) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    match command {
        Browse::Log(args) => with(&|session| log::run(session, args)),
        Browse::Diff(args) => with(&|session| diff::run(session, args)),
        Browse::Gone(args) => with(&|session| gone::run(session, args)),
        Browse::Du(args) => with(&|session| du::run(session, args)),
        Browse::Stats(args) => with(&|session| stats::run(session, args)),
        Browse::Packs(args) => with(&|session| packs::run(session, args)),
        Browse::Find(args) => {
            // Before the repository is opened, which may take a password and a while.
            let query = find::query(args)?;
            with(&|session| find::run(session, args, &query))
        }
    }
}
