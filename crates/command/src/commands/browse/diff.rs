//! `diff WHAT OTHER`: what was added, removed and changed between two snapshots, or a snapshot and a folder.

mod folder;
mod report;
mod text;

use std::io::IsTerminal;
use std::ops::ControlFlow;

use kopia_rs::compare::{Event, compare};
use kopia_rs::diagnosis::Class;
use kopia_rs::history::{Track, sightings};
use kopia_rs::select::Selection;
use kopia_rs::{Entry, EntryKind, Snapshot};

use crate::args::{self, Other};
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{log_problem, short};
use crate::terminal::time;
use report::{Report, Row, Side};

pub(super) fn run(session: &Session, args: &args::Diff) -> Result<Exit, Failure> {
    let selection = session.select(&args.what)?;
    let (old, new) = match args.other() {
        Other::Folder(path) => return folder::run(session, args, &selection.entry, path),
        Other::What(what) => (selection, session.select(&what)?),
        Other::Before => (before(session, args, &selection)?, selection),
    };
    if std::io::stdout().is_terminal() {
        session.note(&format!("from {} to {}", describe(&old), describe(&new)));
    }
    let mut report = Report::new(session.json, args.summary, args.recursive);
    let mut exit = Exit::Complete;
    let _ = compare(&old.entry, &new.entry, args.recursive, |event| {
        let differing = match event {
            Event::Differs(differing) => differing,
            Event::Problem { path, defect } => {
                exit = Exit::Partial;
                log_problem(&path, defect);
                return ControlFlow::Continue(());
            }
        };
        let row = Row {
            path: &differing.path,
            old: differing.old.as_ref().map(Side::of),
            new: differing.new.as_ref().map(Side::of),
            changes: differing.changes,
        };
        report.push(&row)?;
        let (Some(old), Some(new)) = (&differing.old, &differing.new) else {
            return ControlFlow::Continue(());
        };
        if args.text && differing.changes.content && is_file(old) && is_file(new) {
            let shown = text::show(&mut report, &differing.path, text::read(old), text::read(new))?;
            if let Err(why) = shown {
                exit = Exit::Partial;
                log_problem(&differing.path, why);
            }
        }
        ControlFlow::Continue(())
    });
    report.finish(exit)
}

fn is_file(entry: &Entry) -> bool {
    entry.kind() == EntryKind::File
}

/// Finds the newest snapshot that is older than the one that is meant, and has the same path.
fn before(session: &Session, args: &args::Diff, selection: &Selection) -> Result<Selection, Failure> {
    let none = || {
        Failure::failed(format!("there is no snapshot of {} before this one", args.what.what))
            .with_class(Class::NotFound)
            .hint("name what it is to be compared with: kopia-rs diff WHAT OTHER")
    };
    let newer = selection.snapshot.as_ref().ok_or_else(none)?;
    let track = Track { source: newer.source().clone(), path: selection.path.clone() };
    let snapshots = session.snapshots()?;
    let is_older = |snapshot: &&Snapshot| {
        (args.what.incomplete || snapshot.is_complete()) && snapshot.start_time() < newer.start_time()
    };
    let mut seen = sightings(&session.repository, snapshots.iter().filter(is_older), &[track]);
    while let Some(sighting) = seen.pop() {
        if let Some(entry) = sighting.entry.map_err(|defect| Failure::of_defect(&defect))? {
            let (snapshot, path) = (Some(sighting.snapshot), sighting.path);
            return Ok(Selection { snapshot, entry, path, passed_over: None });
        }
    }
    Err(none())
}

fn describe(selection: &Selection) -> String {
    match &selection.snapshot {
        Some(snapshot) => {
            let time = time::local(snapshot.start_time(), "%Y-%m-%d %H:%M:%S");
            format!("{} of {time}", short(snapshot.id()))
        }
        None => selection.entry.object().to_string(),
    }
}
