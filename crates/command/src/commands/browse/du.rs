//! `du WHAT...`: how much there is, folder by folder.

mod ncdu;

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::rc::Rc;

use kopia_rs::diagnosis::Class;
use kopia_rs::select::Selection;
use kopia_rs::usage::{Event, Folder, Share, Totals, folders, shares};
use kopia_rs::{Entry, EntryKind, Trail};
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

/// How many bytes of memory the rows take at most.
const MAX_ROWS: usize = 512 << 20;

/// What is shown of a folder.
struct Row {
    /// What was named, if it is one of several.
    what: Option<Rc<str>>,
    /// Where it lies below that; nothing for the sum of several.
    trail: Option<Trail>,
    /// What is to be looked up in the repository.
    entry: Option<Entry>,
    totals: Totals,
}

impl Row {
    /// Returns its path, which is empty for all that was named.
    fn path(&self) -> String {
        let below = self.trail.as_ref().map(|trail| trail.path_of("")).unwrap_or_default();
        joined(self.what.as_deref().unwrap_or_default(), &below).into_owned()
    }

    /// Returns whether it was named, and does not just lie in what was.
    fn is_named(&self) -> bool {
        self.trail.as_ref().is_some_and(|trail| trail.depth() == 0)
    }

    /// Returns whether it is all that was named.
    fn is_all(&self) -> bool {
        self.what.as_deref().unwrap_or_default().is_empty() && self.is_named()
    }

    /// Compares in the order in which rows are shown.
    fn order(&self, other: &Self) -> Ordering {
        let paths = || match (&self.trail, &other.trail) {
            (Some(one), Some(next)) if self.what == other.what => one.cmp_path(next),
            _ => self.path().cmp(&other.path()),
        };
        let sizes = || other.totals.bytes.cmp(&self.totals.bytes);
        self.is_all().cmp(&other.is_all()).then_with(sizes).then_with(paths)
    }
}

/// What is shown, as far as there is room for it.
struct Rows {
    list: Vec<Row>,
    /// How many bytes of memory are left.
    room: usize,
}

impl Rows {
    /// Adds a row, and stops where there are too many.
    fn push(&mut self, row: Row) -> ControlFlow<()> {
        // A folder that lies in another one has a trail of its name.
        let name = row.trail.as_ref().map_or(0, |trail| trail.name().len());
        let bytes = size_of::<Row>() + 128 + name + row.entry.as_ref().map_or(0, Entry::memory);
        match self.room.checked_sub(bytes) {
            Some(room) => self.room = room,
            None => return ControlFlow::Break(()),
        }
        self.list.push(row);
        ControlFlow::Continue(())
    }
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
    let (mut exit, mut rows) = (Exit::Complete, Rows { list: Vec::new(), room: MAX_ROWS });
    // Of several, each is compared with the others.
    let unique = usize::from(selections.len() == 1);
    let depth = if args.unique { unique } else { args.depth };
    for (selection, name) in selections.iter().zip(names) {
        let keep = (depth, args.unique);
        if add(&selection.entry, name.as_deref(), keep, &mut rows, &mut exit).is_break() {
            let why = format!("the folders that are to be shown take more than {MAX_ROWS} bytes of memory");
            return Err(Failure::failed(why)
                .with_class(Class::Unsupported)
                .hint("a lower --depth shows fewer"));
        }
    }
    let mut rows = rows.list;
    rows.sort_by(Row::order);
    let shares = if args.unique { taken(session, &selections, &rows, &mut exit)? } else { HashMap::new() };
    if let [_, _, ..] = &selections[..] {
        rows.push(sum(&rows));
    }
    let written = if session.json { json(&rows, &shares) } else { text(&rows, &shares) };
    exit.after(written)
}

/// Adds a folder and those in it down to a depth, below its name if it is one of several; with entries if these
/// are looked up later.
fn add(
    root: &Entry,
    name: Option<&str>,
    (depth, with_entries): (usize, bool),
    rows: &mut Rows,
    exit: &mut Exit,
) -> ControlFlow<()> {
    let what: Option<Rc<str>> = name.map(Into::into);
    folders(root, depth, |event| match event {
        Event::Folder(Folder { trail, entry, totals, .. }) => {
            let (what, entry) = (what.clone(), with_entries.then_some(entry));
            rows.push(Row { what, trail: Some(trail), entry, totals })
        }
        Event::Problem { path: below, defect } => {
            *exit = Exit::Partial;
            log_problem(&joined(name.unwrap_or_default(), &below), defect);
            ControlFlow::Continue(())
        }
    })
}

/// Adds up all that was named.
fn sum(rows: &[Row]) -> Row {
    let mut totals = Totals::default();
    for row in rows.iter().filter(|row| row.is_named()) {
        totals.files += row.totals.files;
        totals.directories += row.totals.directories + 1;
        totals.bytes += row.totals.bytes;
    }
    Row { what: None, trail: None, entry: None, totals }
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
    let below: Vec<&Row> = rows.iter().filter(|row| !row.is_all()).collect();
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
        below.iter().zip(each.each).map(|(folder, share)| (folder.path(), share)).collect();
    taken.insert(String::new(), whole.all);
    Ok(taken)
}

fn json(rows: &[Row], shares: &HashMap<String, Share>) -> io::Result<()> {
    let mut lines = JsonLines::new();
    for row in rows {
        let (path, totals) = (row.path(), &row.totals);
        let share = shares.get(&path);
        lines.push(&Json {
            path: &path,
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
    for row in rows {
        let (path, totals) = (row.path(), &row.totals);
        write!(out, "{:>9}  ", size(totals.bytes))?;
        match shares.get(&path) {
            Some(share) => write!(out, "{:>9}  {:>9}  ", size(share.unique), size(share.shared))?,
            None => write!(out, "{:>14}  ", count(totals.files, "file", "files"))?,
        }
        let shown = if path.is_empty() { "." } else { &format!("{path}/") };
        writeln!(out, "{}", for_terminal(shown))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(what: Option<&str>, path: &[&str], bytes: u64) -> Row {
        let trail = path.iter().fold(Trail::root(None), |trail, name| trail.child(name, None));
        let totals = Totals { bytes, ..Totals::default() };
        Row { what: what.map(Into::into), trail: Some(trail), entry: None, totals }
    }

    #[test]
    fn the_largest_come_first_then_those_of_the_lowest_paths_and_all_of_it_last() {
        let mut rows =
            [row(None, &[], 9), row(None, &["b"], 1), row(None, &["a", "x"], 1), row(None, &["c"], 2)];
        rows.sort_by(Row::order);
        assert_eq!(rows.map(|row| row.path()), ["c", "a/x", "b", ""]);
        let mut rows = [row(Some("b"), &[], 1), row(Some("a/b"), &["x"], 1), row(Some("a"), &["b", "a"], 1)];
        rows.sort_by(Row::order);
        assert_eq!(rows.map(|row| row.path()), ["a/b/a", "a/b/x", "b"]);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut rows = Rows { list: Vec::new(), room: 10_000 };
        let long = "n".repeat(4000);
        assert!(rows.push(row(None, &[&long, "a"], 0)).is_continue(), "its path is not its own");
        assert!(rows.push(row(None, &["a", &long], 0)).is_continue());
        assert!(rows.push(row(None, &["b", &long], 0)).is_continue());
        assert!(rows.push(row(None, &["c", &long], 0)).is_break());
        assert_eq!(rows.list.len(), 3);
    }
}
