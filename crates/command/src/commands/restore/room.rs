//! How much room a restore takes, said before it begins.

use std::fs;
use std::path::Path;

use kopia_rs::Entry;
use kopia_rs::diagnosis::space::{self, FreeSpace, Needs};
use kopia_rs::diagnosis::{Class, LocalPath};
use kopia_rs::restore::Preview;

use crate::args;
use crate::error::Failure;
use crate::terminal::output::{count, for_terminal, size};

/// Returns what is to be said where a restore may take more room than there is.
pub(super) fn note(entry: &Entry, args: &args::Restore) -> Option<String> {
    let target = &*args.places.target;
    let (room, needs) = (FreeSpace::of(target)?, Needs::of(entry)?);
    // What is written already counts in neither.
    // How much the part is that is chosen, the snapshot does not say.
    if args.finish.is_some() || !args.patterns.is_empty() || !room.lacks_bytes(needs) {
        return None;
    }
    let (free, needed) = (size(room.free_bytes), size(room.needed(needs)));
    let is_new = !has(target, |name| !name.starts_with(UNFINISHED)) || target.is_file();
    let target = target.display().to_string();
    let target = for_terminal(&target);
    Some(match (args.shard, is_new) {
        (Some(_), _) => {
            format!(
                "{target} has {free} free; all shards together may take {needed}, and free nothing before \
                 --finish"
            )
        }
        (None, true) => format!("{target} has {free} free, and the snapshot may take {needed}"),
        (None, false) if keeps(args) => {
            format!(
                "{target} has {free} free, and the snapshot may take {needed}: what is replaced is kept, which \
                 frees nothing"
            )
        }
        (None, false) => {
            let in_place = if args.in_place { "" } else { "; --in-place takes no room beside large files" };
            format!(
                "{target} has {free} free, and the snapshot may take {needed}: where room is short, each \
                 file replaces \
                 the older one as soon as it is whole{in_place}"
            )
        }
    })
}

/// Returns whether what is replaced is kept.
fn keeps(args: &args::Restore) -> bool {
    args.keep_replaced || args.in_original_place
}

/// What the names of unfinished restores begin with.
const UNFINISHED: &str = ".kopia-rs-restore-";

/// Returns whether a directory has a name of some kind.
fn has(directory: &Path, is: impl Fn(&str) -> bool) -> bool {
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    names.into_iter().any(|entry| is(&entry.file_name().to_string_lossy()))
}

/// Returns how a restore will end for which there is certainly too little room.
pub(super) fn failure(preview: &Preview, args: &args::Restore) -> Option<Failure> {
    let target = &*args.places.target;
    let lacks = |least: u64, free: Option<u64>| least.checked_sub(free?).filter(|missing| *missing > 0);
    // Holes take no room.
    let least = if keeps(args) { preview.room } else { preview.least_room };
    let missing = lacks(least, preview.free).filter(|_| !args.sparse);
    let missing_inodes = lacks(preview.least_inodes, preview.free_inodes);
    if missing.is_none() && missing_inodes.is_none() {
        return None;
    }
    // What an interrupted restore has left is taken up, or goes first.
    let is_unfinished = has(target, |name| name.starts_with(UNFINISHED));
    if is_unfinished || !space::is_plain(&LocalPath::look(target)) {
        return None;
    }
    let target = target.display().to_string();
    let target = for_terminal(&target);
    let Some(missing) = missing else {
        let inodes = count(missing_inodes?, "more inode is", "more inodes are");
        let failure =
            Failure::failed(format!("{target}: there is no room, {inodes} needed")).with_class(Class::Full);
        return Some(failure.hint(
            "the file system has too few inodes left: delete files there, or choose one with more inodes",
        ));
    };
    let missing = size(missing);
    let failure = Failure::failed(format!("{target}: there is no room, {missing} more are needed"))
        .with_class(Class::Full);
    let failure = failure.hint(format!("make {missing} of room"));
    if keeps(args) {
        return Some(failure.hint("what is kept frees nothing: without --keep-replaced it may fit"));
    }
    if args.in_place {
        return Some(failure);
    }
    Some(
        failure
            .hint("with --in-place, large files are changed where they differ and take no room beside them"),
    )
}

/// Returns what a dry run says of room.
pub(super) fn of_preview(preview: &Preview, args: &args::Restore) -> Option<String> {
    let Preview { room, least_room, free, .. } = *preview;
    let (all, least) = (size(room), size(least_room));
    let free = free.filter(|free| *free < room)?;
    let has = size(free);
    if keeps(args) {
        let missing = size(room - free);
        return Some(format!(
            "it takes up to {all} beside what is kept; {has} are free, {missing} too little"
        ));
    }
    Some(if free < least_room {
        let missing = size(least_room - free);
        format!(
            "it takes up to {all} beside what is there, and at least {least} where each file replaces the \
             older one as soon as it is whole; {has} are free, {missing} too little",
        )
    } else {
        format!(
            "it takes up to {all} beside what is there, and {has} are free: each file replaces the older one \
             as soon as it is whole, which takes {least}",
        )
    })
}
