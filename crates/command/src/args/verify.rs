//! The options of `verify`.

use std::path::PathBuf;

use kopia_rs::Shard;

use super::patterns::Patterns;
use super::values::percent;
use super::what::OptionalWhats;

/// Headings in the help.
const PART: &str = "Only a part";
const RESULT: &str = "What is written";

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) what: OptionalWhats,
    #[command(flatten)]
    pub(crate) patterns: Patterns,
    /// Read only part I, counted from 0, of N equal parts of the packs; all N together are everything.
    #[arg(help_heading = PART, long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Read only P percent of the packs, starting at a random one: every run takes others.
    #[arg(help_heading = PART, long, value_name = "P", value_parser = percent)]
    pub(crate) percent: Option<f64>,
    /// With --percent: start where the run did that named this number.
    #[arg(help_heading = PART, long, value_name = "N", requires = "percent")]
    pub(crate) seed: Option<u64>,
    /// Read packs in turn, those first that were read longest ago, so that all are read within so many days,
    /// however often it runs; a file keeps what was read when.
    #[arg(
        help_heading = PART,
        long,
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..=3650),
        conflicts_with_all = ["what", "shard", "percent"],
    )]
    pub(crate) rotate: Option<u32>,
    /// With --rotate: the file that keeps it; by default one for each repository in
    /// $XDG_STATE_HOME/kopia-rs or ~/.local/state/kopia-rs.
    #[arg(help_heading = PART, long, value_name = "FILE", requires = "rotate")]
    pub(crate) state: Option<PathBuf>,
    /// Write everything that is wrong to this file, one JSON object a line.
    #[arg(help_heading = RESULT, long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Write the result to this file as Prometheus text, or that there is none.
    #[arg(help_heading = RESULT, long, value_name = "FILE")]
    pub(crate) metrics: Option<PathBuf>,
    /// Write the result to this file as a page for people, once the run is through.
    #[arg(help_heading = RESULT, long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
}
