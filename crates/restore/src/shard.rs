//! One restore by several processes, each of which writes a part.
//!
//! All write into the same unfinished directory of a target that they share. [`crate::plan`] decides what
//! each writes. A shard that is through leaves a marker beside the directory, with the files that it could
//! not write whole and the directories that it could not read; whoever finishes the restore demands all
//! markers, restores what these name, sets attributes and moves everything to its place.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard};

use kopia_repository::Shard;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::lock;

/// Which part of a restore is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Portion {
    /// All of it.
    #[default]
    Whole,
    /// What falls to one of several processes. Nothing gets its final name, nor does the target's own content
    /// matter.
    Shard(Shard),
    /// What is left to do when so many shards are through: attributes, names, and what is to be deleted.
    Finish(u32),
}

/// Paths of what is not whole, each with the reason.
///
/// These are files that a shard could not write whole and, with `/` at their end, directories that it could
/// not read to their end.
pub(crate) type Incomplete = HashMap<String, String>;

/// What is not whole, while threads add to it: of this shard, or of all where the restore is finished.
#[derive(Debug, Default)]
pub(crate) struct IncompleteFiles(Mutex<Incomplete>);

impl IncompleteFiles {
    pub(crate) fn new(incomplete: Incomplete) -> Self {
        Self(Mutex::new(incomplete))
    }

    /// Adds a file or directory that is not whole.
    ///
    /// A directory's path ends in `/`; it is not known what is in it.
    pub(crate) fn add(&self, path: String, why: String) {
        self.lock().insert(path, why);
    }

    /// Returns whether a file, or a directory above it, is not whole.
    pub(crate) fn concern(&self, path: &str) -> bool {
        let incomplete = self.lock();
        let mut above = path.match_indices('/').map(|(end, _)| &path[..=end]);
        // The root's own path is empty.
        incomplete.contains_key(path)
            || incomplete.contains_key("/")
            || above.any(|above| incomplete.contains_key(above))
    }

    /// Takes all of them.
    pub(crate) fn take(&self) -> Incomplete {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Incomplete> {
        lock::lock(&self.0)
    }
}

/// Opens a file that several shards write, or makes it.
pub(crate) fn open(directory: impl AsFd, name: &[u8]) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?;
    let stat = rustix::fs::fstat(&file)?;
    match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::RegularFile if stat.st_nlink == 1 => Ok(file),
        _ => Err(Errno::EXIST.into()),
    }
}

/// Returns whether a range of a file may hold something: a shard that begins finds holes, which need not be
/// read.
pub(crate) fn may_hold(file: impl AsFd, start: u64, length: u64) -> bool {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(start)) {
        Ok(data) => data < start.saturating_add(length),
        Err(Errno::NXIO) => false,
        Err(_) => true,
    }
}
