//! How much room a restore takes, said before it begins.

use std::fs;

use kopia_rs::Entry;
use kopia_rs::restore::Preview;

use crate::args;
use crate::diagnosis::Place;
use crate::diagnosis::space::{self, Needs, Room};
use crate::error::Failure;
use crate::output::{shown, size};

/// Returns what is to be said where a restore may take more room than there is.
pub(super) fn note(entry: &Entry, args: &args::Restore) -> Option<String> {
    let (room, needs) = (Room::of(&args.target)?, Needs::of(entry)?);
    // What is written already counts in neither.
    if args.finish.is_some() || !room.lacks_bytes(needs) {
        return None;
    }
    let (free, needed) = (size(room.free_bytes), size(needs.bytes));
    let target = args.target.display().to_string();
    let target = shown(&target);
    let is_empty = fs::read_dir(&args.target).map_or(true, |mut names| names.next().is_none());
    Some(match (args.shard, is_empty || args.target.is_file()) {
        (Some(_), _) => {
            format!(
                "{target} has {free} free; all shards together take up to {needed}, and free nothing before --finish"
            )
        }
        (None, true) => format!("{target} has {free} free, and up to {needed} are to be written"),
        (None, false) => {
            let in_place = if args.in_place { "" } else { "; --in-place takes no room beside large files" };
            format!(
                "{target} has {free} free, and up to {needed} are to be written: where room is short, each file replaces \
                 the older one as soon as it is whole{in_place}"
            )
        }
    })
}

/// Returns how a restore will end for which there is certainly too little room.
pub(super) fn failure(preview: &Preview, args: &args::Restore) -> Option<Failure> {
    let missing = preview.least_room.checked_sub(preview.free?).filter(|missing| *missing > 0)?;
    if args.sparse || !space::is_plain(&Place::look(&args.target)) {
        return None;
    }
    let (target, missing) = (args.target.display().to_string(), size(missing));
    let failure = Failure::failed(format!("{}: there is no room, {missing} more are needed", shown(&target)));
    let failure = failure.hint(format!("make {missing} of room"));
    Some(match args.in_place {
        true => failure,
        false => failure
            .hint("with --in-place, large files are changed where they differ and take no room beside them"),
    })
}

/// Returns what a dry run says of room.
pub(super) fn of_preview(preview: &Preview) -> Option<String> {
    let Preview { room, least_room, free, .. } = *preview;
    let (all, least) = (size(room), size(least_room));
    let free = free.filter(|free| *free < room)?;
    Some(match free < least_room {
        true => format!(
            "it takes up to {all} beside what is there, and at least {least} where each file replaces the older one as soon \
             as it is whole; {} are free, {} too little",
            size(free),
            size(least_room - free)
        ),
        false => format!(
            "it takes up to {all} beside what is there, and {} are free: each file replaces the older one as soon as it is \
             whole, which takes {least}",
            size(free)
        ),
    })
}
