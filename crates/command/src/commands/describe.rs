//! Commands by which the command describes itself; none of them needs a repository.

mod candidates;
mod completions;
mod man;
mod schema;

use crate::args::Describe;
use crate::error::{Exit, Failure};

/// Carries out one of them.
pub(super) fn run(command: &Describe) -> Result<Exit, Failure> {
    match command {
        Describe::Completions(args) if args.words.is_empty() => completions::register(args.shell),
        Describe::Completions(args) => completions::answer(&args.words),
        Describe::Man(args) => man::run(args),
        Describe::Schema => schema::run(),
    }
}
