//! The floor: what a restore costs that has nothing to find out and nothing to be careful about.
//!
//! Before its clock starts, everything is planned in memory: folders, files, and where every content lies.
//! The timed part reads, decodes and writes, each in the cheapest way known, and does nothing else: no check
//! of a target that may be hostile, no file kept out of sight until it is whole, no bound on memory. The
//! distance between a restore and its floor is what planning and care cost. `--half` measures writing or
//! decoding alone; together they cost more than the floor where one waits while the other works.
//!
//! The result is one line of JSON: wall seconds, processor seconds, files and bytes of the timed part.

mod files;
mod folders;
mod plan;
mod work;

use std::error::Error;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use kopia_codec::key::Password;
use kopia_format::Timestamp;
use kopia_repository::Repository;
use kopia_repository::select::Query;
use kopia_rs_benches::usage::Usage;
use kopia_storage::FilesystemStore;
use serde_json::json;

use plan::Plan;
use work::Job;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Measures the least that a restore of a snapshot costs. The password is taken from KOPIA_PASSWORD.
#[derive(Debug, Parser)]
struct Args {
    /// The folder of the repository.
    repository: PathBuf,
    /// What to restore, as `kopia-rs restore` takes it; it must be a folder.
    what: String,
    /// Where to: a folder that does not exist. Decoding alone leaves it alone.
    target: PathBuf,
    /// How many threads work; by default as many as there are cores for this process.
    #[arg(long)]
    workers: Option<NonZero<usize>>,
    /// Only the writing, of bytes that are in memory; or only the reading and decoding.
    #[arg(long)]
    half: Option<Half>,
}

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Half {
    /// Files are written with other bytes of the same lengths.
    Write,
    /// Nothing is written.
    Decode,
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

fn run(args: &Args) -> Result<()> {
    let password = std::env::var("KOPIA_PASSWORD").map_err(|error| format!("KOPIA_PASSWORD: {error}"))?;
    let repository = Repository::open(FilesystemStore::open(&args.repository)?, &Password::new(password))?;
    let now = Timestamp::default();
    let query = Query { name: &args.what, now, ..Query::default() };
    let root = repository.select(&query)?.entry;
    let workers = args.workers.map_or_else(thread::available_parallelism, Ok)?;

    let plan = Plan::new(&root, workers.get())?;
    let (files, bytes) = (plan.files, plan.bytes);
    files::allow_handles(plan.folders.len() + plan.large_files)?;
    let job = Job::new(&repository, plan, args.half);

    let (before, clock) = (Usage::of_self()?, Instant::now());
    job.run(&args.target, workers.get())?;
    // Closing what is still open belongs to it.
    drop(job);
    let (wall, after) = (clock.elapsed(), Usage::of_self()?);
    let cpu = after.cpu.saturating_sub(before.cpu);
    println!(
        "{}",
        json!({"wall_s": wall.as_secs_f64(), "cpu_s": cpu.as_secs_f64(), "files": files, "bytes": bytes})
    );
    Ok(())
}
