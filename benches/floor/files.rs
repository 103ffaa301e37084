//! Files and links, in the fewest system calls known.

use std::ffi::CStr;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{AtFlags, FallocateFlags, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::{Errno, ReadWriteFlags, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plan::{Attributes, Leaf};

/// From this size on room is reserved before writing, and writes leave no copy in memory; below, both cost
/// more than they save. In bytes.
const LARGE: u64 = 1 << 20;

/// Handles that are open besides folders and large files, and some more.
const OTHERS: usize = 256;

const SPECIAL: u32 = 0o7000;

/// A file that several threads write, once one of them has made it.
pub(crate) type Handle = OnceLock<Result<OwnedFd>>;

/// Lets this process keep so many files open.
pub(crate) fn allow_handles(count: usize) -> crate::Result<()> {
    let wanted = (count + OTHERS) as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .map_err(|error| format!("all folders are kept open, {wanted} handles in all: {error}").into())
}

/// Makes, writes and finishes a file of one content.
pub(crate) fn small(folder: BorrowedFd<'_>, leaf: &Leaf, bytes: &[u8], natural: (u32, u32)) -> Result<()> {
    let file = create(folder, leaf)?;
    write(&file, bytes, 0)?;
    finish(file.as_fd(), &leaf.attributes, natural)
}

/// Writes a content of a large file, and finishes it after the last one.
pub(crate) fn piece(
    folder: BorrowedFd<'_>,
    leaf: &Leaf,
    (handle, missing): (&Handle, &AtomicUsize),
    (bytes, offset): (&[u8], u64),
    natural: (u32, u32),
) -> Result<()> {
    let file = handle.get_or_init(|| create(folder, leaf)).as_ref().map_err(|&errno| errno)?;
    write(file, bytes, offset)?;
    if missing.fetch_sub(1, Ordering::AcqRel) == 1 {
        finish(file.as_fd(), &leaf.attributes, natural)?;
    }
    Ok(())
}

/// Makes a link.
pub(crate) fn link(folder: BorrowedFd<'_>, leaf: &Leaf, bytes: &[u8], natural: (u32, u32)) -> Result<()> {
    rustix::fs::symlinkat(bytes, folder, &leaf.name)?;
    let name: &CStr = &leaf.name;
    if leaf.attributes.owner != natural {
        let (uid, gid) = leaf.attributes.owner;
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        allowed(rustix::fs::chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
    }
    rustix::fs::utimensat(folder, name, &timestamps(&leaf.attributes), AtFlags::SYMLINK_NOFOLLOW)
}

fn create(folder: BorrowedFd<'_>, leaf: &Leaf) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // The umask is zero, so this is the final mode.
    let mode = Mode::from_raw_mode(leaf.attributes.mode & !SPECIAL);
    let file = rustix::fs::openat(folder, &leaf.name, flags, mode)?;
    if leaf.size >= LARGE {
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, leaf.size) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(file)
}

/// Pieces of large files leave no copy in memory (`RWF_DONTCACHE`, Linux 6.14), where the file system can do
/// that.
fn write(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<()> {
    static UNCACHED: AtomicBool = AtomicBool::new(true);
    let uncached = ReadWriteFlags::from_bits_retain(0x80);
    while !bytes.is_empty() {
        let large = bytes.len() as u64 >= LARGE && UNCACHED.load(Ordering::Relaxed);
        let written = match large {
            true => rustix::io::pwritev2(file, &[IoSlice::new(bytes)], offset, uncached),
            false => rustix::io::pwrite(file, bytes, offset),
        };
        match written {
            Err(Errno::OPNOTSUPP) if large => UNCACHED.store(false, Ordering::Relaxed),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn finish(file: BorrowedFd<'_>, wanted: &Attributes, natural: (u32, u32)) -> Result<()> {
    if wanted.owner != natural {
        change_owner(file, wanted.owner)?;
    }
    if wanted.mode & SPECIAL != 0 {
        rustix::fs::fchmod(file, Mode::from_raw_mode(wanted.mode))?;
    }
    rustix::fs::futimens(file, &timestamps(wanted))
}

/// Sets owner and group where that is allowed.
pub(crate) fn change_owner(file: BorrowedFd<'_>, (uid, gid): (u32, u32)) -> Result<()> {
    allowed(rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))
}

fn allowed(changed: Result<()>) -> Result<()> {
    match changed {
        Err(Errno::PERM) => Ok(()),
        changed => changed,
    }
}

/// The modification time to set; the time of access is left.
pub(crate) fn timestamps(wanted: &Attributes) -> Timestamps {
    let (seconds, nanoseconds) = wanted.modified;
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() },
    }
}
