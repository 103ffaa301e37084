//! A folder as if it lay behind a network: whatever crosses the wire there waits for a round trip here.
//!
//! ```sh
//! cargo run --package kopia-rs-benches --bin delayed-fs -- --delay-ms 2 SOURCE MOUNTPOINT
//! ```
//! Requests wait side by side, as many as the kernel sends. Only the user who mounts it can use it. Names and
//! attributes are believed for one second, writes are not gathered, and there are no extended attributes, no
//! holes and no room reserved beforehand: as sshfs has it. At the end, after SIGINT, SIGTERM or `umount`, there
//! is a table of all requests.
//!
//! | module | what |
//! |---|---|
//! | `filesystem` | requests: counted, delayed, answered |
//! | `delay` | the round trips |
//! | `backing`, `nodes`, `handles`, `attributes` | what is done in the folder below |
//! | `same_name`, `refused` | names that are one, as shares of other systems have them, and what those do not take |

#[cfg(target_os = "linux")]
mod attributes;
#[cfg(target_os = "linux")]
mod backing;
#[cfg(target_os = "linux")]
mod delay;
#[cfg(target_os = "linux")]
mod filesystem;
#[cfg(target_os = "linux")]
mod handles;
#[cfg(target_os = "linux")]
mod nodes;
#[cfg(target_os = "linux")]
mod refused;
#[cfg(target_os = "linux")]
mod same_name;
#[cfg(target_os = "linux")]
mod session;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use kopia_rs_benches::operations::Operation;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// Mounts a folder once more, with a delay for each request that would cross a network.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The folder that is passed through; what is mounted in it is left out.
    source: PathBuf,
    /// An empty folder.
    mountpoint: PathBuf,
    /// How long a round trip takes, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2.0, value_parser = milliseconds)]
    delay_ms: f64,
    /// Requests that cost no round trip.
    #[arg(long, value_delimiter = ',', value_name = "KIND,…", default_values_t = Operation::UNWAITED, hide_possible_values = true)]
    free: Vec<Operation>,
    /// How long names and attributes are believed, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1000.0, value_parser = milliseconds)]
    cached_ms: f64,
    /// The most KiB of one write.
    #[arg(long, value_name = "KIB", default_value_t = 128, value_parser = clap::value_parser!(u32).range(4..=1024))]
    max_write: u32,
    /// How many threads do what is due; any number of requests waits.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Let other users in, and have the kernel check what they may: one request more for each new file.
    #[arg(long)]
    for_all: bool,
    /// Find names by others that differ in nothing but this; what is there keeps its name.
    #[arg(long, value_delimiter = ',', value_name = "KIND,…")]
    folds: Vec<Folds>,
    /// Refuse what file systems of other systems do not take.
    #[arg(long, value_delimiter = ',', value_name = "KIND,…")]
    refuses: Vec<Refuses>,
    /// End with standard input, and write the counts as JSON, as for each of its lines: how the comparison runs it.
    #[arg(long)]
    attached: bool,
}

/// What makes no difference between names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Folds {
    /// Upper and lower case.
    Case,
    /// The Unicode normalization form.
    Form,
}

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Refuses {
    /// Names that Windows does not take, but for those of devices.
    Names,
    /// Symlinks.
    Links,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
fn run(args: &Args) -> Result<()> {
    session::run(args)
}

#[cfg(not(target_os = "linux"))]
fn run(_: &Args) -> Result<()> {
    Err("this program needs Linux".into())
}

fn milliseconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=60_000.0).contains(&number) => Ok(number),
        _ => Err("a number from 0 to 60000".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use kopia_rs_benches::operations::Operation;

    use super::Args;

    #[test]
    fn definitions_are_sound() {
        Args::command().debug_assert();
        let args = Args::parse_from(["delayed-fs", "--delay-ms", "0.5", "a", "b"]);
        assert_eq!((args.delay_ms, &*args.free), (0.5, &Operation::UNWAITED[..]));
        let args = Args::parse_from(["delayed-fs", "--free", "write,opendir", "a", "b"]);
        assert_eq!(args.free, [Operation::Write, Operation::Opendir]);
        assert!(Args::try_parse_from(["delayed-fs", "--delay-ms", "-1", "a", "b"]).is_err());
    }
}
