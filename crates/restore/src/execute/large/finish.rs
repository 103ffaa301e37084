//! The end of a large file: whole, kept as it was, saved in part, or lost.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kopia_repository::Defect;
use kopia_repository::object::Extent;

use crate::decide::existing::Candidates;
use crate::destination::compare::size;
use crate::destination::directory::{DirectoryKind, Partial};
use crate::destination::large::Handle;
use crate::destination::leftover::Leftover;
use crate::destination::naming::Act;
use crate::destination::{Side, close, handles, partial};
use crate::execute::staged::NOT_REMOVED;
use crate::execute::worker::Failure;
use crate::execute::{Worker, is_fatal};
use crate::lock;
use crate::outcome::Unset;
use crate::plan::items::Item;
use crate::plan::items::SmallEntry;
use crate::plan::items::large::{Failed, LargeFile};
use crate::plan::room::Postponed;
use crate::reason::Reason;

impl Worker<'_> {
    /// Notes that a piece is settled or lost, and finishes the file after the last.
    pub(in crate::execute) fn large_file_one_done(&mut self, file: &Arc<LargeFile>) {
        if file.one_done() {
            self.finish_large_file(file);
        }
    }

    /// Finishes a file of which all pieces are settled or lost.
    pub(in crate::execute) fn finish_large_file(&mut self, file: &Arc<LargeFile>) {
        if self.shared.stopped() {
            return;
        }
        let entry = &file.entry;
        // Closed here: the batch that it was planned in may live on.
        let closed = Handle::Failed(io::ErrorKind::BrokenPipe.into());
        let handle = std::mem::replace(&mut *lock::write(&file.handle), closed);
        // Only what this restore made is removed: with two entries of one name the other one made it.
        let staged = handle.is_staged();
        if self.shared.options.is_shard() {
            self.finish_share(file, handle);
            return self.shared.checks.large_file_done();
        }
        let act = if matches!(handle, Handle::Failed(_)) { Act::Make } else { Act::Fill };
        let takes = if let Handle::InPlace(own) = &handle { rustix::fs::fstat(own).ok() } else { None };
        // Blocks of 512 bytes, whatever the file system's unit is.
        let takes = takes.map(|stat| u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512));
        let mixed = file.found.mixed || (takes.is_some() && file.changed.load(Ordering::Relaxed));
        let mut failed = file.take_failed();
        let result = match failed.reason.take() {
            _ if file.found_no_room() => {
                drop(handle);
                Err(self.shared.room.error().into())
            }
            Some(reason) => {
                let reason = if_mixed(file, &handle, reason);
                self.salvage(file, handle, failed, &reason).then_some(true).ok_or(reason)
            }
            None => match self.finish(file, handle) {
                Ok(Some(kept_staged)) => Ok(kept_staged),
                // It goes on: the file is compared and written once more.
                Ok(None) => return,
                Err(reason) => Err(reason),
            },
        };
        self.shared.checks.large_file_done();
        let keep_staged = *result.as_ref().unwrap_or(&false);
        let may_wait =
            matches!(&result, Err(Reason::NoSpace(failed)) if self.shared.room.may_postpone(&failed.error));
        let mut is_left = false;
        if !staged && may_wait {
            is_left = self.make_way(entry).is_err();
        } else if !staged {
            self.discard(entry);
        } else if !keep_staged {
            match self.handles.open(&entry.directory) {
                Ok(directory) => {
                    // Where entries are moved out of the directory one by one, it may stay behind.
                    let may_stay = may_wait || entry.directory.kind == DirectoryKind::Existing;
                    is_left = self.remove_or_wait(directory.as_fd(), entry, may_stay);
                    if is_left {
                        entry.directory.hold_back(&entry.name);
                    }
                }
                Err(error) => self.give_up_left(&entry.directory, &entry.name, (NOT_REMOVED, &error)),
            }
        }
        match result {
            Ok(_) => {}
            Err(Reason::NotPermitted(failed) | Reason::NoSpace(failed) | Reason::System(failed)) => {
                let error = failed.error;
                if self.shared.room.may_postpone(&error) {
                    let entry = SmallEntry { discard: is_left, ..entry.clone() };
                    let found = Candidates { left: Leftover::Nothing, mixed, ..file.found };
                    return self.shared.room.postpone(Postponed::Entry { entry, found, takes }, &error);
                }
                // That its directory could not be made is that directory's problem.
                if is_fatal(&error) || !entry.directory.is_lost() {
                    self.entry_failed(entry, Failure { act, error: handles::copy(&error), is_left: false });
                }
            }
            Err(reason) => self.shared.tally.problem(entry.path(), reason),
        }
        self.child_done(entry.directory.clone());
    }

    /// Leaves a file to the other shards, and to who finishes the restore.
    fn finish_share(&mut self, file: &LargeFile, handle: Handle) {
        let entry = &file.entry;
        if let Some(open) = handle.into_writing()
            && let Err(error) = self.end_share(open, file.end.load(Ordering::Relaxed))
        {
            file.fail_to_write(&error);
            if is_fatal(&error) {
                self.entry_failed(entry, error);
            }
        }
        let path = entry.path();
        match file.take_failed().reason {
            None => {
                let reused = file.reused.load(Ordering::Relaxed);
                self.shared.tally.share(file.there.load(Ordering::Relaxed), reused);
            }
            Some(reason) => {
                self.shared.incomplete.add(path.clone(), reason.to_string());
                self.shared.tally.problem(path, reason);
            }
        }
        self.child_done(entry.directory.clone());
    }

    /// Cuts and closes a file of which others may write the rest.
    fn end_share(&self, open: OwnedFd, end: u64) -> io::Result<()> {
        // What somebody left there may be longer, and who finishes the restore does not know where the file
        // ends.
        if rustix::fs::fstat(&open).is_ok_and(|stat| size(&stat) > end) {
            rustix::fs::ftruncate(&open, end)?;
        }
        self.sync(&open)?;
        close(open)
    }

    /// Finishes a file that is whole. Says whether what is staged of it, if anything is, is to be moved to
    /// its place; nothing if the file has to be written after all.
    fn finish(&mut self, file: &Arc<LargeFile>, handle: Handle) -> Result<Option<bool>, Reason> {
        let entry = &file.entry;
        let there = file.there.load(Ordering::Relaxed);
        let reused = file.reused.load(Ordering::Relaxed);
        let unchanged = !file.changed.load(Ordering::Relaxed);
        match handle {
            Handle::Made(made) | Handle::Replacing { file: made, .. } => {
                // The room that was reserved may be more than the pieces had.
                if entry.size > there {
                    rustix::fs::ftruncate(&made, there).map_err(io::Error::from)?;
                }
                self.shared.bytes.end(&made, there)?;
                let unset = self.finish_new_file(made.as_fd(), entry)?;
                self.sync(&made)?;
                close(made)?;
                self.shared.tally.unset(unset, || entry.path());
                self.file_is_there(entry, there, reused);
            }
            Handle::Filled { old: Some(old), .. } if unchanged && self.keep(entry, &old, there) => {
                self.count_kept(entry, there);
                return Ok(Some(false));
            }
            Handle::Filled { file: filled, .. } => {
                cut(&filled, there)?;
                let unset = self.metadata.correct_file(filled.as_fd(), &entry.attributes, Side::Staging)?;
                self.end_filled(entry, filled, unset)?;
                self.file_is_there(entry, there, reused);
            }
            Handle::InPlace(filled) => {
                let decoded = file.take_decoded();
                if !decoded.is_empty() {
                    self.go_on(file, Handle::InPlace(filled), decoded);
                    return Ok(None);
                }
                let cut = cut(&filled, there)?;
                let is_changed = !unchanged || cut || file.found.mixed;
                if let Err(error) = self.bytes_to_disk(&filled, &entry.attributes, is_changed) {
                    // Tried once more by this run, it might be compared with what was not written.
                    if is_fatal(&error) {
                        self.entry_failed(entry, handles::copy(&error));
                    }
                    return Err(error.into());
                }
                let unset = self.metadata.correct_file(filled.as_fd(), &entry.attributes, Side::Target)?;
                self.end_filled(entry, filled, unset)?;
                if unchanged && !cut {
                    self.count_kept(entry, there);
                } else {
                    self.file_in_place_is_there(entry, there, reused);
                }
            }
            Handle::Old(old) if self.keep(entry, &old, there) => {
                self.shared.tally.found(there);
                self.count_kept(entry, there);
            }
            Handle::Old(old) => {
                let right = file.differs();
                self.go_on(file, Handle::Old(old), right);
                return Ok(None);
            }
            Handle::Failed(error) => return Err(error.into()),
            Handle::New | Handle::Nothing => return Err(Defect::NoPieces.into()),
        }
        Ok(Some(true))
    }

    /// Goes on with a file that seemed to be finished: pieces of it are to be written.
    fn go_on(&self, file: &Arc<LargeFile>, handle: Handle, pieces: Vec<Extent>) {
        *lock::write(&file.handle) = handle;
        for extent in pieces {
            self.shared.checks.give_back(Item::Large(file.clone()), extent);
        }
    }

    /// Closes a file that has all its pieces and attributes.
    fn end_filled(&self, entry: &SmallEntry, file: OwnedFd, unset: Unset) -> io::Result<()> {
        self.sync(&file)?;
        close(file)?;
        self.shared.tally.unset(unset, || entry.path());
        Ok(())
    }

    /// Keeps the target's own file, if length and attributes can be right.
    fn keep(&mut self, entry: &SmallEntry, old: &OwnedFd, length: u64) -> bool {
        let wanted = &entry.attributes;
        let Ok(stat) = rustix::fs::fstat(old) else { return false };
        if u64::try_from(stat.st_size) != Ok(length) || !self.metadata.may_keep(&stat, wanted) {
            return false;
        }
        // What was changed in place before may not be on disk. A new file has what was compared.
        if self.bytes_to_disk(old, wanted, false).is_err() {
            return false;
        }
        if self.correct_later(entry, &stat) {
            return true;
        }
        let Ok(unset) = self.metadata.correct_file(old.as_fd(), wanted, Side::Target) else { return false };
        if self.sync(old).is_err() {
            return false;
        }
        self.shared.tally.unset(unset, || entry.path());
        true
    }

    /// Keeps what there is of a file of which pieces are lost, if that was asked for; returns whether it did.
    fn salvage(&mut self, file: &LargeFile, handle: Handle, failed: Failed, reason: &Reason) -> bool {
        let entry = &file.entry;
        let there = file.there.load(Ordering::Relaxed);
        let wanted = self.shared.options.salvage && !failed.beyond_help && there > 0 && handle.is_staged();
        let Some(staged) = handle.into_writing().filter(|_| wanted) else { return false };
        let lost = in_order(failed.lost);
        let result = self.blank(staged.as_fd(), &lost, entry.size).and_then(|()| {
            let directory = self.handles.open(&entry.directory)?;
            let temporary = partial::temporary(&entry.path());
            let unset = self.metadata.correct_file(staged.as_fd(), &entry.attributes, Side::Staging)?;
            self.sync(&staged)?;
            close(staged)?;
            self.shared.tally.unset(unset, || entry.directory.path_of(&temporary));
            rustix::fs::renameat(&*directory, &*entry.name, &*directory, &*temporary)?;
            Ok(temporary)
        });
        match result {
            Ok(temporary) => {
                let (name, reason) = (String::from_utf8_lossy(&entry.name).into(), reason.clone());
                entry.directory.let_go(temporary.as_bytes());
                entry.directory.add_partial(Partial { name, temporary, reason, lost });
                entry.directory.one_staged();
                true
            }
            Err(error) => {
                tracing::debug!(%error, "what is left of a file cannot be kept");
                false
            }
        }
    }

    /// Fills the lost parts of a file with zeros.
    fn blank(&self, file: BorrowedFd<'_>, lost: &[Range<u64>], size: u64) -> io::Result<()> {
        let before = u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or_default();
        let zeros = vec![0; 1 << 20];
        for range in lost {
            // What lies beyond the end is zero when the end is moved there.
            let (mut start, end) = (range.start, range.end.min(before));
            while start < end {
                let count = (end - start).min(zeros.len() as u64);
                self.shared.bytes.overwrite(file, &zeros[..count as usize], start)?;
                start += count;
            }
        }
        let end = lost.last().map_or(0, |last| last.end).max(size);
        Ok(rustix::fs::ftruncate(file, end)?)
    }
}

/// Gives a file that has all its pieces its length; returns whether it had another.
fn cut(file: &OwnedFd, length: u64) -> io::Result<bool> {
    let cut = u64::try_from(rustix::fs::fstat(file)?.st_size) != Ok(length);
    if cut {
        rustix::fs::ftruncate(file, length)?;
    }
    Ok(cut)
}

/// Adds to a reason that the target's own file was changed already.
fn if_mixed(file: &LargeFile, handle: &Handle, reason: Reason) -> Reason {
    if !matches!(handle, Handle::InPlace(_)) || !file.changed.load(Ordering::Relaxed) {
        return reason;
    }
    let written = file.there.load(Ordering::Relaxed);
    Reason::Mixed { reason: reason.into(), written, size: file.entry.size }
}

/// Sorts ranges and joins those that meet.
fn in_order(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        match joined.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => last.end = last.end.max(range.end),
            None => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_ranges_are_joined() {
        assert_eq!(in_order(vec![8..10, 0..4, 4..6, 9..12, 7..7]), [0..6, 8..12]);
    }
}
