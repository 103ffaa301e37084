//! `packs WHAT`: what a restore reads: packs, ranges, bytes, requests, and about how long that takes.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use kopia_rs::usage::{PackRead, metadata_packs};
use kopia_rs::{BlobId, Repository};
use serde::Serialize;

use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::session::needed::{planned, reading};
use crate::terminal::output::{self, Out, count, escape, log_line, size};

/// How much is read of a pack to find out how fast the store is, in bytes.
const SAMPLE: u64 = 4 << 20;

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    /// What a restore writes.
    files: u64,
    bytes: u64,
    /// Different packs.
    pack_count: u64,
    /// Reads of packs, as the restore makes them, and their bytes.
    reads: u64,
    bytes_to_read: u64,
    /// About how long reading takes, as measured on one range; none where nothing is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// All packs that are needed, by name.
    packs: Vec<Pack>,
    /// What --include and --exclude do not take.
    left_out: u64,
    problem_count: u64,
}

#[derive(Debug, Serialize)]
struct Pack {
    blob: String,
    /// `files`, or `folders` for directories and lists of large files.
    holds: &'static str,
    ranges: u64,
    bytes: u64,
}

pub(super) fn run(session: &Session, args: &args::Packs) -> Result<Exit, Failure> {
    let repository = &session.repository;
    if repository.server().is_some() {
        return Err(Failure::failed("the repository is behind a server, which shows no packs"));
    }
    let selection = session.select(&args.what)?;
    let chosen = session.chosen(&args.patterns, &[&selection.entry])?;
    let plan = match planned(repository, &selection.entry, &reading(chosen.clone()))? {
        Ok(plan) => plan,
        Err(cold) => return Err(session.archive.foresee(repository.store(), &cold)),
    };
    let figures = plan.figures()?;
    for problem in figures.problems.iter().take(100) {
        log_line(format_args!("error: {}", escape(&problem.to_string())));
    }
    let exit = if figures.problem_count == 0 { Exit::Complete } else { Exit::Partial };
    let files = plan.packs(&figures)?;
    let folders = metadata_packs(repository, &selection.entry, chosen.as_ref());
    let reads = figures.ranges + figures.metadata_reads;
    let bytes = figures.bytes_to_read + figures.metadata_bytes;
    let pace = files.iter().max_by_key(|pack| pack.bytes).map(|pack| Pace::measure(repository, pack));
    let pace = pace.transpose().map_err(Failure::from)?;
    let seconds = pace.map(|pace| pace.seconds(repository, reads, bytes));
    let names: BTreeSet<&BlobId> = folders.iter().chain(&files).map(|pack| &pack.blob).collect();
    let of = |holds| {
        move |pack: &PackRead| Pack {
            blob: pack.blob.to_string(),
            holds,
            ranges: pack.ranges,
            bytes: pack.bytes,
        }
    };
    let packs = folders.iter().map(of("folders")).chain(files.iter().map(of("files")));
    let json = Json {
        files: figures.files,
        bytes: figures.bytes,
        pack_count: names.len() as u64,
        reads,
        bytes_to_read: bytes,
        seconds,
        packs: packs.collect(),
        left_out: figures.left_out,
        problem_count: figures.problem_count,
    };
    let written = if session.json { output::json(&json) } else { text(output::out(), &json, args) };
    exit.after(written)
}

fn text(mut out: Out, json: &Json, args: &args::Packs) -> io::Result<()> {
    if args.long {
        for Pack { blob, holds, ranges, bytes } in &json.packs {
            writeln!(out, "{blob:<50}  {holds:<7}  {ranges:>6}  {:>9}", size(*bytes))?;
        }
    }
    let files = count(json.files, "file", "files");
    writeln!(out, "a restore writes {} in {files}", size(json.bytes))?;
    writeln!(
        out,
        "and reads {} of {} by {}",
        size(json.bytes_to_read),
        count(json.pack_count, "pack", "packs"),
        count(json.reads, "request", "requests"),
    )?;
    if let Some(line) = args.patterns.left_out(json.left_out) {
        writeln!(out, "{line}")?;
    }
    if let Some(seconds) = json.seconds {
        writeln!(out, "reading takes about {seconds:.1} s here, judging by one range")?;
    }
    out.flush()
}

/// How fast one read was.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Until the first byte of a read.
    wait: Duration,
    /// Of a read of so many bytes, the rest.
    transfer: Duration,
    bytes: u64,
}

impl Pace {
    /// Reads one byte of a pack, then a range.
    fn measure(repository: &Repository, pack: &PackRead) -> Result<Self, kopia_rs::Error> {
        let store = repository.store();
        let length = store.length(&pack.blob)?;
        let start = Instant::now();
        store.read_range(&pack.blob, 0, 1.min(length) as usize, Vec::new())?;
        let wait = start.elapsed();
        let bytes = SAMPLE.min(length);
        let start = Instant::now();
        store.read_range(&pack.blob, 0, bytes as usize, Vec::new())?;
        Ok(Self { wait, transfer: start.elapsed().saturating_sub(wait), bytes })
    }

    /// Returns about how long reads take of which many are under way at once: they wait beside each other, but
    /// share the line.
    fn seconds(self, repository: &Repository, reads: u64, bytes: u64) -> f64 {
        let at_once = if repository.contents().is_far() { 16.0 } else { 1.0 };
        let transfer = self.transfer.as_secs_f64() / self.bytes.max(1) as f64;
        reads as f64 * self.wait.as_secs_f64() / at_once + bytes as f64 * transfer
    }
}
