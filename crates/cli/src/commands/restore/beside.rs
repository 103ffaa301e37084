//! What options name beside the target of a restore, and is written, too: reports, metrics and folders. None of
//! it may be the target, nor lie in it if extras are deleted: it would be emptied, or deleted as something that the
//! snapshot does not have. Metrics, which others read while the next restore runs, never lie in it.

use std::path::{Path, PathBuf};

use kopia_rs::EntryKind;
use kopia_rs::restore::is_outside;
use kopia_rs::select::Selection;

use crate::args::{self, Global};
use crate::error::Failure;
use crate::session::Session;
use crate::terminal::replace::{is_same, resolved};

/// Why it may not be written, in words that follow its name.
pub(super) const WHY: &str = "would be the target, or lie in it";

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
            let inside = target.join(one.entry.name());
            refuse_in(if target.is_dir() { &inside } else { target }, false, args, &session.folders)
        }
        _ => refuse_in(target, true, args, &session.folders),
    }
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
        Some((what, place)) => Err(Failure::usage(format!("{what} {} {WHY}", place.display()))
            .hint("name a place outside of the target")),
        None => Ok(()),
    }
}

/// Returns where a restore writes, empty where that is not known yet.
fn target(args: &args::Restore) -> &Path {
    args.disk.device.as_deref().or(args.disk.image.as_deref()).unwrap_or(&args.places.target)
}

/// Returns whether a place is a target, or lies in it if that is a tree; also where neither is there yet.
pub(super) fn is_in(place: &Path, target: &Path, is_tree: bool) -> bool {
    if target.as_os_str().is_empty() {
        return false;
    }
    let is_below = || {
        is_outside(place, target).is_ok_and(|outside| !outside)
            || resolved(place).starts_with(resolved(target))
    };
    is_same(place, target) || is_tree && is_below()
}
