//! The files that the kernel knows: each is held open as long as it does, by a handle that only names it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{FileAttr, INodeNo};
use rustix::fs::{CWD, Mode, OFlags, fstat, open, openat};
use rustix::io::Errno;

use crate::attributes::attributes;

/// A handle that names a file, folder or link without opening it.
const NAME: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Files by their inode numbers; the folder that is passed through is number 1.
pub(crate) struct Nodes {
    root: Arc<OwnedFd>,
    device: u64,
    root_number: u64,
    others: Mutex<HashMap<u64, Node>>,
}

struct Node {
    handle: Arc<OwnedFd>,
    /// How often the kernel was told of it, and has not forgotten that yet.
    told: u64,
}

impl Nodes {
    /// Opens the folder that is passed through.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let root = openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let stat = fstat(&root)?;
        Ok(Self {
            root: Arc::new(root),
            device: stat.st_dev,
            root_number: stat.st_ino,
            others: Mutex::new(HashMap::new()),
        })
    }

    /// Returns the handle of a file.
    pub(crate) fn handle(&self, number: INodeNo) -> io::Result<Arc<OwnedFd>> {
        if number == INodeNo::ROOT {
            return Ok(self.root.clone());
        }
        self.lock().get(&number.0).map(|node| node.handle.clone()).ok_or(Errno::STALE.into())
    }

    /// Looks for a name in a folder, of which the kernel is told.
    pub(crate) fn find(&self, folder: impl AsFd, name: impl rustix::path::Arg) -> io::Result<FileAttr> {
        self.tell(openat(folder, name, NAME, Mode::empty())?)
    }

    /// Adds a file that was opened, of which the kernel is told.
    pub(crate) fn find_open(&self, file: impl AsFd) -> io::Result<FileAttr> {
        self.tell(open(path_of(file), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
    }

    fn tell(&self, handle: OwnedFd) -> io::Result<FileAttr> {
        let stat = fstat(&handle)?;
        // Numbers are those of the device, so that there can be only one.
        if stat.st_dev != self.device {
            return Err(Errno::XDEV.into());
        }
        let attributes = attributes(&stat, self.number(stat.st_ino));
        if attributes.ino != INodeNo::ROOT {
            match self.lock().entry(stat.st_ino) {
                Entry::Occupied(mut node) => node.get_mut().told += 1,
                Entry::Vacant(place) => {
                    place.insert(Node { handle: Arc::new(handle), told: 1 });
                }
            }
        }
        Ok(attributes)
    }

    /// Returns the attributes of a file that the kernel knows already.
    pub(crate) fn attributes(&self, file: impl AsFd) -> io::Result<FileAttr> {
        let stat = fstat(file)?;
        Ok(attributes(&stat, self.number(stat.st_ino)))
    }

    /// Takes back that the kernel was told of a file so many times.
    pub(crate) fn forget(&self, number: INodeNo, times: u64) {
        let mut others = self.lock();
        if let Entry::Occupied(mut node) = others.entry(number.0) {
            let left = node.get().told.saturating_sub(times);
            node.get_mut().told = left;
            if left == 0 {
                node.remove();
            }
        }
    }

    fn number(&self, number: u64) -> INodeNo {
        if number == self.root_number { INodeNo::ROOT } else { INodeNo(number) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Node>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a path to what a handle names, for calls that take no such handle.
pub(crate) fn path_of(handle: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_held_until_they_are_forgotten_as_often_as_they_were_found() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a"), "abc").unwrap();
        let nodes = Nodes::open(place.path()).unwrap();
        let root = nodes.handle(INodeNo::ROOT).unwrap();
        let found = nodes.find(&root, "a").unwrap();
        assert_eq!((found.size, nodes.find(&root, "a").unwrap().ino), (3, found.ino));
        fs::remove_file(place.path().join("a")).unwrap();
        assert_eq!(nodes.attributes(nodes.handle(found.ino).unwrap()).unwrap().nlink, 0);
        nodes.forget(found.ino, 1);
        assert!(nodes.handle(found.ino).is_ok());
        nodes.forget(found.ino, 1);
        assert!(nodes.handle(found.ino).is_err());
        nodes.forget(INodeNo::ROOT, 5);
        assert!(nodes.handle(INodeNo::ROOT).is_ok());
        assert_eq!(nodes.find(&root, "none").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
