//! Getting the pieces of a large file to their places: read from the repository, or there already.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use kopia_repository::object::Extent;
use rustix::fs::OFlags;

use crate::decide::existing::ExistingPolicy;
use crate::destination::compare::{open_file, size};
use crate::destination::large::Handle;
use crate::destination::leftover::Leftover;
use crate::destination::{handles, let_write};
use crate::execute::writers::units;
use crate::execute::{Worker, is_fatal};
use crate::lock;
use crate::plan::batch::ContentRef;
use crate::plan::items::Item;
use crate::plan::items::LargeFile;
use crate::plan::items::SmallEntry;
use crate::plan::items::large::turn::Waiting;
use crate::reason::Reason;
use crate::shard;

impl Worker<'_> {
    /// Writes a piece that was read from the repository.
    pub(in crate::execute) fn piece(
        &mut self,
        file: &Arc<LargeFile>,
        used: &ContentRef,
        plain: Result<&[u8], Reason>,
    ) {
        match plain {
            Ok(_) if file.found_no_room() || file.waits_for_others(used) => {}
            Ok(bytes) if self.leave_piece(file, bytes, used.offset) => {
                // It says nothing of the target.
                self.waited_for_others = true;
                return;
            }
            Ok(bytes) => {
                if self.write_piece(file, bytes, used.offset) {
                    self.shared.tally.written(bytes.len() as u64);
                }
            }
            Err(reason) => file.fail(reason, used.range()),
        }
        self.large_file_one_done(file);
    }

    /// Checks whether a piece is there already, and gives it back to the planner if not.
    pub(in crate::execute) fn check_piece(&mut self, file: &Arc<LargeFile>, extent: Extent) {
        if file.found_no_room() {
            return self.large_file_one_done(file);
        }
        let give_back = |extent| self.shared.checks.give_back(Item::Large(file.clone()), extent);
        if matches!(*lock::read(&file.handle), Handle::New) {
            self.open_base(file);
        }
        let length = extent.length.unwrap_or_default();
        let sharded = self.shared.options.is_shard();
        let handle = lock::read(&file.handle);
        // Where several write a file that nobody has begun, nothing need be read.
        let read = |source: &BorrowedFd<'_>| !sharded || shard::may_hold(source, extent.start, length);
        let right =
            handle.reading().filter(read).is_some_and(|source| self.read_and_compare(source, &extent));
        let filled = handle.is_filled();
        drop(handle);
        match right {
            true if filled => {
                file.there.fetch_add(length, Ordering::Relaxed);
                file.reused.fetch_add(length, Ordering::Relaxed);
                self.shared.tally.found(length);
            }
            // It may be kept as it is; that is known at the end.
            true if file.settle(extent) => {}
            true => {
                let bytes = std::mem::take(&mut self.compared);
                if self.write_piece(file, &bytes, extent.start) {
                    file.reused.fetch_add(length, Ordering::Relaxed);
                    self.shared.tally.found(length);
                }
                self.compared = bytes;
            }
            false if filled => return give_back(extent),
            false => {
                file.differs().into_iter().for_each(give_back);
                return give_back(extent);
            }
        }
        self.large_file_one_done(file);
    }

    /// Opens what pieces can be compared with, if there is anything.
    fn open_base(&mut self, file: &LargeFile) {
        let mut handle = lock::write(&file.handle);
        if !matches!(*handle, Handle::New) {
            return;
        }
        if self.shared.options.is_shard() {
            let directory = self.handles.open(&file.entry.directory);
            let opened = directory.and_then(|directory| shard::open(&*directory, &file.entry.name));
            *handle = match opened {
                Ok(file) => Handle::Filled { file, old: None },
                Err(error) => {
                    file.fail_to_write(&error);
                    Handle::Failed(error)
                }
            };
            return;
        }
        if file.found.left == Leftover::Usable {
            let entry = &file.entry;
            let left = self.open_staged(&entry.directory).and_then(|directory| {
                let open = || open_file(directory.as_fd(), &*entry.name, OFlags::RDWR);
                let opened = open().or_else(|error| match error.kind() {
                    // It may have its final mode already.
                    io::ErrorKind::PermissionDenied => {
                        let_write(directory.as_fd(), &entry.name).and_then(|()| open())
                    }
                    _ => Err(error),
                });
                opened.inspect_err(|error| self.discard_unopened(directory.as_fd(), entry, error))
            });
            match left {
                Ok((left, _)) => {
                    *handle = Handle::Filled { file: left, old: None };
                    return;
                }
                // It is left for the next run.
                Err(error) if self.shared.stopped() => {
                    *handle = Handle::Failed(error);
                    return;
                }
                Err(_) => {}
            }
        }
        *handle = self.open_old(file).unwrap_or(Handle::Nothing);
    }

    /// Opens the target's own file, where that may help.
    fn open_old(&mut self, file: &LargeFile) -> Option<Handle> {
        if file.found.existing != Some(ExistingPolicy::Compare) {
            return None;
        }
        let (root, entry) = (self.shared.target.directory.as_fd(), &file.entry);
        let directory = self.in_target.open(root, &entry.directory).ok()?;
        if self.shared.options.in_place
            && let Ok((old, stat)) = open_file(directory.as_fd(), &*entry.name, OFlags::RDWR)
            && self.metadata.may_keep(&stat, &entry.attributes)
        {
            return Some(Handle::InPlace(old));
        }
        let (old, stat) = open_file(directory.as_fd(), &*entry.name, OFlags::RDONLY).ok()?;
        if let Some(shared) = self.share(entry, &old) {
            return Some(Handle::Filled { file: shared, old: Some(old) });
        }
        if size(&stat) != entry.size || !self.metadata.may_keep(&stat, &entry.attributes) {
            file.differs();
        }
        Some(Handle::Old(old))
    }

    /// Makes a reflink of an old file, where the file system can.
    fn share(&mut self, entry: &SmallEntry, old: &OwnedFd) -> Option<OwnedFd> {
        if !self.shared.clones.load(Ordering::Relaxed) {
            return None;
        }
        self.make_way(entry).ok()?;
        let directory = self.handles.open(&entry.directory).ok()?;
        let new =
            self.metadata.create(directory.as_fd(), &*entry.name, &entry.attributes, OFlags::RDWR).ok()?;
        if rustix::fs::ioctl_ficlone(&new, old).is_err() {
            self.shared.clones.store(false, Ordering::Relaxed);
            self.remove_staged(directory.as_fd(), entry);
            return None;
        }
        Some(new)
    }

    /// Leaves a copy of a piece to another worker that writes the file at this time; returns whether it did.
    ///
    /// Where writers write, as many as possible are to do so at once.
    fn leave_piece(&self, file: &LargeFile, bytes: &[u8], offset: u64) -> bool {
        let Some(step) = &self.step else { return false };
        if self.shared.writers.are_on() || !file.turn.is_taken() {
            return false;
        }
        let Some(bytes) = self.shared.copies.copy(bytes) else { return false };
        match file.turn.leave(Waiting { bytes, offset, step: step.clone() }) {
            None => true,
            Some(unwanted) => {
                self.shared.copies.give_back(unwanted.bytes);
                false
            }
        }
    }

    /// Writes bytes of a file, and what others leave meanwhile; returns whether the first could be done.
    fn write_piece(&mut self, file: &Arc<LargeFile>, bytes: &[u8], offset: u64) -> bool {
        let mut writing = file.turn.begin();
        let written = self.write_own_piece(file, bytes, offset);
        while let Some(Waiting { bytes, offset, step }) = writing.next() {
            if !self.shared.stopped() {
                if !file.found_no_room() && self.write_own_piece(file, &bytes, offset) {
                    self.shared.tally.written(bytes.len() as u64);
                }
                self.units_of_others += units(bytes.len());
                self.large_file_one_done(file);
            }
            self.shared.copies.give_back(bytes);
            drop(step);
        }
        self.waited_for_others |= writing.shared;
        written
    }

    fn write_own_piece(&mut self, file: &LargeFile, bytes: &[u8], offset: u64) -> bool {
        match self.try_write_piece(file, bytes, offset) {
            Ok(()) => {
                file.there.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                true
            }
            Err(error) if self.shared.room.may_postpone(&error) => {
                file.no_room.store(true, Ordering::Relaxed);
                self.shared.room.note_full(&error);
                false
            }
            Err(error) => {
                // A failing disk ends everything at once; the rest is told when the file is finished.
                file.fail_to_write(&error);
                if is_fatal(&error) {
                    self.entry_failed(&file.entry, error);
                }
                false
            }
        }
    }

    fn try_write_piece(&mut self, file: &LargeFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.changed.store(true, Ordering::Relaxed);
        loop {
            // Many threads write at once; only making the file is for one.
            let handle = lock::read(&file.handle);
            match (&*handle, handle.writing()) {
                (Handle::Failed(error), _) => return Err(handles::copy(error)),
                (_, Some(file)) if handle.is_filled() => {
                    return self.shared.bytes.overwrite(file, bytes, offset);
                }
                (_, Some(file)) => return self.shared.bytes.write(file, bytes, offset),
                (_, None) => drop(handle),
            }
            let mut handle = lock::write(&file.handle);
            if handle.writing().is_none() {
                let made = self.create(&file.entry);
                *handle = match (std::mem::replace(&mut *handle, Handle::New), made) {
                    (_, Err(error)) => Handle::Failed(error),
                    (Handle::Old(old), Ok(file)) => Handle::Replacing { file, old },
                    (_, Ok(file)) => Handle::Made(file),
                };
            }
        }
    }

    fn create(&mut self, entry: &SmallEntry) -> io::Result<OwnedFd> {
        self.make_way(entry)?;
        let directory = self.handles.open(&entry.directory)?;
        let handle =
            self.metadata.create(directory.as_fd(), &*entry.name, &entry.attributes, OFlags::WRONLY)?;
        self.shared.bytes.reserve(&handle, entry.size);
        Ok(handle)
    }
}
