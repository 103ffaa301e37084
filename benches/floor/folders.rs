//! Folders: made when the first entry needs them, finished when everything is in them.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::files::{change_owner, timestamps};
use crate::plan::Attributes;

/// A folder and, once it was made, its handle, which is kept.
pub(crate) struct Folder {
    /// The number of the folder that it lies in; the root has none.
    pub(crate) parent: Option<usize>,
    pub(crate) name: CString,
    pub(crate) attributes: Attributes,
    pub(crate) handle: OnceLock<Result<OwnedFd>>,
}

/// Makes the target and opens it as the root of all folders.
pub(crate) fn make_root(folders: &[Folder], target: &Path) -> Result<()> {
    rustix::fs::mkdirat(CWD, target, Mode::RWXU)?;
    folders[0].handle.get_or_init(|| open(CWD, target)).as_ref().map(drop).map_err(|&errno| errno)
}

/// Returns a folder's handle; whoever asks first makes it.
pub(crate) fn handle(folders: &[Folder], number: usize) -> Result<BorrowedFd<'_>> {
    let folder = &folders[number];
    let made = folder.handle.get_or_init(|| {
        // The root was made before anything else.
        let parent = handle(folders, folder.parent.ok_or(Errno::NOENT)?)?;
        rustix::fs::mkdirat(parent, &folder.name, Mode::RWXU)?;
        open(parent, &*folder.name)
    });
    made.as_ref().map(AsFd::as_fd).map_err(|&errno| errno)
}

/// Sets a folder's attributes, once nothing is made in it any more. A mode does not keep a handle from being
/// used, so the order of folders does not matter.
pub(crate) fn finish(folders: &[Folder], number: usize, natural: (u32, u32)) -> Result<()> {
    let handle = handle(folders, number)?;
    let wanted = &folders[number].attributes;
    // The mode first: without the right to keep it, setgid would be lost the other way round.
    rustix::fs::fchmod(handle, Mode::from_raw_mode(wanted.mode))?;
    if wanted.owner != natural {
        change_owner(handle, wanted.owner)?;
    }
    rustix::fs::futimens(handle, &timestamps(wanted))
}

fn open(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}
