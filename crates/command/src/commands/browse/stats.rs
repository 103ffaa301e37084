//! `stats WHAT…`: what would be restored, and what it takes in the repository.

use std::collections::HashSet;
use std::io::Write;
use std::ops::ControlFlow;

use kopia_rs::usage::{Event, Totals, folders, stored};
use kopia_rs::{Entry, EntryKind, Snapshot};
use serde::Serialize;

use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{self, count, escape, log_line, log_problem, size, thousands};

/// What `--json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    /// Snapshots that were counted, and their sources.
    snapshots: u64,
    sources: u64,
    /// What restoring each of them would write.
    restored: Restored,
    /// Each thing counted once.
    different: Different,
    contents: u64,
    /// Bytes of contents before compression, and as they are stored.
    plain_bytes: u64,
    stored_bytes: u64,
    /// Those that hold directories and lists of large files.
    metadata_bytes: u64,
    problem_count: u64,
}

#[derive(Debug, Serialize)]
struct Restored {
    /// Files and links.
    files: u64,
    folders: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Different {
    files: u64,
    folders: u64,
}

pub(super) fn run(session: &Session, args: &args::Stats) -> Result<Exit, Failure> {
    let (roots, snapshots) = roots(session, args)?;
    let mut exit = Exit::Complete;
    let mut restored = Restored { files: 0, folders: 0, bytes: 0 };
    for root in &roots {
        let totals = totals(root, &mut exit);
        restored.files += totals.files;
        restored.folders += totals.directories;
        restored.bytes = restored.bytes.saturating_add(totals.bytes);
    }
    let stored = stored(&session.repository, &roots);
    for (object, defect) in stored.problems.iter().take(100) {
        log_line(format_args!("error: object {object}: {}", escape(&defect.to_string())));
    }
    if stored.problem_count > 0 {
        exit = Exit::Partial;
    }
    let sources: HashSet<String> = snapshots.iter().map(|snapshot| snapshot.source().to_string()).collect();
    let json = Json {
        snapshots: snapshots.len() as u64,
        sources: sources.len() as u64,
        restored,
        different: Different { files: stored.files, folders: stored.directories },
        contents: stored.contents,
        plain_bytes: stored.plain_bytes,
        stored_bytes: stored.stored_bytes,
        metadata_bytes: stored.metadata_bytes,
        problem_count: stored.problem_count,
    };
    let written = if session.json { output::json(&json) } else { text(&json) };
    exit.after(written)
}

/// Finds what is to be counted, and the snapshots that it is of.
fn roots(session: &Session, args: &args::Stats) -> Result<(Vec<Entry>, Vec<Snapshot>), Failure> {
    let (mut roots, mut of) = (Vec::new(), Vec::new());
    let wanted: Vec<_> = args.each().collect();
    if wanted.is_empty() {
        session.warn_of_gaps(None);
        let snapshots = session.admitted(&args.only)?;
        let is_wanted = |snapshot: &&Snapshot| args.incomplete || snapshot.is_complete();
        for snapshot in snapshots.iter().filter(is_wanted) {
            roots.push(snapshot.root()?);
            of.push(snapshot.clone());
        }
    }
    for what in wanted {
        let selection = session.select(&what)?;
        roots.push(selection.entry);
        of.extend(selection.snapshot);
    }
    Ok((roots, of))
}

/// What a restore of an entry writes.
fn totals(root: &Entry, exit: &mut Exit) -> Totals {
    if let Some(totals) = Totals::of_summary(root) {
        return totals;
    }
    let mut totals = Totals::default();
    if root.kind() != EntryKind::Directory {
        totals.files = 1;
        totals.bytes = if root.kind() == EntryKind::File { root.size() } else { 0 };
        return totals;
    }
    let _ = folders(root, 0, |event| {
        match event {
            Event::Folder(folder) => totals = folder.totals,
            Event::Problem { path, defect } => {
                *exit = Exit::Partial;
                log_problem(&path, defect);
            }
        }
        ControlFlow::Continue(())
    });
    totals
}

fn text(json: &Json) -> std::io::Result<()> {
    let mut out = output::out();
    let Json { restored, different, .. } = json;
    if json.snapshots > 0 {
        let sources = count(json.sources, "source", "sources");
        writeln!(out, "snapshots      {} of {sources}", thousands(json.snapshots))?;
    }
    let files = count(restored.files, "file", "files");
    let folders = count(restored.folders, "folder", "folders");
    writeln!(out, "to restore     {} in {files} and {folders}", size(restored.bytes))?;
    let files = count(different.files, "file", "files");
    let folders = count(different.folders, "folder", "folders");
    writeln!(out, "different      {files} and {folders}")?;
    let contents = count(json.contents, "content", "contents");
    writeln!(out, "deduplicated   {} in {contents}", size(json.plain_bytes))?;
    let percent = |part: u64, of: u64| if of == 0 { 100.0 } else { 100.0 * part as f64 / of as f64 };
    writeln!(
        out,
        "stored         {} ({:.1} % of that to restore), {} of it for folders",
        size(json.stored_bytes),
        percent(json.stored_bytes, restored.bytes),
        size(json.metadata_bytes),
    )?;
    out.flush()
}
