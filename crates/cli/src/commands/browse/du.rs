//! `du WHAT...`: how much there is, folder by folder.

mod ncdu;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::ops::ControlFlow;

use kopia_rs::diagnosis::Class;
use kopia_rs::select::Selection;
use kopia_rs::usage::{Event, Folder, Share, Totals, folders, shares};
use kopia_rs::{Entry, EntryKind};
use serde::Serialize;

use crate::args;
use crate::commands::several::{self, joined};
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

/// What is shown of a folder.
struct Row {
    /// Empty for all that was named.
    path: String,
    /// Nothing for the sum of several.
    entry: Option<Entry>,
    totals: Totals,
    /// Whether it was named, and does not just lie in what was.
    is_named: bool,
}

pub(super) fn run(session: &Session, args: &args::Du) -> Result<Exit, Failure> {
    let whats = args.what.each();
    let selections = several::select(session, &whats)?;
    for (selection, what) in selections.iter().zip(&whats) {
        if selection.entry.kind() != EntryKind::Directory {
            return Err(Failure::failed(format!("{} is no folder", what.what))
                .with_class(Class::Usage)
                .hint("`kopia-rs ls -l` shows the size of a file"));
        }
    }
    match &selections[..] {
        [selection] if args.ncdu => return ncdu::run(selection),
        _ if args.ncdu => return Err(Failure::usage("ncdu shows one tree: --ncdu takes one WHAT")),
        _ => {}
    }
    let names = several::names(&whats, &selections)?;
    let (mut exit, mut rows) = (Exit::Complete, Vec::new());
    // Of several, each is compared with the others.
    let unique = usize::from(selections.len() == 1);
    let depth = if args.unique { unique } else { args.depth };
    for (selection, name) in selections.iter().zip(names) {
        add(&selection.entry, name.as_deref(), depth, &mut rows, &mut exit);
    }
    rows.sort_by_key(|folder| (folder.path.is_empty(), Reverse(folder.totals.bytes), folder.path.clone()));
    let shares = if args.unique { taken(session, &selections, &rows, &mut exit)? } else { HashMap::new() };
    if let [_, _, ..] = &selections[..] {
        rows.push(sum(&rows));
    }
    let written = if session.json { json(&rows, &shares) } else { text(&rows, &shares) };
    exit.after(written)
}

/// Adds a folder and those in it, below its name if it is one of several.
fn add(root: &Entry, name: Option<&str>, depth: usize, rows: &mut Vec<Row>, exit: &mut Exit) {
    let path = |path: &str| joined(name.unwrap_or_default(), path).into_owned();
    let _ = folders(root, depth, |event| {
        match event {
            Event::Folder(Folder { path: below, entry, totals, .. }) => {
                let is_named = below.is_empty();
                rows.push(Row { path: path(&below), entry: Some(entry), totals, is_named });
            }
            Event::Problem { path: below, defect } => {
                *exit = Exit::Partial;
                log_problem(&path(&below), defect);
            }
        }
        ControlFlow::Continue(())
    });
}

/// Adds up all that was named.
fn sum(rows: &[Row]) -> Row {
    let mut totals = Totals::default();
    for row in rows.iter().filter(|row| row.is_named) {
        totals.files += row.totals.files;
        totals.directories += row.totals.directories + 1;
        totals.bytes += row.totals.bytes;
    }
    Row { path: String::new(), entry: None, totals, is_named: false }
}

/// Finds out what each folder, and all of them, take in the repository.
fn taken(
    session: &Session,
    selections: &[Selection],
    rows: &[Row],
    exit: &mut Exit,
) -> Result<HashMap<String, Share>, Failure> {
    let repository = &session.repository;
    let own: HashSet<_> = selections
        .iter()
        .filter_map(|selection| selection.snapshot.as_ref())
        .map(|snapshot| snapshot.id().to_owned())
        .collect();
    let snapshots = session.snapshots()?;
    let mut others: Vec<Entry> = Vec::new();
    for snapshot in snapshots.iter().filter(|snapshot| !own.contains(snapshot.id())) {
        others.push(snapshot.root()?);
    }
    let below: Vec<&Row> = rows.iter().filter(|row| !row.path.is_empty()).collect();
    let roots: Vec<Entry> = selections.iter().map(|selection| selection.entry.clone()).collect();
    let whole = shares(repository, &roots, &others);
    if let [root] = &roots[..] {
        // Files beside the folders may share with them.
        let beside = root.directory()?.entries.into_iter();
        others.extend(beside.filter(|entry| entry.kind() != EntryKind::Directory));
    }
    let trees: Vec<Entry> = below.iter().filter_map(|row| row.entry.clone()).collect();
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

fn json(rows: &[Row], shares: &HashMap<String, Share>) -> io::Result<()> {
    let mut lines = JsonLines::new();
    for Row { path, totals, .. } in rows {
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

fn text(rows: &[Row], shares: &HashMap<String, Share>) -> io::Result<()> {
    let mut out = output::out();
    if !shares.is_empty() {
        writeln!(out, "{:>9}  {:>9}  {:>9}", "size", "unique", "shared")?;
    }
    for Row { path, totals, .. } in rows {
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
