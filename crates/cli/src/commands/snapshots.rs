//! `snapshots [SOURCE]`: what was backed up, and when.

use std::io::{self, Write};

use kopia_rs::{Snapshot, Snapshots, Summary};

use crate::args;
use crate::error::{Exit, Failure};
use crate::output::{self, JsonArray, count, shown, size};
use crate::session::Session;
use crate::time;

pub(crate) fn run(session: &Session, args: &args::Snapshots) -> Result<Exit, Failure> {
    let snapshots = session.repository.snapshots()?;
    let chosen = choose(&snapshots, args)?;
    if session.json {
        let mut array = JsonArray::new();
        chosen.iter().try_for_each(|snapshot| array.push(snapshot.manifest())).map_err(Failure::output)?;
        array.finish().map_err(Failure::output)?;
        return Ok(Exit::Complete);
    }
    let incomplete = |snapshot: &&&Snapshot| snapshot.manifest().incomplete().is_some();
    let hidden = if args.incomplete { 0 } else { chosen.iter().filter(incomplete).count() };
    let visible: Vec<_> =
        chosen.iter().filter(|snapshot| args.incomplete || !incomplete(snapshot)).copied().collect();
    list(&visible).map_err(Failure::output)?;
    match (chosen.len(), hidden) {
        (0, _) => session.note("the repository holds no snapshots"),
        (_, 0) => {}
        (_, hidden) => {
            let what = count(hidden as u64, "unfinished snapshot is", "unfinished snapshots are");
            session.note(&format!("{what} not shown; --incomplete shows all"));
        }
    }
    Ok(Exit::Complete)
}

fn choose<'s>(snapshots: &'s Snapshots, args: &args::Snapshots) -> Result<Vec<&'s Snapshot>, Failure> {
    let Some(source) = &args.source else { return Ok(snapshots.iter().collect()) };
    // A folder may be written with `/` at its end.
    let path = match source.path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let same = |snapshot: &&Snapshot| {
        let other = snapshot.source();
        (&other.user, &other.host) == (&source.user, &source.host)
            && (other.path == source.path || other.path == path)
    };
    let chosen: Vec<_> = snapshots.iter().filter(same).collect();
    if chosen.is_empty() {
        let candidates = snapshots.sources().iter().map(ToString::to_string).collect();
        let what = format!("snapshot of {source}");
        return Err(kopia_rs::Error::NotFound { what, candidates }.into());
    }
    Ok(chosen)
}

fn list(snapshots: &[&Snapshot]) -> io::Result<()> {
    let mut out = output::out();
    let mut source = None;
    for snapshot in snapshots {
        if source != Some(snapshot.source()) {
            let gap = if source.is_some() { "\n" } else { "" };
            writeln!(out, "{gap}{}", shown(&snapshot.source().to_string()))?;
            source = Some(snapshot.source());
        }
        let time = time::local(snapshot.start_time(), "%Y-%m-%d %H:%M:%S %Z");
        let (bytes, files) = totals(snapshot);
        let files = count(files, "file", "files");
        let line = format!("  {time}  {}  {:>9}  {files:>13}{}", snapshot.id(), size(bytes), notes(snapshot));
        writeln!(out, "{}", shown(&line))?;
        for line in snapshot.manifest().summary().map(failed).unwrap_or_default() {
            writeln!(out, "      {}", shown(&line))?;
        }
    }
    out.flush()
}

/// Bytes and files, from the root's summary or, in old repositories, from what the backup counted.
fn totals(snapshot: &Snapshot) -> (u64, u64) {
    let manifest = snapshot.manifest();
    let (bytes, files) = match manifest.summary() {
        Some(summary) => (summary.size, summary.files),
        None => (manifest.stats().total_size, manifest.stats().file_count),
    };
    (bytes.try_into().unwrap_or_default(), files.try_into().unwrap_or_default())
}

/// What is special about a snapshot.
fn notes(snapshot: &Snapshot) -> String {
    let manifest = snapshot.manifest();
    let mut notes = Vec::new();
    notes.extend(snapshot.is_deleted().then(|| "deleted".to_owned()));
    notes.extend(manifest.incomplete().map(|reason| format!("incomplete: {reason}")));
    notes.extend(manifest.pins().iter().map(|pin| format!("pin {pin}")));
    let tag =
        |(key, value): (&String, &String)| format!("{}:{value}", key.strip_prefix("tag:").unwrap_or(key));
    notes.extend(manifest.tags().iter().map(tag));
    notes
        .extend(Some(manifest.description()).filter(|text| !text.is_empty()).map(|text| format!("{text:?}")));
    notes.iter().map(|note| format!("  {note}")).collect()
}

/// Says what the backup could not read: the number, then the names that kopia kept.
pub(crate) fn failed(summary: &Summary) -> Vec<String> {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let mut lines = Vec::new();
    let counts = [
        (summary.failed, count(number(summary.failed), "failed file", "failed files")),
        (summary.ignored_errors, count(number(summary.ignored_errors), "ignored error", "ignored errors")),
    ];
    let counts: Vec<_> = counts.into_iter().filter(|(number, _)| *number > 0).map(|(_, text)| text).collect();
    if counts.is_empty() {
        return lines;
    }
    let colon = if summary.errors.is_empty() { "" } else { ":" };
    lines.push(format!("made with {}{colon}", counts.join(" and ")));
    lines.extend(summary.errors.iter().map(|failed| format!("  {}: {}", failed.path, failed.error)));
    let unnamed =
        (number(summary.failed) + number(summary.ignored_errors)).saturating_sub(summary.errors.len() as u64);
    if unnamed > 0 && !summary.errors.is_empty() {
        lines.push(format!("  … and {unnamed} more, whose names kopia did not keep"));
    }
    lines
}
