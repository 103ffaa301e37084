//! Is it there already? Reads what the target or an interrupted restore has, and compares its hash with the
//! snapshot's.
//!
//! Bytes are right if they hash to the content that belongs there; nothing else is trusted. What is wrong
//! goes back to the planner, which plans to read it from the repository.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use kopia_repository::object::Extent;
use rustix::fs::{OFlags, Stat};

use super::Worker;
use crate::decide::existing::Candidates;
use crate::decide::existing::ExistingPolicy;
use crate::destination::compare::{is_right, link_is_right, open_file, size};
use crate::destination::leftover::Leftover;
use crate::destination::metadata::has_time;
use crate::destination::metadata::keep::found_as_settable;
use crate::destination::{Side, look};
use crate::outcome::Unset;
use crate::plan::items::SmallEntry;
use crate::plan::items::{Check, Item};
use crate::reason::Reason;

impl Worker<'_> {
    /// Checks whether the bytes of a file, link or piece are there already.
    pub(super) fn check(&mut self, check: &Check) {
        if !self.shared.stopped() {
            match (&check.item, check.extent) {
                (Item::Small(entry), None) if self.shared.options.is_finish() && is_left(check.found) => {
                    self.finish_entry(entry);
                }
                (Item::Small(entry), extent) => self.check_small(entry, extent, check.found),
                (Item::Large(file), Some(extent)) => self.check_piece(file, extent),
                (Item::Large(file), None) => self.large_file_one_done(file),
            }
        }
    }

    /// Finishes an entry that a shard has written.
    fn finish_entry(&mut self, entry: &SmallEntry) {
        let path = entry.path();
        let taken = self.take_share(entry).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Reason::NotWritten,
            _ => error.into(),
        });
        match taken {
            Ok(_) if entry.symlink => {
                entry.directory.one_staged();
                self.shared.tally.symlink();
            }
            Ok(size) => {
                self.shared.tally.written(size);
                self.file_is_there(entry, size, 0);
            }
            Err(reason) => self.shared.tally.problem(path, reason),
        }
        self.child_done(entry.directory.clone());
    }

    /// Gives what a shard wrote its attributes, where they are missing; returns how many bytes a file has.
    fn take_share(&mut self, entry: &SmallEntry) -> io::Result<u64> {
        let directory = self.open_staged(&entry.directory)?;
        let stat = look(directory.as_fd(), &*entry.name)?.ok_or(io::ErrorKind::NotFound)?;
        if entry.symlink {
            let (directory, name, wanted) = (directory.as_fd(), &*entry.name, &entry.attributes);
            let unset = self.metadata.correct_symlink(directory, name, &stat, wanted, Side::Staging)?;
            self.shared.tally.unset(unset, || entry.path());
            return Ok(0);
        }
        // One that is finished may not be ours to open.
        let creator = self.shared.defaults.creator;
        let wanted = self.metadata.staged(&entry.attributes, &stat);
        if has_time(&stat, &wanted) && found_as_settable(&stat, &wanted, creator).is_some() {
            self.shared.tally.unset(Unset::of(&stat, &wanted), || entry.path());
            return Ok(size(&stat));
        }
        let (file, stat) = open_file(directory.as_fd(), &*entry.name, OFlags::RDONLY)?;
        let unset = self.metadata.correct_file(file.as_fd(), &entry.attributes, Side::Staging)?;
        self.shared.tally.unset(unset, || entry.path());
        self.sync(&file)?;
        Ok(size(&stat))
    }

    fn check_small(&mut self, entry: &SmallEntry, extent: Option<Extent>, found: Candidates) {
        let directory = &entry.directory;
        let root = self.shared.target.directory.as_fd();
        if found.existing == Some(ExistingPolicy::Compare)
            && let Ok(existing) = self.in_target.open(root, directory)
            && self.is_there(existing.as_fd(), entry, extent, Side::Target).unwrap_or(false)
        {
            self.discard_found(entry, found);
            let bytes = if entry.symlink { 0 } else { entry.size };
            self.shared.tally.kept(bytes);
            self.shared.tally.found(bytes);
            return self.child_done(directory.clone());
        }
        if is_left(found)
            && let Ok(staged) = self.open_staged(directory)
            && self.is_there(staged.as_fd(), entry, extent, Side::Staging).unwrap_or(false)
        {
            if entry.symlink {
                self.is_staged(entry);
                self.shared.tally.symlink();
            } else {
                self.shared.tally.found(entry.size);
                self.file_is_there(entry, entry.size, entry.size);
            }
            return self.child_done(directory.clone());
        }
        // What could not be looked at is left for the next run, and so is what cannot be removed.
        if self.shared.stopped() {
            return;
        }
        let discard = self.discard_found(entry, found);
        if self.shared.stopped() {
            return;
        }
        let entry = SmallEntry { discard, ..entry.clone() };
        match extent {
            Some(extent) => self.shared.checks.give_back(Item::Small(entry), extent),
            None => self.small(&entry, Ok(&[])),
        }
    }

    /// Returns whether an entry of a directory has the right bytes; if so, gives it the right attributes.
    fn is_there(
        &mut self,
        directory: BorrowedFd<'_>,
        entry: &SmallEntry,
        extent: Option<Extent>,
        side: Side,
    ) -> io::Result<bool> {
        let name = &*entry.name;
        if entry.symlink {
            let Some(extent) = extent else { return Ok(false) };
            if !link_is_right(self.shared.repository, directory, name, &extent)? {
                return Ok(false);
            }
            let Some(stat) = look(directory, name)?.filter(|stat| self.may_stay(stat, entry, side)) else {
                return Ok(false);
            };
            if side == Side::Target && self.correct_later(entry, &stat) {
                return Ok(true);
            }
            let unset = self.metadata.correct_symlink(directory, name, &stat, &entry.attributes, side)?;
            self.shared.tally.unset(unset, || entry.path());
            return Ok(true);
        }
        let (file, stat) = open_file(directory, name, OFlags::RDONLY)?;
        let length = size(&stat);
        if length != entry.size || !self.may_stay(&stat, entry, side) {
            return Ok(false);
        }
        let right = match extent {
            None => length == 0,
            Some(extent) => self.read_and_compare(file.as_fd(), &Extent { length: Some(length), ..extent }),
        };
        if right && !(side == Side::Target && self.correct_later(entry, &stat)) {
            let unset = self.metadata.correct_file(file.as_fd(), &entry.attributes, side)?;
            self.shared.tally.unset(unset, || entry.path());
            self.sync(&file)?;
        }
        Ok(right)
    }

    /// Returns whether a file or link with the right bytes may stay the one that it is. Nobody else gets into
    /// the staging tree.
    fn may_stay(&self, stat: &Stat, entry: &SmallEntry, side: Side) -> bool {
        side == Side::Staging || self.metadata.may_keep(stat, &entry.attributes)
    }

    /// Reads where a piece belongs and says whether it is there; its bytes are in `compared` then.
    pub(super) fn read_and_compare(&mut self, file: BorrowedFd<'_>, extent: &Extent) -> bool {
        is_right(self.shared.repository, file, extent, &mut self.compared)
    }

    /// Removes what an interrupted restore left of an entry, if it did; returns whether that is still to be done, as a
    /// full disk may not even take it.
    fn discard_found(&mut self, entry: &SmallEntry, found: Candidates) -> bool {
        if is_left(found)
            && let Ok(directory) = self.open_staged(&entry.directory)
            && self.remove_or_wait(directory.as_fd(), entry, true)
        {
            // If it is not written after all.
            entry.directory.hold_back(&entry.name);
            return true;
        }
        self.make_way(entry).is_err()
    }
}

fn is_left(found: Candidates) -> bool {
    found.left == Leftover::Usable
}
