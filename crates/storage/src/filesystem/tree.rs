//! The directory as a tree: what system calls say of its entries.
//!
//! All calls go by way of the open root, wherever its path leads by now.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::open_blob::modified;
use crate::sharded::{DirectoryTree, Entry, EntryKind, FILE_NAME, Links, MAX_LENGTH, Stat, Visitor};

/// How many directories are worth a thread.
const DIRECTORIES_A_THREAD: usize = 16;

/// A directory of the local system and all below it.
#[derive(Debug)]
pub(crate) struct LocalTree {
    root: OwnedFd,
    /// How many threads may read at once.
    threads: usize,
}

impl LocalTree {
    /// Opens a directory.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
    }

    /// Reads by so many threads at once.
    pub(super) fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Reads the file `.shards`, if there is one.
    pub(super) fn shards_file(&self) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.root, FILE_NAME, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            result => File::from(result?),
        };
        let mut json = Vec::new();
        match file.take(MAX_LENGTH + 1).read_to_end(&mut json) {
            // A directory of that name says nothing.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(None),
            result => result.map(|_| Some(json)),
        }
    }
}

/// Takes a directory that is open, to be read by one thread until [`LocalTree::with_threads`] says more.
impl From<OwnedFd> for LocalTree {
    fn from(root: OwnedFd) -> Self {
        Self { root, threads: 1 }
    }
}

impl AsFd for LocalTree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

impl DirectoryTree for LocalTree {
    fn list(&self, directory: &[u8], visit: &mut Visitor<'_>) -> io::Result<()> {
        let is_root = directory.is_empty();
        let path = if is_root { b"." } else { directory };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match rustix::fs::openat(&self.root, path, flags, Mode::empty()) {
            // A link is no directory.
            Err(Errno::LOOP) => return Err(Errno::NOTDIR.into()),
            result => result?,
        };
        let mut entries = Dir::read_from(&handle)?;
        while let Some(entry) = entries.read() {
            let entry = match entry {
                Err(Errno::NOENT) => break,
                entry => entry?,
            };
            let name = entry.file_name();
            let ask = |links| stat_at(&handle, name.to_bytes(), links);
            visit(Entry::asking(name.to_bytes(), kind(entry.file_type()), &ask))?;
        }
        Ok(())
    }

    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        stat_at(&self.root, path, Links::Follow)
    }

    fn listing_threads(&self, directories: usize) -> usize {
        self.threads.min(directories / DIRECTORIES_A_THREAD).max(1)
    }
}

/// Asks what a path below an open directory is.
fn stat_at(directory: impl AsFd, path: &[u8], links: Links) -> io::Result<Stat> {
    let flags = match links {
        Links::Follow => AtFlags::empty(),
        Links::Keep => AtFlags::SYMLINK_NOFOLLOW,
    };
    match rustix::fs::statat(directory, path, flags) {
        // It leads nowhere.
        Err(Errno::LOOP) => Err(Errno::NOENT.into()),
        stat => {
            let stat = stat?;
            let identity = (stat.st_dev, stat.st_ino);
            Ok(match kind(FileType::from_raw_mode(stat.st_mode)) {
                EntryKind::File => Stat::file(u64::try_from(stat.st_size).unwrap_or(0), modified(&stat)),
                kind => Stat::other(kind),
            }
            .with_identity(identity))
        }
    }
}

/// Returns what a type of file is to a tree.
fn kind(file_type: FileType) -> EntryKind {
    match file_type {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Unknown => EntryKind::Unknown,
        _ => EntryKind::Other,
    }
}

#[cfg(test)]
mod tests;
