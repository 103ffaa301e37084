//! Writing one entry: whole, or piece by piece.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustix::fs::AtFlags;

use super::{Worker, is_fatal};
use crate::Sync;
use crate::destination::folder::Folder;
use crate::destination::handles;
use crate::destination::metadata::Attributes;
use crate::outcome::Cause;
use crate::plan::batch::Use;

/// A file of one content, or a link.
#[derive(Debug)]
pub(crate) struct SmallEntry {
    pub(crate) folder: Arc<Folder>,
    pub(crate) name: Box<str>,
    pub(crate) attributes: Attributes,
    /// The size that its entry states, in bytes.
    pub(crate) size: u64,
    pub(crate) symlink: bool,
}

/// A file of several contents, while they are written.
#[derive(Debug)]
pub(crate) struct LargeFile {
    entry: SmallEntry,
    handle: RwLock<Handle>,
    /// Pieces that are not written, and one for the planner while it still adds some.
    pending: AtomicU64,
    written: AtomicU64,
    failed: Mutex<Option<Cause>>,
}

#[derive(Debug)]
enum Handle {
    /// No piece was written yet.
    New,
    Open(OwnedFd),
    Failed(io::Error),
}

impl LargeFile {
    pub(crate) fn new(entry: SmallEntry) -> Self {
        let (written, failed) = Default::default();
        Self { entry, handle: RwLock::new(Handle::New), pending: AtomicU64::new(1), written, failed }
    }

    /// Notes that one more piece is to be written.
    pub(crate) fn expect_one(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a piece is lost; the first reason is kept.
    pub(crate) fn fail(&self, cause: Cause) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
    }
}

impl Worker<'_> {
    /// Writes and finishes a small file or link.
    pub(super) fn small(&mut self, entry: &SmallEntry, plain: Result<&[u8], Cause>) {
        let path = || entry.folder.path_of(&entry.name);
        match plain {
            Err(cause) => self.shared.tally.problem(path(), cause),
            Ok(bytes) => {
                let written = match entry.symlink {
                    true => self.symlink(entry, bytes),
                    false => self.file(entry, bytes),
                };
                match written {
                    Ok(()) if entry.symlink => {
                        entry.folder.one_staged();
                        self.shared.tally.symlink();
                    }
                    Ok(()) => {
                        self.shared.tally.written(bytes.len() as u64);
                        self.file_is_there(entry, bytes.len() as u64);
                    }
                    // Its folder could not be made, and that is reported when the folder is finished.
                    Err(error) if entry.folder.is_lost() && !is_fatal(&error) => {}
                    Err(error) => self.entry_failed(&entry.folder, &entry.name, error),
                }
            }
        }
        self.child_done(entry.folder.clone());
    }

    fn file(&mut self, entry: &SmallEntry, bytes: &[u8]) -> io::Result<()> {
        let folder = self.handles.open(&entry.folder)?;
        let file = self.metadata.create(folder.as_fd(), &entry.name, &entry.attributes)?;
        let result = self.fill(&file, entry, bytes);
        if result.is_err() {
            let _ = rustix::fs::unlinkat(&*folder, &*entry.name, AtFlags::empty());
        }
        result
    }

    fn fill(&mut self, file: &OwnedFd, entry: &SmallEntry, bytes: &[u8]) -> io::Result<()> {
        self.shared.bytes.reserve(file, bytes.len() as u64);
        self.shared.bytes.write(file, bytes, 0)?;
        self.shared.bytes.end(file, bytes.len() as u64)?;
        self.metadata.finish_file(file.as_fd(), &entry.attributes)?;
        self.sync(file)
    }

    fn symlink(&mut self, entry: &SmallEntry, target: &[u8]) -> io::Result<()> {
        let folder = self.handles.open(&entry.folder)?;
        // An empty target or one with NUL is refused by the system, and that is what is reported.
        rustix::fs::symlinkat(target, &*folder, &*entry.name)?;
        self.metadata.finish_symlink(folder.as_fd(), &entry.name, &entry.attributes)
    }

    /// Writes a piece of a large file.
    pub(super) fn piece(&mut self, file: &Arc<LargeFile>, used: Option<&Use>, plain: Result<&[u8], Cause>) {
        match plain {
            Ok(bytes) => {
                let offset = used.map_or(0, |used| used.offset);
                if let Err(error) = self.write_piece(file, bytes, offset) {
                    // A full disk ends everything at once; the rest is told when the file is finished.
                    file.fail(handles::copy(&error).into());
                    if is_fatal(&error) {
                        self.entry_failed(&file.entry.folder, &file.entry.name, error);
                    }
                }
            }
            Err(cause) => file.fail(cause),
        }
        self.large_file_one_done(file);
    }

    fn write_piece(&mut self, file: &LargeFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        loop {
            // Many threads write at once; only making the file is for one.
            match &*file.handle.read().unwrap_or_else(PoisonError::into_inner) {
                Handle::New => {}
                Handle::Open(handle) => {
                    self.shared.bytes.write(handle, bytes, offset)?;
                    break;
                }
                Handle::Failed(error) => return Err(handles::copy(error)),
            }
            let mut handle = file.handle.write().unwrap_or_else(PoisonError::into_inner);
            if matches!(*handle, Handle::New) {
                *handle = self.create(&file.entry).map_or_else(Handle::Failed, Handle::Open);
            }
        }
        file.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.shared.tally.written(bytes.len() as u64);
        Ok(())
    }

    fn create(&mut self, entry: &SmallEntry) -> io::Result<OwnedFd> {
        let folder = self.handles.open(&entry.folder)?;
        let handle = self.metadata.create(folder.as_fd(), &entry.name, &entry.attributes)?;
        self.shared.bytes.reserve(&handle, entry.size);
        Ok(handle)
    }

    /// Notes that a piece is written or lost, or that the planner adds no more, and finishes the file after the last.
    pub(crate) fn large_file_one_done(&mut self, file: &Arc<LargeFile>) {
        if file.pending.fetch_sub(1, Ordering::AcqRel) != 1 || self.shared.stopped() {
            return;
        }
        let entry = &file.entry;
        let failed = file.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let written = file.written.load(Ordering::Relaxed);
        // Closed here: the batch that it was planned in may live on.
        let handle = std::mem::replace(
            &mut *file.handle.write().unwrap_or_else(PoisonError::into_inner),
            Handle::Failed(io::ErrorKind::BrokenPipe.into()),
        );
        // Only what this restore made is removed: with two entries of one name the other one made it.
        let made = matches!(handle, Handle::Open(_));
        let result = match (failed, handle) {
            (Some(cause), _) => Err(cause),
            (None, Handle::Open(handle)) => self.finish_large(&handle, entry, written).map_err(Cause::from),
            (None, Handle::Failed(error)) => Err(error.into()),
            (None, Handle::New) => Err(Cause::Entry("it has no pieces".into())),
        };
        match result {
            Ok(()) => self.file_is_there(entry, written),
            Err(cause) => {
                if made && let Ok(folder) = self.handles.open(&entry.folder) {
                    let _ = rustix::fs::unlinkat(&*folder, &*entry.name, AtFlags::empty());
                }
                match cause {
                    Cause::Target(error) if is_fatal(&error) || !entry.folder.is_lost() => {
                        self.entry_failed(&entry.folder, &entry.name, handles::copy(&error));
                    }
                    Cause::Target(_) => {}
                    cause => self.shared.tally.problem(entry.folder.path_of(&entry.name), cause),
                }
            }
        }
        self.child_done(entry.folder.clone());
    }

    fn finish_large(&mut self, handle: &OwnedFd, entry: &SmallEntry, written: u64) -> io::Result<()> {
        // The room that was reserved may be more than the pieces had.
        if entry.size > written {
            rustix::fs::ftruncate(handle, written)?;
        }
        self.shared.bytes.end(handle, written)?;
        self.metadata.finish_file(handle.as_fd(), &entry.attributes)?;
        self.sync(handle)
    }

    fn sync(&self, file: &OwnedFd) -> io::Result<()> {
        match self.shared.options.sync {
            Sync::Files => Ok(rustix::fs::fsync(file)?),
            Sync::None | Sync::Filesystem => Ok(()),
        }
    }

    /// Counts a file, and says so if the repository has another size for it than its entry.
    fn file_is_there(&self, entry: &SmallEntry, length: u64) {
        self.shared.tally.file(length);
        entry.folder.one_staged();
        if length != entry.size {
            let why = format!("it has {length} bytes, its entry says {}", entry.size);
            self.shared.tally.problem(entry.folder.path_of(&entry.name), Cause::Entry(why));
        }
    }
}
