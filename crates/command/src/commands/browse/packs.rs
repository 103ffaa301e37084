//! `packs WHAT...`: what a restore reads: packs, ranges, bytes, requests, and about how long that takes.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use kopia_rs::diagnosis::Class;
use kopia_rs::restore::{Options, Plan};
use kopia_rs::usage::{PackRead, metadata_packs};
use kopia_rs::{BlobId, Entry, Repository};
use serde::Serialize;

use crate::args;
use crate::commands::several;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::session::needed::{planned, reading};
use crate::terminal::output::{self, Out, count, escape, log_line, size};

/// How much is read of a pack to find out how fast the store is, in bytes.
const SAMPLE: u64 = 4 << 20;

/// How many problems are named.
const NAMED: usize = 100;

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

/// What restores of several things read, one after the other.
#[derive(Debug, Default)]
struct Sum {
    file_count: u64,
    file_bytes: u64,
    /// What is read of each pack for files, and for folders.
    files: Vec<PackRead>,
    folders: Vec<PackRead>,
    reads: u64,
    bytes: u64,
    left_out: u64,
    problem_count: u64,
}

impl Sum {
    fn add(&mut self, plan: &Plan, root: &Entry, options: &Options) -> Result<(), Failure> {
        let figures = plan.figures()?;
        let room = NAMED.saturating_sub(usize::try_from(self.problem_count).unwrap_or(usize::MAX));
        for problem in figures.problems.iter().take(room) {
            log_line(format_args!("error: {}", escape(&problem.to_string())));
        }
        merge(&mut self.files, plan.packs(&figures)?);
        merge(&mut self.folders, metadata_packs(root.repository(), root, options.chosen.as_ref()));
        self.file_count += figures.files;
        self.file_bytes += figures.bytes;
        self.reads += figures.ranges + figures.metadata_reads;
        self.bytes += figures.bytes_to_read + figures.metadata_bytes;
        self.left_out += figures.left_out;
        self.problem_count += figures.problem_count;
        Ok(())
    }
}

/// Adds what is read of packs to what is read of them already; both are sorted by name.
fn merge(packs: &mut Vec<PackRead>, others: Vec<PackRead>) {
    for other in others {
        match packs.binary_search_by(|pack| pack.blob.cmp(&other.blob)) {
            Ok(place) => {
                packs[place].ranges += other.ranges;
                packs[place].bytes += other.bytes;
            }
            Err(place) => packs.insert(place, other),
        }
    }
}

pub(super) fn run(session: &Session, args: &args::Packs) -> Result<Exit, Failure> {
    let repository = &session.repository;
    if repository.server().is_some() {
        return Err(Failure::failed("the repository is behind a server, which shows no packs")
            .with_class(Class::Unsupported));
    }
    let selections = several::select(session, &args.what.each())?;
    let roots: Vec<_> = selections.iter().map(|selection| &selection.entry).collect();
    let options = reading(session.chosen(&args.patterns, &roots)?);
    let mut sum = Sum::default();
    for root in roots {
        match planned(repository, root, &options)? {
            Ok(plan) => sum.add(&plan, root, &options)?,
            Err(cold) => return Err(session.archive.foresee(repository.store(), &cold)),
        }
    }
    let Sum { files, folders, reads, bytes, .. } = sum;
    let exit = if sum.problem_count == 0 { Exit::Complete } else { Exit::Partial };
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
        files: sum.file_count,
        bytes: sum.file_bytes,
        pack_count: names.len() as u64,
        reads,
        bytes_to_read: bytes,
        seconds,
        packs: packs.collect(),
        left_out: sum.left_out,
        problem_count: sum.problem_count,
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
