//! A file of several contents, written piece by piece by whoever has them.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use kopia_repository::object::Run;
use rustix::fs::{AtFlags, OFlags};

use super::check::open_file;
use super::{SmallEntry, Worker, is_fatal};
use crate::destination::folder::Partial;
use crate::destination::{handles, partial};
use crate::outcome::Cause;
use crate::plan::batch::{Found, Item, Use};
use crate::plan::existing::Old;
use crate::shard;

/// A file of several contents, while they are written.
#[derive(Debug)]
pub(crate) struct LargeFile {
    entry: SmallEntry,
    found: Found,
    handle: RwLock<Handle>,
    /// Pieces that are not settled, and one for the planner while it still adds some.
    pending: AtomicU64,
    /// Where the last piece ends, of all that the planner saw.
    end: AtomicU64,
    /// Bytes of pieces that are where they belong.
    there: AtomicU64,
    /// Whether any piece was written.
    changed: AtomicBool,
    compared: Mutex<Compared>,
    failed: Mutex<Failed>,
}

/// What is known of the target's own file, as long as it is only read.
#[derive(Debug, Default)]
struct Compared {
    /// Whether it has to be replaced.
    differs: bool,
    /// Pieces of it that are right.
    right: Vec<Run>,
}

/// Why a file is not whole.
#[derive(Debug, Default)]
struct Failed {
    cause: Option<Cause>,
    /// Which bytes are lost.
    lost: Vec<Range<u64>>,
    /// Whether more than pieces is lost.
    beyond_help: bool,
}

/// Where pieces are written, and where they may be already.
#[derive(Debug)]
enum Handle {
    /// Nothing was looked at or written yet.
    New,
    /// There is nothing to compare with, and nothing was written yet.
    Nothing,
    /// A new file of the staging tree.
    Made(OwnedFd),
    /// A file of the staging tree that had bytes before this restore wrote any: an interrupted restore left it, or it shares
    /// those of the target's own file.
    Filled {
        file: OwnedFd,
        old: Option<OwnedFd>,
    },
    /// The target's own file, changed where it differs.
    InPlace(OwnedFd),
    /// The target's own file, which may turn out to be right as it is.
    Old(OwnedFd),
    /// A new file, because the target's own one differs.
    Replacing {
        file: OwnedFd,
        old: OwnedFd,
    },
    Failed(io::Error),
}

impl Handle {
    /// Returns what pieces can be compared with.
    fn reading(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Filled { file, .. } | Self::InPlace(file) | Self::Old(file) => Some(file.as_fd()),
            Self::Replacing { old, .. } => Some(old.as_fd()),
            Self::New | Self::Nothing | Self::Made(_) | Self::Failed(_) => None,
        }
    }

    /// Returns where pieces are written.
    fn writing(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Made(file) | Self::Filled { file, .. } | Self::InPlace(file) => Some(file.as_fd()),
            Self::Replacing { file, .. } => Some(file.as_fd()),
            Self::New | Self::Nothing | Self::Old(_) | Self::Failed(_) => None,
        }
    }

    /// Says whether a piece that is right needs no writing.
    fn is_filled(&self) -> bool {
        matches!(self, Self::Filled { .. } | Self::InPlace(_))
    }

    /// Says whether there is a file of ours in the staging tree.
    fn is_staged(&self) -> bool {
        matches!(self, Self::Made(_) | Self::Filled { .. } | Self::Replacing { .. })
    }
}

impl LargeFile {
    pub(crate) fn new(entry: SmallEntry, found: Found) -> Self {
        let (end, there, changed, compared, failed) = Default::default();
        let (handle, pending) = (RwLock::new(Handle::New), AtomicU64::new(1));
        Self { entry, found, handle, pending, end, there, changed, compared, failed }
    }

    /// Notes that a piece ends somewhere, whoever writes it.
    pub(crate) fn ends_at(&self, end: u64) {
        self.end.fetch_max(end, Ordering::Relaxed);
    }

    /// Notes that one more piece is to be settled.
    pub(crate) fn expect_one(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that bytes are lost; the first reason is kept.
    pub(crate) fn fail(&self, cause: Cause, lost: Range<u64>) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.cause.get_or_insert(cause);
        match failed.lost.last_mut().filter(|last| last.end == lost.start) {
            Some(last) => last.end = lost.end,
            None => failed.lost.push(lost),
        }
    }

    /// Notes that the file cannot be written.
    fn fail_to_write(&self, error: &io::Error) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.cause.get_or_insert(handles::copy(error).into());
        failed.beyond_help = true;
    }

    fn take_failed(&self) -> Failed {
        std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that the target's own file has to be replaced, and returns the pieces of it that were taken for settled.
    fn differs(&self) -> Vec<Run> {
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        compared.differs = true;
        let right = std::mem::take(&mut compared.right);
        for run in &right {
            self.expect_one();
            self.there.fetch_sub(run.length.unwrap_or_default(), Ordering::Relaxed);
        }
        right
    }

    /// Takes a piece of the target's own file for settled, unless that file has to be replaced.
    fn settle(&self, run: Run) -> bool {
        let mut compared = self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        if !compared.differs {
            self.there.fetch_add(run.length.unwrap_or_default(), Ordering::Relaxed);
            compared.right.push(run);
        }
        !compared.differs
    }
}

impl Worker<'_> {
    /// Writes a piece that was read from the repository.
    pub(super) fn piece(&mut self, file: &Arc<LargeFile>, used: &Use, plain: Result<&[u8], Cause>) {
        match plain {
            Ok(bytes) => {
                if self.write_piece(file, bytes, used.offset) {
                    self.shared.tally.written(bytes.len() as u64);
                }
            }
            Err(cause) => {
                let length = used.length.unwrap_or_else(|| used.place.original_length.into());
                file.fail(cause, used.offset..used.offset.saturating_add(length));
            }
        }
        self.large_file_one_done(file);
    }

    /// Looks whether a piece is there already, and gives it back to the planner if not.
    pub(super) fn check_piece(&mut self, file: &Arc<LargeFile>, run: Run) {
        let give_back = |run| self.shared.checks.give_back(Item::Large(file.clone()), run);
        if matches!(*file.handle.read().unwrap_or_else(PoisonError::into_inner), Handle::New) {
            self.open_base(file);
        }
        let length = run.length.unwrap_or_default();
        let sharded = self.shared.options.is_shard();
        let handle = file.handle.read().unwrap_or_else(PoisonError::into_inner);
        // Where several write a file that nobody has begun, nothing need be read.
        let read = |source: &BorrowedFd<'_>| !sharded || shard::may_hold(source, run.start, length);
        let right = handle.reading().filter(read).is_some_and(|source| self.read_and_compare(source, &run));
        let filled = handle.is_filled();
        drop(handle);
        match right {
            true if filled => {
                file.there.fetch_add(length, Ordering::Relaxed);
                self.shared.tally.found(length);
            }
            // It may be kept as it is; that is known at the end.
            true if file.settle(run) => {}
            true => {
                let bytes = std::mem::take(&mut self.compared);
                if self.write_piece(file, &bytes, run.start) {
                    self.shared.tally.found(length);
                }
                self.compared = bytes;
            }
            false if filled => return give_back(run),
            false => {
                file.differs().into_iter().for_each(give_back);
                return give_back(run);
            }
        }
        self.large_file_one_done(file);
    }

    /// Opens what pieces can be compared with, if there is anything.
    fn open_base(&mut self, file: &LargeFile) {
        let mut handle = file.handle.write().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*handle, Handle::New) {
            return;
        }
        if self.shared.options.is_shard() {
            let folder = self.handles.open(&file.entry.folder);
            let opened = folder.and_then(|folder| shard::open(&*folder, &file.entry.name));
            *handle = match opened {
                Ok(file) => Handle::Filled { file, old: None },
                Err(error) => {
                    file.fail_to_write(&error);
                    Handle::Failed(error)
                }
            };
            return;
        }
        if file.found.left {
            let left = self.handles.open(&file.entry.folder).and_then(|folder| {
                // It may have its final mode already.
                let opened = open_file(folder.as_fd(), &file.entry.name, OFlags::RDWR);
                opened.inspect_err(|_| {
                    let _ = rustix::fs::unlinkat(&*folder, &*file.entry.name, AtFlags::empty());
                })
            });
            if let Ok((left, _)) = left {
                *handle = Handle::Filled { file: left, old: None };
                return;
            }
        }
        *handle = self.open_old(file).unwrap_or(Handle::Nothing);
    }

    /// Opens the target's own file, where that may help.
    fn open_old(&mut self, file: &LargeFile) -> Option<Handle> {
        if file.found.old != Some(Old::Compare) {
            return None;
        }
        let (root, entry) = (self.shared.target.folder.as_fd(), &file.entry);
        let folder = self.in_target.open(root, &entry.folder).ok()?;
        if self.shared.options.in_place
            && let Ok((old, _)) = open_file(folder.as_fd(), &entry.name, OFlags::RDWR)
        {
            return Some(Handle::InPlace(old));
        }
        let (old, size) = open_file(folder.as_fd(), &entry.name, OFlags::RDONLY).ok()?;
        if let Some(shared) = self.share(entry, &old) {
            return Some(Handle::Filled { file: shared, old: Some(old) });
        }
        if size != entry.size {
            file.differs();
        }
        Some(Handle::Old(old))
    }

    /// Makes a new file that shares the bytes of an old one, where the file system can do that.
    fn share(&mut self, entry: &SmallEntry, old: &OwnedFd) -> Option<OwnedFd> {
        if !self.shared.clones.load(Ordering::Relaxed) {
            return None;
        }
        let folder = self.handles.open(&entry.folder).ok()?;
        let new = self.metadata.create(folder.as_fd(), &entry.name, &entry.attributes, OFlags::RDWR).ok()?;
        if rustix::fs::ioctl_ficlone(&new, old).is_err() {
            self.shared.clones.store(false, Ordering::Relaxed);
            let _ = rustix::fs::unlinkat(&*folder, &*entry.name, AtFlags::empty());
            return None;
        }
        Some(new)
    }

    /// Writes bytes of a file; says whether that could be done.
    fn write_piece(&mut self, file: &LargeFile, bytes: &[u8], offset: u64) -> bool {
        match self.try_write_piece(file, bytes, offset) {
            Ok(()) => {
                file.there.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                true
            }
            Err(error) => {
                // A full disk ends everything at once; the rest is told when the file is finished.
                file.fail_to_write(&error);
                if is_fatal(&error) {
                    self.entry_failed(&file.entry.folder, &file.entry.name, error);
                }
                false
            }
        }
    }

    fn try_write_piece(&mut self, file: &LargeFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.changed.store(true, Ordering::Relaxed);
        loop {
            // Many threads write at once; only making the file is for one.
            let handle = file.handle.read().unwrap_or_else(PoisonError::into_inner);
            match (&*handle, handle.writing()) {
                (Handle::Failed(error), _) => return Err(handles::copy(error)),
                (_, Some(file)) if handle.is_filled() => {
                    return self.shared.bytes.overwrite(file, bytes, offset);
                }
                (_, Some(file)) => return self.shared.bytes.write(file, bytes, offset),
                (_, None) => drop(handle),
            }
            let mut handle = file.handle.write().unwrap_or_else(PoisonError::into_inner);
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
        let folder = self.handles.open(&entry.folder)?;
        let handle = self.metadata.create(folder.as_fd(), &entry.name, &entry.attributes, OFlags::WRONLY)?;
        self.shared.bytes.reserve(&handle, entry.size);
        Ok(handle)
    }

    /// Notes that a piece is settled or lost, or that the planner adds no more, and finishes the file after the last.
    pub(crate) fn large_file_one_done(&mut self, file: &Arc<LargeFile>) {
        if file.pending.fetch_sub(1, Ordering::AcqRel) != 1 || self.shared.stopped() {
            return;
        }
        let entry = &file.entry;
        // Closed here: the batch that it was planned in may live on.
        let closed = Handle::Failed(io::ErrorKind::BrokenPipe.into());
        let handle =
            std::mem::replace(&mut *file.handle.write().unwrap_or_else(PoisonError::into_inner), closed);
        // Only what this restore made is removed: with two entries of one name the other one made it.
        let staged = handle.is_staged();
        if self.shared.options.is_shard() {
            return self.finish_share(file, &handle);
        }
        let mut failed = file.take_failed();
        let result = match failed.cause.take() {
            Some(cause) => self.salvage(file, &handle, failed, &cause).then_some(true).ok_or(cause),
            None => match self.finish(file, handle) {
                Ok(Some(kept_staged)) => Ok(kept_staged),
                // It goes on: the file is looked at and written anew.
                Ok(None) => return,
                Err(cause) => Err(cause),
            },
        };
        let keep_staged = *result.as_ref().unwrap_or(&false);
        if staged
            && !keep_staged
            && let Ok(folder) = self.handles.open(&entry.folder)
        {
            let _ = rustix::fs::unlinkat(&*folder, &*entry.name, AtFlags::empty());
        }
        match result {
            Ok(_) => {}
            Err(Cause::Target(error)) if is_fatal(&error) || !entry.folder.is_lost() => {
                self.entry_failed(&entry.folder, &entry.name, handles::copy(&error));
            }
            Err(Cause::Target(_)) => {}
            Err(cause) => self.shared.tally.problem(entry.folder.path_of(&entry.name), cause),
        }
        self.child_done(entry.folder.clone());
    }

    /// Leaves a file to the other shards, and to who finishes the restore.
    fn finish_share(&mut self, file: &LargeFile, handle: &Handle) {
        let entry = &file.entry;
        // What somebody left there may be longer, and who finishes the restore does not know where the file ends.
        let end = file.end.load(Ordering::Relaxed);
        if let Some(open) = handle.writing()
            && let Ok(stat) = rustix::fs::fstat(open)
            && u64::try_from(stat.st_size).is_ok_and(|size| size > end)
            && let Err(errno) = rustix::fs::ftruncate(open, end)
        {
            file.fail_to_write(&errno.into());
        }
        let path = entry.folder.path_of(&entry.name);
        match file.take_failed().cause {
            None => self.shared.tally.share(file.there.load(Ordering::Relaxed)),
            Some(cause) => {
                self.shared.tear(path.clone(), cause.to_string());
                self.shared.tally.problem(path, cause);
            }
        }
        self.child_done(entry.folder.clone());
    }

    /// Finishes a file that is whole. Says whether what is staged of it, if anything is, is to be moved to its place; nothing
    /// if the file has to be written after all.
    fn finish(&mut self, file: &Arc<LargeFile>, handle: Handle) -> Result<Option<bool>, Cause> {
        let entry = &file.entry;
        let there = file.there.load(Ordering::Relaxed);
        let unchanged = !file.changed.load(Ordering::Relaxed);
        match handle {
            Handle::Made(made) | Handle::Replacing { file: made, .. } => {
                // The room that was reserved may be more than the pieces had.
                if entry.size > there {
                    rustix::fs::ftruncate(&made, there).map_err(io::Error::from)?;
                }
                self.shared.bytes.end(&made, there)?;
                self.metadata.finish_file(made.as_fd(), &entry.attributes)?;
                self.sync(&made)?;
                self.file_is_there(entry, there);
            }
            Handle::Filled { old: Some(old), .. } if unchanged && self.keep(entry, &old, there) => {
                self.count_kept(entry, there);
                return Ok(Some(false));
            }
            Handle::Filled { file: filled, .. } => {
                self.finish_filled(entry, &filled, there)?;
                self.file_is_there(entry, there);
            }
            Handle::InPlace(filled) => {
                self.finish_filled(entry, &filled, there)?;
                match unchanged {
                    true => self.count_kept(entry, there),
                    false => self.file_in_place_is_there(entry, there),
                }
            }
            Handle::Old(old) if self.keep(entry, &old, there) => {
                self.shared.tally.found(there);
                self.count_kept(entry, there);
            }
            Handle::Old(old) => {
                let right = file.differs();
                *file.handle.write().unwrap_or_else(PoisonError::into_inner) = Handle::Old(old);
                for run in right {
                    self.shared.checks.give_back(Item::Large(file.clone()), run);
                }
                return Ok(None);
            }
            Handle::Failed(error) => return Err(error.into()),
            Handle::New | Handle::Nothing => return Err(Cause::Entry("it has no pieces".into())),
        }
        Ok(Some(true))
    }

    fn finish_filled(&mut self, entry: &SmallEntry, file: &OwnedFd, length: u64) -> io::Result<()> {
        if u64::try_from(rustix::fs::fstat(file)?.st_size) != Ok(length) {
            rustix::fs::ftruncate(file, length)?;
        }
        self.metadata.correct_file(file.as_fd(), &entry.attributes)?;
        self.sync(file)
    }

    /// Keeps the target's own file as it is, if it has the right length and takes the right attributes.
    fn keep(&mut self, entry: &SmallEntry, old: &OwnedFd, length: u64) -> bool {
        let size = rustix::fs::fstat(old).map(|stat| stat.st_size).unwrap_or(-1);
        u64::try_from(size) == Ok(length)
            && self.metadata.correct_file(old.as_fd(), &entry.attributes).is_ok()
            && self.sync(old).is_ok()
    }

    /// Keeps what there is of a file of which pieces are lost, if that was asked for; says whether it did.
    fn salvage(&mut self, file: &LargeFile, handle: &Handle, failed: Failed, cause: &Cause) -> bool {
        let entry = &file.entry;
        let there = file.there.load(Ordering::Relaxed);
        let wanted = self.shared.options.salvage && !failed.beyond_help && there > 0 && handle.is_staged();
        let Some(staged) = handle.writing().filter(|_| wanted) else { return false };
        let lost = in_order(failed.lost);
        let result = self.blank(staged, &lost, entry.size).and_then(|()| {
            let folder = self.handles.open(&entry.folder)?;
            self.metadata.correct_file(staged, &entry.attributes)?;
            let temporary = partial::temporary(&entry.folder.path_of(&entry.name));
            rustix::fs::renameat(&*folder, &*entry.name, &*folder, &*temporary)?;
            Ok(temporary)
        });
        match result {
            Ok(temporary) => {
                let (name, cause) = (entry.name.clone(), cause.clone());
                entry.folder.add_partial(Partial { name, temporary, cause, lost });
                entry.folder.one_staged();
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
