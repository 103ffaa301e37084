//! Whose a folder of what was replaced is.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::Stat;

use crate::destination::staging::{is_closed, is_own, sets_modes};

/// Refuses a folder that belongs to another user or is open to others, who could have written anything into its
/// journal.
///
/// It may belong to the user whose all new files are in the directory that it lies in, as on NFS with
/// `root_squash` and CIFS with `uid=`, and be shown with any mode where none can be set: whoever could write in
/// it could change all else there as well, and an undo changes nothing on another file system.
pub(super) fn refuse_others(directory: BorrowedFd<'_>, folder: &Stat) -> io::Result<()> {
    let why = if !is_own(directory, folder) {
        format!("it belongs to user {}", folder.st_uid)
    } else if !is_closed(folder) && sets_modes(directory) {
        "others may write in it".into()
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
}
