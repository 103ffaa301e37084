//! Moves one entry to its place, over what it may replace.
//!
//! A rename replaces what is of the same kind in one step. Another kind is removed first, a directory only if nothing
//! is in it; where what is replaced is kept, it is moved away instead. One with something in it stays, and the entry
//! waits for the second walk or is a problem. Nothing is touched but this one name in both directories.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use super::super::directory::Directory;
use super::super::metadata::is_overtaken;
use super::super::{is_directory, look};
use super::Publisher;
use super::names::Inodes;
use super::unmoved::Unmoved;
use crate::kept::Slot;
use crate::reason::Reason;

/// The directories that an entry is moved from and to, and a place for what is in its way.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) from: BorrowedFd<'a>,
    pub(super) to: BorrowedFd<'a>,
    pub(super) slot: Option<&'a Slot>,
}

impl Publisher<'_> {
    /// Moves one entry, replacing what may be replaced, but nothing that this restore `placed` there: that
    /// happens in case-insensitive directories.
    pub(super) fn move_entry(
        &self,
        directory: &Directory,
        way: Way<'_>,
        name: &[u8],
        placed: &Inodes,
    ) -> Result<(), Unmoved> {
        let Way { from, to, .. } = way;
        match rustix::fs::renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            // Old file systems cannot refuse to replace; what is there decides below.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno.into()),
        }
        let (staged, there) = (look(from, name)?, look(to, name)?);
        let new = staged.is_some_and(|stat| is_directory(&stat));
        // Inodes say nothing about what another file system has there.
        let device = staged.map(|stat| stat.st_dev);
        if there.is_some_and(|there| Some(there.st_dev) == device && placed.contains(there.st_ino)) {
            return Err(Unmoved::Failed(Reason::NameTaken { by: None }));
        }
        let old = there.map(|stat| is_directory(&stat));
        if self.refuse_existing && old.is_some() {
            return Err(Unmoved::Failed(Reason::Exists));
        }
        if self.newer
            && let (Some(staged), Some(there)) = (&staged, &there)
            && is_overtaken(staged, there)
        {
            return Err(Unmoved::Failed(Reason::NotNewer));
        }
        if let (Some(kept), Some(there)) = (self.kept, there)
            && (new || old != Some(true) || !self.delete_extra)
        {
            return self.replace_keeping(kept, directory, way, name, &there);
        }
        match (new, old) {
            (false, Some(true)) if self.delete_extra => return Err(Unmoved::Waits),
            (false, Some(true)) => rustix::fs::unlinkat(to, name, AtFlags::REMOVEDIR)?,
            (true, Some(false)) => rustix::fs::unlinkat(to, name, AtFlags::empty())?,
            // A rename replaces a file by a file, and an empty directory by a directory.
            _ => {}
        }
        Ok(rustix::fs::renameat(from, name, to, name)?)
    }
}
