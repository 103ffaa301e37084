//! Whose a folder of what was replaced is.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Stat, Timespec, Timestamps, UTIME_OMIT};

use crate::destination::metadata::probe::creator_in;
use crate::destination::staging::is_closed;

/// Refuses a folder that belongs to another user or is open to others, who could have written anything into its
/// journal.
///
/// It may belong to the user whose all new files are in it, as on NFS with `root_squash` and CIFS with `uid=`, and
/// be shown with any mode where none can be set: whoever could write in it could change all else there as well,
/// and an undo changes nothing on another file system. To find out, a file is made in the folder and removed: where
/// folders are only listed, nothing else is to look as if it had changed.
pub(super) fn refuse_others(directory: BorrowedFd<'_>, folder: BorrowedFd<'_>) -> io::Result<()> {
    let found = rustix::fs::fstat(folder)?;
    let is_users = found.st_uid == rustix::process::geteuid().as_raw();
    // On a file system that somebody has mounted there, files may belong to whomever that pleases.
    let is_mounted = rustix::fs::fstat(directory)?.st_dev != found.st_dev;
    if is_users && is_closed(&found) {
        return Ok(());
    }
    let mut creator = None;
    if !is_mounted {
        creator = creator_in(folder).ok();
        put_time_back(folder, &found);
    }
    let is_own = is_users || creator.is_some_and(|creator| creator.uid == found.st_uid);
    let is_safe = is_closed(&found) || is_own && creator.is_some_and(|creator| !creator.sets_modes);
    let why = if !is_own {
        format!("it belongs to user {}", found.st_uid)
    } else if !is_safe {
        "others may write in it".into()
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}

/// Gives a folder the time that it had.
fn put_time_back(folder: BorrowedFd<'_>, found: &Stat) {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: found.st_mtime,
            tv_nsec: found.st_mtime_nsec.try_into().unwrap_or_default(),
        },
    };
    let _ = rustix::fs::futimens(folder, &times);
}
