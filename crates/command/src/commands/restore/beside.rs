//! What options name beside the target of a restore, and is written, too: reports, metrics and folders. None of
//! it may be the target, nor lie in it if extras are deleted: it would be emptied, or deleted as something that the
//! snapshot does not have. Metrics, which others read while the next restore runs, never lie in it.

use std::cell::LazyCell;
use std::path::{Path, PathBuf};

use kopia_rs::restore::{Existing, Options};
use kopia_rs::select::Selection;
use kopia_rs::{Entry, EntryKind};

use super::job::Job;
use crate::args::{self, Global};
use crate::commands::several::is_taken;
use crate::error::Failure;
use crate::session::Session;
use crate::terminal::inside::{WHY, is_in};
use crate::terminal::replace::{is_same, resolved};
use crate::terminal::report::FoundFile;

/// What to do instead.
const OUTSIDE: &str = "name a place outside of the target";

/// Refuses what is known to lie in the target before the repository is open, as opening writes to the cache.
pub(crate) fn refuse_early(args: &args::Restore, global: &Global) -> Result<(), Failure> {
    let target = target(args);
    refuse_in(target, true, args, &global.folders())
}

/// Refuses what lies in the target of what was found.
pub(super) fn refuse(
    session: &Session,
    args: &args::Restore,
    selections: &[Selection],
) -> Result<(), Failure> {
    let target = target(args);
    match selections {
        [one] if one.entry.kind() != EntryKind::Directory => {
            refuse_in(&leaf_in(target, &one.entry), false, args, &session.folders)
        }
        _ => refuse_in(target, true, args, &session.folders),
    }
}

/// Refuses a report that something of the snapshot would take the place of: its lines would go to a file that has
/// no name any more. Where files stay, an older one stays as well: it is there before anything is restored, and is
/// newer than whatever was backed up once it is written. What else is there would be emptied, and a report that is
/// made there would keep the snapshot's file out.
pub(super) fn refuse_replaced(args: &args::Restore, jobs: &[Job]) -> Result<(), Failure> {
    let Some(report) = &args.report else { return Ok(()) };
    let parts =
        jobs.iter().flat_map(|job| job.parts.iter().map(move |part| (&*job.args.places.target, part)));
    let there = LazyCell::new(|| FoundFile::at(report));
    for (target, (entry, options)) in parts {
        let Some(found) = found_at(entry, options, target, report) else { continue };
        let stays = (options.newer || options.existing == Existing::Error) && is_older(*there, &found);
        if !stays {
            let text = format!("the report {} has the place of something of the snapshot", report.display());
            return Err(Failure::usage(text).hint(OUTSIDE));
        }
    }
    Ok(())
}

/// Returns whether what is there is an older report. An empty file may be any that has lost its bytes: it is one only
/// where the snapshot has an empty file or a report as well.
fn is_older(there: FoundFile, found: &Entry) -> bool {
    match there {
        FoundFile::Report => true,
        FoundFile::Empty => found.open().is_ok_and(|bytes| FoundFile::of(bytes) != FoundFile::Other),
        FoundFile::Other => false,
    }
}

/// Returns what of an entry goes to a place. What cannot be read goes nowhere.
fn found_at(entry: &Entry, options: &Options, target: &Path, place: &Path) -> Option<Entry> {
    if entry.kind() != EntryKind::Directory {
        return is_same(&leaf_in(target, entry), place).then(|| entry.clone());
    }
    let place = resolved(place);
    // No name of a snapshot is anything but UTF-8.
    let below = place.strip_prefix(resolved(target)).ok().and_then(Path::to_str);
    let path = below.filter(|path| !path.is_empty())?;
    let found = entry.lookup(path).ok()??;
    let is_directory = found.kind() == EntryKind::Directory;
    let is_chosen = options.chosen.as_ref().is_none_or(|chosen| is_taken(chosen, entry, path, is_directory));
    is_chosen.then_some(found)
}

/// Returns where a file or link goes.
fn leaf_in(target: &Path, entry: &Entry) -> PathBuf {
    if target.is_dir() { target.join(entry.name()) } else { target.into() }
}

fn refuse_in(
    target: &Path,
    is_tree: bool,
    args: &args::Restore,
    folders: &[(&'static str, PathBuf)],
) -> Result<(), Failure> {
    let report = args.report.as_deref().map(|report| ("the report", report));
    let mut all = report.into_iter().chain(folders.iter().map(|(what, folder)| (*what, &**folder)));
    // At rest there unless extras are deleted: a home or `/` may well be restored over itself.
    match all.find(|(_, place)| is_in(place, target, is_tree && args.delete_extra)) {
        Some((what, place)) => Err(Failure::usage(format!("{what} {} {WHY}", place.display())).hint(OUTSIDE)),
        None => Ok(()),
    }
}

/// Returns where a restore writes, empty where that is not known yet.
fn target(args: &args::Restore) -> &Path {
    args.disk.device.as_deref().or(args.disk.image.as_deref()).unwrap_or(&args.places.target)
}
