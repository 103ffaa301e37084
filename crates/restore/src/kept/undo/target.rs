//! The target of an undo: the directory that was restored to, or a new one where that is gone.
//!
//! Nothing is put back into another directory that has its path by now, where inode numbers tell: on FAT, exFAT, FUSE
//! and 9p they may not last, so whatever directory has the path is taken for it. One that is gone and that the restore
//! had made is not made again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::Errno;

use super::super::MADE;
use super::super::aside::move_entry;
use super::super::folder::KeptFolder;
use super::super::journal::Journal;
use super::super::record::Record;
use crate::destination::{DIRECTORY, open_to_change};

/// Opens the target, which is made if it is gone; nothing if the restore had made it.
pub(super) fn open_target(
    folder: &mut KeptFolder,
    is_posix: fn(BorrowedFd<'_>) -> bool,
) -> io::Result<Option<OwnedFd>> {
    let (path, known) = (folder.target(), [Some(folder.read.header.inode), folder.read.made]);
    match rustix::fs::open(&path, DIRECTORY, Mode::empty()) {
        Ok(target) if known.contains(&Some(rustix::fs::fstat(&target)?.st_ino)) => Ok(Some(target)),
        // Its number may be another one by now.
        Ok(target) if !is_posix(target.as_fd()) => Ok(Some(target)),
        Ok(_) => Err(io::Error::other("it is another folder than the one that was restored to")),
        Err(Errno::NOENT) if folder.read.header.new => Ok(None),
        Err(Errno::NOENT) => make_target(folder, &path).map(Some),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes the target again. The journal knows the new directory before it gets to its place, so that an undo that
/// does not come to its end can be run again.
fn make_target(folder: &mut KeptFolder, path: &Path) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(&folder.handle, MADE, Mode::RWXU) {
        // One that was killed had made it.
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut put = || -> io::Result<OwnedFd> {
        let made = open_to_change(folder.handle.as_fd(), MADE.as_bytes())?;
        let record = Record::Target { inode: rustix::fs::fstat(&made)?.st_ino };
        let mut journal = Journal::open(folder.handle.as_fd(), folder.read.length)?;
        journal.record(&record).and_then(|()| journal.sync())?;
        folder.read.length += record.line().len() as u64;
        move_entry(folder.handle.as_fd(), MADE.as_bytes(), CWD, path.as_os_str().as_bytes())?;
        Ok(made)
    };
    let put = put();
    put.inspect_err(|_| {
        let _ = rustix::fs::unlinkat(&folder.handle, MADE, AtFlags::REMOVEDIR);
    })
}
