//! Directories of the staging tree that an interrupted run left: made as new ones are before anything is made in them.
//!
//! What files and links get without being asked for is probed once, in the staging directory, and taken for granted
//! from then on. That is so in all directories that this run makes: `mkdir` gives each the user and group that files
//! get, and setgid where the staging directory has it. So what is made in them gets that group as well, whether setgid
//! passes it on or the file system does (`grpid`). A directory that an interrupted run had finished has owner, group
//! and setgid of the snapshot instead: what is made in it would get its group, and the last mode that it gets would
//! drop setgid. So it gets these three again as a new one has them ([`NewDirectory`]), and all rights of its owner:
//!
//! 1. owner and group, as who lacks a right in what is somebody else's may set no mode. Where setgid would be dropped
//!    with its group (from who is not in that and lacks the capability FSETID), it has that of this process meanwhile;
//! 2. the mode;
//! 3. the group that it had to be without. Unlike a mode, an owner or group drops nothing from a directory.
//!
//! What cannot be set is left, and that is noted ([`Directory::is_unlike_new`]): then nothing is taken for granted in
//! this directory. Each file and link that is made in it is looked at, directories that are made in it go through the
//! same as it did, and so it is looked at itself when it is finished.
//!
//! Where nothing is to be changed, as in directories that other shards have just made, that takes no system call
//! besides the one that says which directory it is.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, Uid};

use super::super::directory::Directory;
use super::super::metadata::SETGID;
use super::super::metadata::probe::NewDirectory;
use super::super::metadata::subject::is_refusal;
use super::super::{Identity, open_to_change};

/// Opens a directory that was left. One that was given away may be closed to this user by now: who may give, but may
/// not look into what is somebody else's (root without the capability DAC_OVERRIDE), takes it back first.
pub(super) fn open(parent: BorrowedFd<'_>, name: &str, new: &NewDirectory) -> io::Result<OwnedFd> {
    let closed = match open_to_change(parent, name.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        opened => return opened,
    };
    let owner = Some(Uid::from_raw(new.uid));
    match rustix::fs::chownat(parent, name, owner, None, AtFlags::SYMLINK_NOFOLLOW) {
        Err(errno) if is_refusal(errno) => Err(closed),
        taken_back => {
            taken_back?;
            open_to_change(parent, name.as_bytes())
        }
    }
}

/// Makes a directory as new ones are, and notes in it if that cannot be; returns which directory it is.
///
/// # Errors
/// What the system says, unless that means that such an attribute cannot be set here: a full disk may take it later.
pub(super) fn renew(
    handle: BorrowedFd<'_>,
    directory: &Directory,
    new: &NewDirectory,
) -> io::Result<Identity> {
    let mut stat = rustix::fs::fstat(handle)?;
    let mode = stat.st_mode & 0o7777 & !SETGID | 0o700 | new.setgid;
    let has_mode = stat.st_mode & 0o7777 == mode;
    if !has_mode || !new.is_like(&stat) {
        let chown = |gid| {
            let (uid, gid) = (Uid::from_raw(new.uid), Gid::from_raw(gid));
            unless_refused(rustix::fs::fchown(handle, Some(uid), Some(gid)))
        };
        if !has_mode {
            chown(new.gid_for_mode)?;
            unless_refused(rustix::fs::fchmod(handle, Mode::from_raw_mode(mode)))?;
        }
        if has_mode || new.gid_for_mode != new.gid {
            chown(new.gid)?;
        }
        stat = rustix::fs::fstat(handle)?;
    }
    if !new.is_like(&stat) {
        tracing::debug!(directory = directory.path_of(""), "what is made in it may get another group");
        directory.set_unlike_new();
    }
    Ok(Identity::from(&stat))
}

/// Leaves what cannot be set here, as the directory is looked at afterwards.
fn unless_refused(set: rustix::io::Result<()>) -> io::Result<()> {
    match set {
        Err(errno) if !is_refusal(errno) => Err(errno.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
