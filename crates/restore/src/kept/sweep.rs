//! Removes folders that keep nothing.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::{JOURNAL, KEPT, OWN};
use crate::destination::lockable::Lockable;
use crate::destination::metadata::probe::PREFIX;
use crate::destination::staging::is_own;
use crate::destination::{look, open_directory};

/// For how many seconds a folder without a journal may be one that is just being made.
const JUST_MADE: i64 = 60;

/// Removes what is left of a folder where a restore was killed that had just made it, or was about to remove
/// it: one in which no journal begins.
pub(super) fn sweep(directory: &Path, name: &OsStr) {
    let left = || -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::open(directory, flags, Mode::empty())?;
        let folder = Lockable::new(open_directory(parent.as_fd(), &name.to_string_lossy())?);
        let stat = rustix::fs::fstat(&folder)?;
        let age = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
        let is_old = age.saturating_sub(stat.st_mtime) > JUST_MADE;
        // Whoever works in it has it locked, but for the moment in which it is made.
        let locked = folder.try_lock();
        let journal = look(folder.as_fd(), JOURNAL)?;
        let keeps_nothing = journal.is_none_or(|journal| journal.st_size == 0);
        if is_old && locked.is_ok() && keeps_nothing && is_own(parent.as_fd(), &stat) {
            remove_empty(parent.as_fd(), &name.to_string_lossy(), folder.as_fd())?;
        }
        Ok(())
    };
    let _ = left();
}

/// Removes a folder that keeps nothing.
pub(super) fn remove_empty(
    parent: BorrowedFd<'_>,
    name: &str,
    folder: BorrowedFd<'_>,
) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(folder, KEPT, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    // Whoever was killed may have left a file that was made to find out about others.
    for name in [OWN, &format!("{PREFIX}0"), JOURNAL] {
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}
