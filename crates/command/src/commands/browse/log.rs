//! `log PATH`: all versions of a path, newest first.

use std::io::{self, Write};

use kopia_rs::compare::Changes;
use kopia_rs::diagnosis::Class;
use kopia_rs::history::{Sighting, Span, sightings, versions};
use kopia_rs::{EntryKind, Snapshot, Summary};
use serde::Serialize;

use super::entries;
use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{self, JsonLines, count, for_terminal, log_problem, size};
use crate::terminal::time;

/// One version as `--json` prints it, a line each; without a version where the path is not there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    version: Option<u32>,
    #[serde(flatten)]
    entry: Option<entries::Json<'a>>,
    source: String,
    /// What changed from the version before.
    changed: Vec<&'static str>,
    /// How many bytes it has more than the version before.
    #[serde(skip_serializing_if = "Option::is_none")]
    grown: Option<i128>,
    /// How many snapshots have it.
    snapshots: u64,
    first: In<'a>,
    last: In<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct In<'a> {
    snapshot: &'a str,
    start_time: String,
}

impl<'a> From<&'a Snapshot> for In<'a> {
    fn from(snapshot: &'a Snapshot) -> Self {
        Self { snapshot: snapshot.id(), start_time: snapshot.start_time().to_string() }
    }
}

pub(super) fn run(session: &Session, args: &args::Log) -> Result<Exit, Failure> {
    let snapshots = session.admitted(&args.only)?;
    let tracks = session.tracks(&snapshots, &args.what)?;
    session.warn_of_gaps(tracks.first().map(|track| &track.source));
    let wanted = |snapshot: &&Snapshot| args.incomplete || snapshot.is_complete();
    let seen = sightings(&session.repository, snapshots.iter().filter(wanted), &tracks);
    let exit = report(&seen);
    let spans = versions(&seen);
    if spans.is_empty() {
        let looked = count(seen.len() as u64, "snapshot has", "snapshots have");
        return Err(Failure::failed(format!("none of {looked} {}", args.what))
            .with_class(Class::NotFound)
            .hint("`kopia-rs find NAME` looks for a name in all snapshots"));
    }
    if session.json { json(&spans) } else { text(&args.what, &spans, &seen) }.map_err(Failure::output)?;
    Ok(exit)
}

/// Tells of snapshots in which the path cannot be read.
fn report(seen: &[Sighting]) -> Exit {
    let mut exit = Exit::Complete;
    for Sighting { snapshot, path, entry } in seen {
        if let Err(defect) = entry {
            exit = Exit::Partial;
            log_problem(&format!("{}/{path}", output::short(snapshot.id())), defect);
        }
    }
    exit
}

/// Returns the version before each.
fn before(spans: &[Span], number: usize) -> Option<&Span> {
    spans[..number].iter().rev().find(|span| span.version.is_some())
}

fn json(spans: &[Span]) -> io::Result<()> {
    let mut lines = JsonLines::new();
    for (number, span) in spans.iter().enumerate().rev() {
        let (changed, grown) = changes(spans, number);
        lines.push(&Json {
            version: span.version,
            entry: span
                .entry
                .as_ref()
                .map(|entry| entries::Json::new(&span.path, entry, entries::target(entry).ok().flatten())),
            source: span.last.source().to_string(),
            changed: changed.words().collect(),
            grown,
            snapshots: span.snapshots,
            first: (&span.first).into(),
            last: (&span.last).into(),
        })?;
    }
    lines.flush()
}

/// Compares a version with the one before it.
fn changes(spans: &[Span], number: usize) -> (Changes, Option<i128>) {
    let old = before(spans, number).and_then(|span| span.entry.as_ref());
    let (Some(old), Some(new)) = (old, &spans[number].entry) else { return (Changes::default(), None) };
    (Changes::between(old, new), Some(i128::from(bytes(new)) - i128::from(bytes(old))))
}

/// The size of a file, or of what is below a directory, as far as that says.
fn bytes(entry: &kopia_rs::Entry) -> u64 {
    let below = |summary: &Summary| u64::try_from(summary.size).unwrap_or_default();
    match entry.kind() {
        EntryKind::Directory => entry.summary().map_or(0, below),
        EntryKind::File | EntryKind::Symlink => entry.size(),
    }
}

fn text(path: &str, spans: &[Span], seen: &[Sighting]) -> io::Result<()> {
    let mut out = output::out();
    let number = spans.iter().filter(|span| span.version.is_some()).count() as u64;
    let snapshots = count(seen.len() as u64, "snapshot", "snapshots");
    let versions = count(number, "version", "versions");
    writeln!(out, "{}: {versions} in {snapshots}", for_terminal(path))?;
    writeln!(out, " No  modified               size  changed        newest snapshot             in")?;
    for (number, span) in spans.iter().enumerate().rev() {
        let when = time::local(span.last.start_time(), "%Y-%m-%d %H:%M");
        let newest = format!("{}  {when}  {:>3}", output::short(span.last.id()), span.snapshots);
        match (&span.entry, span.version) {
            (Some(entry), Some(version)) => {
                let modified = time::local(entry.modified(), "%Y-%m-%d %H:%M");
                let (size, changed) = (size(bytes(entry)), describe(spans, number));
                writeln!(out, "{version:>3}  {modified}  {size:>9}  {changed:<13}  {newest}")?;
            }
            _ => writeln!(out, "  -  {:<16}  {:>9}  {:<13}  {newest}", "not there", "", "")?,
        }
    }
    out.flush()
}

/// Says in a few letters what changed.
fn describe(spans: &[Span], number: usize) -> String {
    if before(spans, number).is_none() {
        return "first".into();
    }
    let (changes, grown) = changes(spans, number);
    let amount = match grown.unwrap_or_default() {
        0 => "content".to_owned(),
        grown => {
            let sign = if grown < 0 { '-' } else { '+' };
            format!("{sign}{}", size(u64::try_from(grown.unsigned_abs()).unwrap_or(u64::MAX)))
        }
    };
    // New bytes come with a new time.
    let words = changes.words().filter(|word| !(*word == "time" && changes.content));
    let words: Vec<&str> = words.map(|word| if word == "content" { &*amount } else { word }).collect();
    if words.is_empty() { "back again".into() } else { words.join(" ") }
}
