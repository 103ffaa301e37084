//! One restore by several processes, each of which writes a part.
//!
//! All write into the same unfinished folder of a target that they share. [`crate::plan`] decides what each writes. A shard
//! that is through leaves a mark beside the folder, with the files that it could not write whole and the directories that
//! it could not read; whoever finishes the restore demands all marks, restores what these name, sets attributes and moves
//! everything to its place.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use kopia_repository::verify::Shard;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Which part of a restore is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// What falls to one of several processes. Nothing gets its final name, nor does the target's own content matter.
    Shard(Shard),
    /// What is left to do when so many shards are through: attributes, names, and what is to be deleted.
    Finish(u32),
}

/// Files that a shard could not write whole and, with `/` at their end, directories that it could not read to their end, each
/// with the reason.
pub(crate) type Torn = HashMap<String, String>;

/// Opens a file that several shards write, or makes it.
pub(crate) fn open(folder: impl AsFd, name: &str) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    let stat = rustix::fs::fstat(&file)?;
    match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::RegularFile if stat.st_nlink == 1 => Ok(file),
        _ => Err(Errno::EXIST.into()),
    }
}

/// Says whether a range of a file may hold something: a shard that begins finds holes, which need not be read.
pub(crate) fn may_hold(file: impl AsFd, start: u64, length: u64) -> bool {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(start)) {
        Ok(data) => data < start.saturating_add(length),
        Err(Errno::NXIO) => false,
        Err(_) => true,
    }
}
