//! A snapshot and a folder of this machine.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::path::Path;

use kopia_rs::compare::Changes;
use kopia_rs::diagnosis::Class;
use kopia_rs::restore::{self, Action, Change, Existing, Options};
use kopia_rs::{Entry, EntryKind};

use super::report::{Report, Row, Side};
use super::text;
use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;
use crate::terminal::output::{escape, log_line, log_problem};

/// Compares an entry with a folder, which is taken for the newer side.
pub(super) fn run(session: &Session, args: &args::Diff, entry: &Entry, path: &Path) -> Result<Exit, Failure> {
    if entry.kind() == EntryKind::Directory && !path.is_dir() {
        return Err(Failure::failed(format!("{} is no folder", path.display()))
            .with_class(Class::Usage)
            .hint("a source of the repository is named user@host:/path"));
    }
    let mut options = Options::default();
    options.delete_extra = true;
    options.existing = if args.checksum { Existing::Verify } else { Existing::Skip };
    let mut report = Report::new(session.json, args.summary, args.recursive);
    let (mut exit, mut stopped) = (Exit::Complete, false);
    // Hashes of the paths of folders that the machine lacks, so that what is in them need not be told: paths of a
    // deep tree would take gigabytes.
    let (mut lacking, hasher) = (HashSet::new(), RandomState::new());
    let preview = restore::compare(entry, path, &options, |change| {
        if stopped {
            return;
        }
        if change.action == Action::Write && !args.recursive {
            let above = change.path.rsplit_once('/').map_or("", |(above, _)| above);
            let is_told = lacking.contains(&hasher.hash_one(above));
            if change.directory {
                lacking.insert(hasher.hash_one(&*change.path));
            }
            if is_told {
                return;
            }
        }
        let Some(row) = row(change, path) else { return };
        stopped = report.push(&row).is_break();
        if args.text && !stopped && matches!(change.action, Action::Replace | Action::Change) {
            stopped = show(&mut report, change, path, entry, &mut exit).is_break();
        }
    })?;
    for problem in &preview.problems {
        exit = Exit::Partial;
        log_line(format_args!("error: {}", escape(&problem.to_string())));
    }
    report.finish(exit)
}

fn row<'c>(change: &'c Change, folder: &Path) -> Option<Row<'c>> {
    let here = || {
        let metadata = folder.join(&change.path).symlink_metadata().ok();
        let (is_folder, size) = metadata.map_or((false, 0), |metadata| (metadata.is_dir(), metadata.len()));
        Side::plain(is_folder, if is_folder { 0 } else { size })
    };
    let there = || Side::plain(change.directory, change.bytes);
    let (old, new) = match change.action {
        Action::Write => (Some(there()), None),
        Action::Delete => (None, Some(here())),
        Action::Replace | Action::Change => (Some(there()), Some(here())),
        _ => return None,
    };
    let mut changes = Changes::default();
    changes.content = old.is_some() && new.is_some();
    Some(Row { path: &change.path, old, new, changes })
}

/// Shows how a file differs line by line.
fn show(
    report: &mut Report,
    change: &Change,
    folder: &Path,
    root: &Entry,
    exit: &mut Exit,
) -> ControlFlow<()> {
    let file = root.at(&change.path).ok().filter(|entry| entry.kind() == EntryKind::File);
    let here = folder.join(&change.path);
    let Some(file) = file.filter(|_| here.is_file()) else { return ControlFlow::Continue(()) };
    let shown = text::show(report, &change.path, text::read(&file), text::read_local(&here))?;
    if let Err(why) = shown {
        *exit = Exit::Partial;
        log_problem(&change.path, why);
    }
    ControlFlow::Continue(())
}
