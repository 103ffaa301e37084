//! What is open: files, and folders that are listed.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{FileHandle, FileType, INodeNo};
use rustix::io::Errno;

use crate::nodes::path_of;

/// Open things by the numbers that the kernel knows them by.
pub(crate) struct Handles<T> {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<T>>>,
}

impl<T> Handles<T> {
    pub(crate) fn new() -> Self {
        Self { next: AtomicU64::new(1), open: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn add(&self, open: T) -> FileHandle {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, Arc::new(open));
        FileHandle(number)
    }

    /// # Errors
    /// EBADF for one that is not open.
    pub(crate) fn get(&self, handle: FileHandle) -> io::Result<Arc<T>> {
        self.lock().get(&handle.0).cloned().ok_or(Errno::BADF.into())
    }

    pub(crate) fn close(&self, handle: FileHandle) {
        let closed = self.lock().remove(&handle.0);
        // Not while the others wait for the lock.
        drop(closed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<T>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A folder that is listed.
pub(crate) struct Folder {
    pub(crate) node: Arc<OwnedFd>,
    /// What it held when it was listed from its beginning.
    listed: Mutex<Arc<[Listed]>>,
}

/// A name in a folder.
pub(crate) struct Listed {
    pub(crate) name: OsString,
    pub(crate) kind: FileType,
    pub(crate) number: INodeNo,
}

impl Folder {
    pub(crate) fn new(node: Arc<OwnedFd>) -> Self {
        Self { node, listed: Mutex::new([].into()) }
    }

    /// Returns names from `offset` on, each with the offset behind it. They are read where that is 0.
    pub(crate) fn list(&self, offset: u64) -> io::Result<(Arc<[Listed]>, usize)> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if offset == 0 {
            *listed = read(&self.node)?;
        }
        Ok((listed.clone(), usize::try_from(offset).unwrap_or(usize::MAX).min(listed.len())))
    }
}

fn read(folder: &OwnedFd) -> io::Result<Arc<[Listed]>> {
    use std::os::unix::fs::DirEntryExt;

    fs::read_dir(path_of(folder))?
        .map(|entry| {
            let entry = entry?;
            let kind = FileType::from_std(entry.file_type()?).unwrap_or(FileType::RegularFile);
            Ok(Listed { name: entry.file_name(), kind, number: INodeNo(entry.ino()) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_closed_once() {
        let handles = Handles::new();
        let (one, other) = (handles.add(1), handles.add(2));
        assert_eq!((*handles.get(one).unwrap(), *handles.get(other).unwrap()), (1, 2));
        handles.close(one);
        assert!(handles.get(one).is_err() && handles.get(other).is_ok());
    }

    #[test]
    fn a_listing_stays_as_it_was_until_it_begins_anew() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a"), "").unwrap();
        let folder = Folder::new(Arc::new(fs::File::open(place.path()).unwrap().into()));
        let (listed, first) = folder.list(0).unwrap();
        assert_eq!((listed.len(), first, &*listed[0].name), (1, 0, "a".as_ref()));
        fs::write(place.path().join("b"), "").unwrap();
        let (listed, first) = folder.list(1).unwrap();
        assert_eq!((listed.len(), first), (1, 1));
        assert_eq!(folder.list(0).unwrap().0.len(), 2);
        assert_eq!(folder.list(u64::MAX).unwrap().1, 2);
    }
}
