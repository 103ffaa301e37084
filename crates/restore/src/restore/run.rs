//! The steps of a restore, one after the other: begin, stage everything, put it in its place.
//!
//! Where a step ends the restore, it leaves the target as the next run needs it: what is staged stays if that can go
//! on with it, and what was opened up is closed again. What directories of the target were like is noted before all
//! that is staged gets to its place at the end; what gets there earlier, as room is short, leaves them the time that
//! they had. The staging directory is removed before the target gets its own attributes.

use std::os::fd::AsFd;
use std::path::Path;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use super::Plan;
use super::begin::{Begun, begin, give_up};
use crate::destination::markers;
use crate::destination::merge::{Merge, Publisher};
use crate::destination::metadata::Metadata;
use crate::destination::staging::{pending, remove_markers};
use crate::destination::target::Target;
use crate::execute::{Shared, Worker};
use crate::kept::Keeping;
use crate::on_panic::AbortOnPanic;
use crate::plan::Planner;
use crate::tally::Tally;
use crate::{Attribute, Durability, Error, Existing, Observer, Outcome, Portion, Result};

pub(super) fn run(plan: &Plan, target: &Path, observer: &dyn Observer) -> Result<Outcome> {
    let Plan { entry, options, is_guessed } = plan;
    let target = Target::open(entry, target)?;
    // What had to be changed so that its owner may write in it is put right; a new directory stays closed to
    // others as long as something unfinished lies in it.
    let settle = || {
        if !target.is_new() {
            target.settle_mode();
        }
    };
    let begun = begin(entry, &target, options).inspect_err(|_| settle())?;
    let Begun { staging, lock, incomplete, already_finished } = begun;
    let mut options = options.clone();
    if already_finished {
        // All its bytes have been compared.
        options.existing = Existing::Skip;
    }
    let options = &options;
    let keeping = if options.keep_replaced {
        let begun = Keeping::begin(&target, staging.key());
        Some(begun.inspect_err(|_| {
            give_up(&target, &staging);
            settle();
            // What was made for it may have lain in the target.
            target.settle_time();
        })?)
    } else {
        None
    };
    let tally = Tally::new(observer);
    let mut shared = match Shared::new(entry.repository(), options, &tally, &target, &staging, incomplete) {
        Ok(shared) => shared,
        Err(source) => {
            give_up(&target, &staging);
            settle();
            if keeping.is_some() {
                // As above; its removal, which comes next, leaves the time that is found.
                target.settle_time();
            }
            // What was made for it may lie in the target.
            drop(keeping);
            target.remove_new();
            return Err(target.error("cannot be written", source));
        }
    };
    shared.kept = keeping.as_ref();
    let shared = shared;
    // Others may write in the target of shards. The mode of one that was opened up is put back at the end only.
    if options.portion == Portion::Whole && (!target.settle_time() || target.opened_up_from().is_some()) {
        pending::note_target(&target, &staging);
    }
    target.set_usual_mode(shared.defaults.directory_mode());
    if options.portion == Portion::Whole && staging.is_left() {
        tally.resumed();
    }

    let end_early = || {
        settle();
        if options.portion == Portion::Whole {
            pending::take_back_target(&target, &staging);
        }
    };
    let merge = match work(&shared, entry) {
        Ok(merge) => merge,
        Err(mut error) => {
            // What was done stays: the next restore takes it up, once a volume is enlarged or comes back.
            let stays = match &mut error {
                Error::Target { unfinished, .. } => {
                    *unfinished = Some(staging.path(&target));
                    true
                }
                Error::Stopped { .. } | Error::Problem { .. } | Error::NoRoom { .. } => true,
                _ => false,
            };
            if !stays {
                give_up(&target, &staging);
            }
            shared.close_again();
            end_early();
            drop(shared);
            // As above.
            drop(keeping);
            if !stays {
                target.remove_new();
            }
            return Err(error);
        }
    };

    if let Portion::Shard(shard) = options.portion {
        // Others may still write in the target, so its mode stays.
        markers::write_done_marker(&target, &staging, shard, shared.incomplete.take())?;
        drop((shared, lock));
        return Ok(tally.finish());
    }
    let removed = put_in_place(entry, &shared, &merge).inspect_err(|_| end_early())?;
    drop(shared);
    // Else the next restore of the same would go on in it, and an undo take back both.
    let kept_in = keeping.and_then(Keeping::finish);
    removed?;
    if *is_guessed {
        let name = target.name.as_deref().unwrap_or_default();
        tally.note(&String::from_utf8_lossy(name), Attribute::Guessed);
    }
    let mut outcome = tally.finish();
    outcome.already_finished = already_finished;
    outcome.kept_in = kept_in;
    Ok(outcome)
}

/// Plans on this thread and works on others, until everything is staged or nothing more can be.
pub(super) fn work(shared: &Shared<'_>, root: &Entry) -> Result<Merge> {
    let workers = shared.open_files.workers;
    let merge = std::thread::scope(|scope| {
        let _guard = AbortOnPanic(|| shared.abort());
        // Workers come first: where threads are few, they are what is needed.
        let readers = shared.fetcher.expect_readers();
        for number in 0..workers {
            let work = || Worker::decode(shared, scope);
            match std::thread::Builder::new().spawn_scoped(scope, work) {
                // Fewer do as well, where the number of threads is limited.
                Err(source) if number == 0 => return Err(Error::Threads { source }),
                Err(_) => break,
                Ok(_) => {}
            }
        }
        shared.fetcher.start_readers(scope, shared.open_files.readers);
        drop(readers);
        let merge = Planner::new(shared.for_planner(), root).run(root);
        shared.fetcher.close();
        Ok(merge)
    })?;
    let Some(error) = shared.fatal() else { return Ok(merge) };
    if merge.may_tag {
        // The tag may not have come to its turn, or was taken away to make room.
        shared.staging.tag();
    }
    Err(error)
}

/// Moves what was staged to its place, and finishes the target. Returns what the system says of the removal of
/// the unfinished folder then: what stays of it, such as a file that is open elsewhere, changes nothing else.
pub(super) fn put_in_place(entry: &Entry, shared: &Shared<'_>, merge: &Merge) -> Result<Result<()>> {
    let Shared { options, target, staging, tally, .. } = *shared;
    // Nothing has been moved into folders that were opened up.
    let close_again = |_: &Error| shared.close_again();
    // With `newer` that is known already.
    if !options.newer {
        pending::note_all(target, staging, &merge.existing, &merge.moved);
    }
    if options.sync != Durability::None {
        target.sync().inspect_err(close_again)?;
    }
    let has_attributes = entry.kind() == EntryKind::Directory && !entry.is_implied();
    let root_attributes = options.root_attributes && has_attributes;
    if let Some(kept) = shared.kept {
        let noted = kept.directories(&merge.existing);
        let noted = noted.map_err(|source| Error::Target {
            path: target.path.clone(),
            what: "what is replaced cannot be kept",
            source,
            unfinished: Some(staging.path(target)),
        });
        noted.inspect_err(close_again)?;
    }
    let metadata = Metadata::new(shared.defaults, options);
    let mut publisher = Publisher {
        target,
        staging,
        tally,
        metadata,
        root_attributes,
        delete_extra: options.delete_extra,
        chosen: options.chosen.as_ref(),
        refuse_existing: options.existing == Existing::Error,
        newer: options.newer,
        kept: shared.kept,
        no_room: None,
        cut_short: None,
    };
    publisher.run(merge);
    if let Some(source) = publisher.no_room.take() {
        // What has no name yet stays staged.
        let (unfinished, target) = (staging.path(target), target.path.clone());
        return Err(Error::NoRoom {
            target,
            missing: None,
            mixed: Vec::new(),
            in_place_helps: false,
            source,
            unfinished,
        });
    }
    if let Some((directory, source)) = publisher.cut_short.take() {
        let (mut path, below) = (target.path.clone(), directory.path_of(""));
        if !below.is_empty() {
            path.push(below);
        }
        let unfinished = Some(staging.path(target));
        return Err(Error::Target { path, what: "cannot be written any more", source, unfinished });
    }
    let removed = staging.remove(target);
    if options.is_finish() && removed.is_ok() {
        // What they stand for is in its place, and stays there.
        target.sync()?;
        remove_markers(target.directory.as_fd(), staging.name())
            .map_err(|source| target.error("the markers of the shards cannot be removed", source))?;
    }
    publisher.finish_root(merge);
    if removed.is_err() {
        // What is in its place has come to its end, and is not to be taken for what a killed run left.
        pending::forget(staging);
    }
    if options.sync != Durability::None {
        target.sync()?;
    }
    Ok(removed)
}
