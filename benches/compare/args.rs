//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::figures::Disk;
use crate::sets::Set;

/// Compares restores by kopia-rs with those by other tools that are on PATH, and with its floor.
#[derive(Debug, Parser)]
#[command(version, subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// Where trees, repositories and restored folders go; trees and repositories are kept and used again.
    #[arg(long, value_name = "DIR", required_unless_present = "from")]
    pub(crate) work: Option<PathBuf>,
    /// What is restored; by default all sets, `real` if there is --tree.
    #[arg(long, value_delimiter = ',', value_name = "SET,…")]
    pub(crate) sets: Vec<Set>,
    /// Measures restores from an S3 server at these round trips instead of local ones, in milliseconds; by
    /// default of the set `mixed`.
    #[arg(long, value_delimiter = ',', value_name = "MS,…")]
    pub(crate) network: Vec<u64>,
    /// Measures restores to a file system with these round trips instead of local ones, in milliseconds; by
    /// default of the set `latency`.
    #[arg(long, value_delimiter = ',', value_name = "MS,…", value_parser = milliseconds)]
    pub(crate) target_latency: Vec<Microseconds>,
    /// Measures restores from repositories on a file system with these round trips.
    #[arg(long, value_delimiter = ',', value_name = "MS,…", value_parser = milliseconds, conflicts_with = "network")]
    pub(crate) source_latency: Vec<Microseconds>,
    /// Measures a restore in so many shards from a server at the round trip of --network, each with a line of
    /// its own; into a file system with that of --target-latency, if it is given.
    #[arg(long, value_delimiter = ',', value_name = "N,…", requires = "network", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) shards: Vec<u32>,
    /// Counts what files cost in requests to a file system, by default of the sets `own` and `foreign`.
    #[arg(long, conflicts_with_all = ["network", "target_latency", "source_latency"])]
    pub(crate) operations: bool,
    /// Measures restores to an ext4 that is new, or was filled, emptied and filled before, instead of one to
    /// --work, by default of the set `small`. Needs root, to mount them.
    #[arg(long, value_delimiter = ',', value_name = "DISK,…", conflicts_with_all = ["network", "target_latency", "source_latency", "operations"])]
    pub(crate) disks: Vec<Disk>,
    /// How many Mbit a second the line to that server carries; as many as there are if this is not given.
    #[arg(long, value_name = "MBIT", requires = "network", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) link: Option<u64>,
    /// Have each new connection over the line begin slowly, as TCP does.
    #[arg(long, requires = "network")]
    pub(crate) slow_start: bool,
    /// The tree of the set `real`.
    #[arg(long, value_name = "PATH")]
    pub(crate) tree: Option<PathBuf>,
    /// How often each contestant restores each set.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) rounds: usize,
    /// How large sets are, in percent of their usual size; `real` is as large as it is.
    #[arg(long, value_name = "PERCENT", default_value_t = 100.0, value_parser = scale)]
    pub(crate) scale: f64,
    /// Only these contestants, such as kopia-rs,floor,restic.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub(crate) only: Vec<String>,
    /// The kopia-rs to be measured; by default the one beside this program, else that on PATH.
    #[arg(long, value_name = "FILE")]
    pub(crate) kopia_rs: Option<PathBuf>,
    /// An earlier kopia-rs, which takes part as one more contestant, `before`.
    #[arg(long, value_name = "FILE", conflicts_with = "network")]
    pub(crate) before: Option<PathBuf>,
    /// What to call the version of a tool whose binary does not know it.
    #[arg(long, value_name = "TOOL=VERSION", value_parser = version_of)]
    pub(crate) version_of: Vec<(String, String)>,
    /// Keep the restored folders.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Begin with figures that --json wrote: what is measured now replaces theirs. Without --work, measure
    /// nothing.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Write tables into this file, each between its markers; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub(crate) readme: Vec<PathBuf>,
    /// Write a chart of the wall times of local restores, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<PathBuf>,
    /// Write a chart of the wall times on slow file systems, as SVG.
    #[arg(long, value_name = "FILE")]
    pub(crate) latency_chart: Option<PathBuf>,
    /// Write all figures.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run one command and say what it took; how the other processes measure.
    #[command(hide = true)]
    Measure {
        /// Where its standard output goes.
        #[arg(long)]
        output: PathBuf,
        /// Where its standard error goes.
        #[arg(long)]
        errors: PathBuf,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 1000.0 => Ok(percent),
        _ => Err("a number above 0, 1000 at most".into()),
    }
}

/// A time in microseconds.
pub(crate) type Microseconds = u64;

/// Reads a time in milliseconds.
fn milliseconds(text: &str) -> Result<Microseconds, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=60_000.0).contains(&number) => Ok((number * 1000.0).round() as u64),
        _ => Err("a number from 0 to 60000".into()),
    }
}

fn version_of(text: &str) -> Result<(String, String), String> {
    let (tool, version) = text.split_once('=').ok_or("TOOL=VERSION")?;
    Ok((tool.into(), version.into()))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    #[test]
    fn definitions_are_sound() {
        super::Args::command().debug_assert();
    }

    #[test]
    fn round_trips_may_be_parts_of_milliseconds() {
        let args = super::Args::parse_from(["compare", "--work", "a", "--target-latency", "0,0.5,2"]);
        assert_eq!(args.target_latency, [0, 500, 2000]);
        for wrong in ["-1", "x", "1e9"] {
            let latency = format!("--source-latency={wrong}");
            assert!(super::Args::try_parse_from(["compare", "--work", "a", &latency]).is_err());
        }
    }
}
