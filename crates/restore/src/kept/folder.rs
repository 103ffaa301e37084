//! A folder that keeps what a restore replaced: opened, undone, forgotten.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use kopia_format::Timestamp;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::journal::{self, Journal, Read};
use super::ownership::refuse_others;
use super::record::Record;
use super::undo::{self, Undone};
use super::{KEPT, PREFIX};
use crate::destination::lockable::Lockable;
use crate::destination::remove::remove_tree;
use crate::destination::{Identity, is_posix, open_directory};
use crate::{Error, Result};

/// A folder that keeps what a restore replaced and deleted.
#[derive(Debug)]
pub struct KeptFolder {
    pub(super) path: PathBuf,
    /// The directory that it lies in, and its name there.
    pub(super) parent: OwnedFd,
    pub(super) name: String,
    pub(super) handle: Lockable,
    pub(super) read: Read,
}

/// What is to be done about a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptState {
    /// The restore did not come to its end, or is still running. It can go on, or be undone.
    Unfinished,
    /// It can be undone.
    Done,
    /// It was undone. What had been changed after the restore lies in the folder, in `aside`.
    Undone,
    /// What it kept was to be deleted, and some of it may be left.
    Forgotten,
}

impl KeptFolder {
    /// Opens a folder and reads its journal.
    ///
    /// # Errors
    /// [`Error::Target`] if it cannot be read, belongs to somebody else or is open to others, who could have
    /// written anything into it, or if its journal is damaged or of a target that lies elsewhere. Where all new
    /// files are somebody else's, or no modes can be set, owner and mode tell nothing: a file is made and removed
    /// in the folder to find out, which keeps its time.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        Self::read(&path).map_err(|source| error(&path, "is no folder of what was replaced", source))
    }

    fn read(path: &Path) -> io::Result<Self> {
        // Without `/` at its end, or `.`.
        let path: PathBuf = std::path::absolute(path)?.components().collect();
        let name = path.file_name().and_then(OsStr::to_str).filter(|name| name.starts_with(PREFIX));
        let (Some(directory), Some(name)) = (path.parent(), name) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("its name does not begin with {PREFIX}"),
            ));
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::open(directory, flags, Mode::empty())?;
        let handle = Lockable::new(open_directory(parent.as_fd(), name)?);
        refuse_others(parent.as_fd(), handle.as_fd())?;
        let read = journal::read(handle.as_fd())?;
        refuse_elsewhere(&parent, Path::new(OsStr::from_bytes(&read.header.path)))?;
        Ok(Self { parent, name: name.to_owned(), handle, read, path })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory that was restored to.
    pub fn target(&self) -> PathBuf {
        OsString::from_vec(self.read.header.path.clone()).into()
    }

    /// Returns when the restore began, to the second.
    pub fn began(&self) -> Timestamp {
        Timestamp::new(self.read.header.began, 0).unwrap_or_default()
    }

    /// Returns whether its restore began after that of another folder of the same target. Those of one second are
    /// numbered.
    ///
    /// A clock that was set back between the two makes the later one the earlier.
    pub fn is_later_than(&self, other: &Self) -> bool {
        self.order() > other.order()
    }

    /// Returns when the restore began, in seconds since 1970, and its number among those of this second.
    pub(super) fn order(&self) -> (i64, u32) {
        (self.read.header.began, self.number())
    }

    /// Returns the id of the root object that was restored.
    pub fn object(&self) -> &str {
        let key = &self.read.header.key;
        key.split_once('-').map_or(key, |(object, _)| object)
    }

    /// Returns what is to be done about it.
    pub fn state(&self) -> KeptState {
        if self.read.forgotten {
            KeptState::Forgotten
        } else if self.read.undone {
            KeptState::Undone
        } else if self.read.done {
            KeptState::Done
        } else {
            KeptState::Unfinished
        }
    }

    /// Counts what is kept, each directory with all below it as one.
    pub fn kept(&self) -> u64 {
        fs::read_dir(self.path.join(KEPT)).map_or(0, |entries| entries.count() as u64)
    }

    /// Counts what the restore has put there, each new directory with all below it as one.
    pub fn written(&self) -> u64 {
        self.read.put
    }

    /// Returns how many bytes the files have that it keeps, and those that were put aside.
    pub fn bytes(&self) -> u64 {
        let (mut bytes, mut waiting) = (0_u64, vec![self.path.join(KEPT), self.path.join(super::ASIDE)]);
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => waiting.push(entry.path()),
                    Ok(metadata) if metadata.is_file() => bytes = bytes.saturating_add(metadata.len()),
                    _ => {}
                }
            }
        }
        bytes
    }

    /// Puts everything back as it was before the restore: what it replaced and deleted, owners, modes and
    /// times. What it wrote goes.
    ///
    /// What was changed after the restore is put aside, and named. Where nothing is, the folder is gone after
    /// that. An undo that was interrupted can be run again.
    ///
    /// On FAT, exFAT and FUSE, inode numbers may be others once the file system was mounted again. Files are known
    /// by their sizes and times then, and directories that the restore made are put aside as a whole.
    ///
    /// # Errors
    /// [`Error::Busy`] if the restore is still running, [`Error::Target`] if the target is another directory by
    /// now or nothing can be done in it. What concerns single entries is in [`Undone::problems`].
    pub fn undo(self) -> Result<Undone> {
        let target = self.target();
        self.lock().map_err(|_| Error::Busy { target: target.clone() })?;
        if matches!(self.state(), KeptState::Undone | KeptState::Forgotten) {
            let source = io::Error::other("nothing of what was replaced is kept any more");
            return Err(error(&self.path, "cannot be undone", source));
        }
        undo::run(self, is_posix)
    }

    /// Deletes what is kept, which then cannot be put back any more; also what was put aside.
    ///
    /// # Errors
    /// [`Error::Busy`] if the restore is still running, [`Error::Target`] if it cannot be deleted.
    pub fn forget(self) -> Result<()> {
        self.lock().map_err(|_| Error::Busy { target: self.target() })?;
        let forget = || -> io::Result<()> {
            // What is left if this is killed is not to be put back in part.
            let mut journal = Journal::open(self.handle.as_fd(), self.read.length)?;
            let noted = journal.record(&Record::Forgotten).and_then(|()| journal.sync());
            // A full disk is why people delete this.
            noted.or_else(|_| {
                journal.replace(self.read.start, &Record::Forgotten).and_then(|()| journal.sync())
            })?;
            let identity = Identity::of(&self.handle)?;
            for name in [KEPT, super::ASIDE] {
                remove_tree(self.handle.as_fd(), name.as_bytes(), None)?;
            }
            remove_tree(self.parent.as_fd(), self.name.as_bytes(), Some(identity)).map(drop)
        };
        forget().map_err(|source| error(&self.path, "cannot be deleted", source))
    }

    /// Locks it, so that nobody else changes what is in it.
    pub(super) fn lock(&self) -> io::Result<()> {
        match self.handle.try_lock() {
            Err(Errno::WOULDBLOCK) => Err(Errno::BUSY.into()),
            // Some network file systems have no locks.
            _ => Ok(()),
        }
    }
}

/// Refuses a folder whose journal is of a target that it lies neither in nor beside: no restore makes one there,
/// and whoever could put it where it lies need not be allowed to change that target.
fn refuse_elsewhere(directory: &OwnedFd, target: &Path) -> io::Result<()> {
    let own = Identity::of(directory)?;
    let is_own = |path: &Path| rustix::fs::stat(path).is_ok_and(|stat| Identity::from(&stat) == own);
    if is_own(target) || target.parent().is_some_and(is_own) {
        return Ok(());
    }
    let why = format!("its journal is of {}, and it lies neither there nor beside it", target.display());
    Err(io::Error::new(io::ErrorKind::InvalidData, why))
}

pub(super) fn error(path: &Path, what: &'static str, source: io::Error) -> Error {
    Error::Target { path: path.into(), what, source, unfinished: None }
}
