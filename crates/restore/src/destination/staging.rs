//! The one folder that is there while a restore is unfinished.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kopia_format::ObjectId;
use rustix::fs::{Dir, FlockOperation, Mode};
use rustix::io::Errno;

use super::remove::remove_tree;
use super::target::Target;
use super::{is_folder, look, open_folder};
use crate::{Error, Result};

/// What the names of staging folders begin with.
pub(crate) const PREFIX: &str = ".kopia-rs-restore-";

/// The staging folder of this restore. It is locked while we work, so that two restores do not remove each other's.
#[derive(Debug)]
pub(crate) struct Staging {
    handle: OwnedFd,
    name: String,
}

impl Staging {
    /// Makes the folder for a root, and removes what interrupted restores left in the target.
    pub(crate) fn open(target: &Target, root: ObjectId) -> Result<Self> {
        let folder = target.folder.as_fd();
        let error = |source: io::Error| target.error("cannot be written", source);
        for name in leftovers(folder).map_err(error)? {
            if !lock(folder, &name).map_err(error)? {
                return Err(Error::Busy { target: target.path.clone() });
            }
            tracing::info!(name, "removing what an interrupted restore left");
            remove_tree(folder, &name).map_err(error)?;
        }
        let name = format!("{PREFIX}{root}");
        match rustix::fs::mkdirat(folder, &*name, Mode::RWXU) {
            Err(Errno::EXIST) => return Err(Error::Busy { target: target.path.clone() }),
            made => made.map_err(|errno| error(errno.into()))?,
        }
        let handle = open_folder(folder, &name).map_err(error)?;
        // Some network file systems have no locks; then nothing warns of a second restore.
        if rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
            return Err(Error::Busy { target: target.path.clone() });
        }
        Ok(Self { handle, name })
    }

    /// Returns the folder's handle.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Removes the folder and whatever could not be moved out of it.
    pub(crate) fn remove(&self, target: &Target) -> Result<()> {
        let removed = remove_tree(target.folder.as_fd(), &self.name);
        removed.map_err(|source| target.error("the unfinished folder cannot be removed", source))
    }
}

/// Finds staging folders in the target.
fn leftovers(target: BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(target)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && name.starts_with(PREFIX)
            && look(target, name)?.is_some_and(|stat| is_folder(&stat))
        {
            names.push(name.to_string());
        }
    }
    Ok(names)
}

/// Says whether nobody holds the lock of a staging folder.
fn lock(target: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    // A folder that we may not even open cannot be in use by a restore of ours; removing it will tell.
    let Ok(handle) = open_folder(target, name) else { return Ok(true) };
    match rustix::fs::flock(&handle, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        Ok(()) | Err(_) => Ok(true),
    }
}
