//! `du WHAT`: how much there is, folder by folder.

mod ncdu;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::ControlFlow;

use kopia_rs::select::Selection;
use kopia_rs::usage::{Event, Folder, Share, folders, shares};
use kopia_rs::{Entry, EntryKind};
use serde::Serialize;

use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{self, JsonLines, count, for_terminal, log_line, log_problem, size};

/// A folder as `--json` prints it, a line each.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// Below what was named; empty for all of it.
    path: &'a str,
    bytes: u64,
    /// Files and links.
    files: u64,
    folders: u64,
    /// Stored bytes that nothing else needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<u64>,
    /// Stored bytes that others need, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<u64>,
}

pub(super) fn run(session: &Session, args: &args::Du) -> Result<Exit, Failure> {
    let selection = session.select(&args.what)?;
    if selection.entry.kind() != EntryKind::Directory {
        return Err(Failure::failed(format!("{} is no folder", args.what.what))
            .hint("`kopia-rs ls -l` shows the size of a file"));
    }
    if args.ncdu {
        return ncdu::run(&selection);
    }
    let (mut exit, mut rows) = (Exit::Complete, Vec::new());
    let depth = if args.unique { 1 } else { args.depth };
    let _ = folders(&selection.entry, depth, |event| {
        match event {
            Event::Folder(folder) => rows.push(folder),
            Event::Problem { path, defect } => {
                exit = Exit::Partial;
                log_problem(&path, defect);
            }
        }
        ControlFlow::Continue(())
    });
    rows.sort_by_key(|folder| (folder.path.is_empty(), Reverse(folder.totals.bytes), folder.path.clone()));
    let shares = if args.unique { taken(session, &selection, &rows, &mut exit)? } else { HashMap::new() };
    let written = if session.json { json(&rows, &shares) } else { text(&rows, &shares) };
    exit.after(written)
}

/// Finds out what each folder, and all of them, take in the repository.
fn taken(
    session: &Session,
    selection: &Selection,
    rows: &[Folder],
    exit: &mut Exit,
) -> Result<HashMap<String, Share>, Failure> {
    let repository = &session.repository;
    let own = selection.snapshot.as_ref().map(|snapshot| snapshot.id().to_owned());
    let snapshots = session.snapshots()?;
    let mut others: Vec<Entry> = Vec::new();
    for snapshot in snapshots.iter().filter(|snapshot| Some(snapshot.id()) != own.as_deref()) {
        others.push(snapshot.root()?);
    }
    let below: Vec<&Folder> = rows.iter().filter(|folder| !folder.path.is_empty()).collect();
    let whole = shares(repository, std::slice::from_ref(&selection.entry), &others);
    // Files beside the folders may share with them.
    let beside = selection.entry.directory()?.entries.into_iter();
    others.extend(beside.filter(|entry| entry.kind() != EntryKind::Directory));
    let trees: Vec<Entry> = below.iter().map(|folder| folder.entry.clone()).collect();
    let each = shares(repository, &trees, &others);
    if whole.problem_count > 0 {
        *exit = Exit::Partial;
        let problems = count(whole.problem_count, "object cannot", "objects cannot");
        log_line(format_args!("error: {problems} be looked up; `kopia-rs verify` says more"));
    }
    let mut taken: HashMap<_, _> =
        below.iter().zip(each.each).map(|(folder, share)| (folder.path.clone(), share)).collect();
    taken.insert(String::new(), whole.all);
    Ok(taken)
}

fn json(rows: &[Folder], shares: &HashMap<String, Share>) -> io::Result<()> {
    let mut lines = JsonLines::new();
    for Folder { path, totals, .. } in rows {
        let share = shares.get(path);
        lines.push(&Json {
            path,
            bytes: totals.bytes,
            files: totals.files,
            folders: totals.directories,
            unique: share.map(|share| share.unique),
            shared: share.map(|share| share.shared),
        })?;
    }
    lines.flush()
}

fn text(rows: &[Folder], shares: &HashMap<String, Share>) -> io::Result<()> {
    let mut out = output::out();
    if !shares.is_empty() {
        writeln!(out, "{:>9}  {:>9}  {:>9}", "size", "unique", "shared")?;
    }
    for Folder { path, totals, .. } in rows {
        write!(out, "{:>9}  ", size(totals.bytes))?;
        match shares.get(path) {
            Some(share) => write!(out, "{:>9}  {:>9}  ", size(share.unique), size(share.shared))?,
            None => write!(out, "{:>14}  ", count(totals.files, "file", "files"))?,
        }
        let shown = if path.is_empty() { "." } else { &format!("{path}/") };
        writeln!(out, "{}", for_terminal(shown))?;
    }
    out.flush()
}
