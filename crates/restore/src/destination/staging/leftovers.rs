//! What restores have left in a directory: unfinished directories, and markers of shards beside them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use kopia_format::ObjectId;
use rustix::fs::{AtFlags, Dir, Mode};
use rustix::io::Errno;

use super::super::lockable::Lockable;
use super::super::{FILE, open_directory};
use super::{LOCK, PREFIX};

/// Returns whether another restore is at work in a target: of any root or, where a single file is restored,
/// of the same.
///
/// Nothing is changed; the locks that are tried are given back at once.
pub(crate) fn is_busy(target: BorrowedFd<'_>, root: ObjectId, single: bool) -> io::Result<bool> {
    let directories = if single { vec![format!("{PREFIX}{root}")] } else { leftovers(target)?.0 };
    Ok(directories.iter().any(|name| {
        open_directory(target, name)
            .is_ok_and(|handle| Lockable::new(handle).try_share() == Err(Errno::WOULDBLOCK))
    }))
}

/// Returns whether the target has anything but what restores left unfinished.
pub(crate) fn has_others(target: impl AsFd) -> io::Result<bool> {
    for entry in Dir::read_from(target)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") && !name.starts_with(PREFIX.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Finds the names of staging directories in the target, and of markers that shards left beside them.
pub(super) fn leftovers(target: BorrowedFd<'_>) -> io::Result<(Vec<String>, Vec<String>)> {
    let (mut directories, mut markers) = (Vec::new(), Vec::new());
    for entry in Dir::read_from(target)? {
        if let Ok(name) = entry?.file_name().to_str()
            && name.starts_with(PREFIX)
        {
            if is_marker(name.as_bytes()) { &mut markers } else { &mut directories }.push(name.to_string());
        }
    }
    Ok((directories, markers))
}

/// Returns whether a name is that of a marker: what stands behind a dot, which no object has in its name.
pub(crate) fn is_marker(name: &[u8]) -> bool {
    name.strip_prefix(PREFIX.as_bytes()).is_some_and(|rest| rest.contains(&b'.'))
}

/// Finds the markers beside one staging directory.
pub(crate) fn markers_of(target: BorrowedFd<'_>, name: &str) -> io::Result<Vec<String>> {
    let (_, mut markers) = leftovers(target)?;
    markers.retain(|marker| is_of(marker, name));
    Ok(markers)
}

/// Returns whether a restore is at work in a directory: an unfinished directory in it is locked, or shards
/// have left something beside one.
pub(crate) fn is_in_use(parent: BorrowedFd<'_>) -> io::Result<bool> {
    let (directories, markers) = leftovers(parent)?;
    Ok(directories.iter().any(|directory| {
        markers.iter().any(|marker| is_of(marker, directory)) || is_locked(parent, directory)
    }))
}

/// Returns whether a restore holds the lock of an unfinished directory. Where that cannot be known, one
/// might.
fn is_locked(directory: BorrowedFd<'_>, name: &str) -> bool {
    match open_directory(directory, name) {
        Ok(handle) => Lockable::new(handle).try_share().is_err(),
        Err(error) => {
            let errno = Errno::from_io_error(&error);
            !matches!(errno, Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
        }
    }
}

/// Removes the markers beside one staging directory that is gone, and the locks that no shard holds: one that
/// has just begun may.
pub(crate) fn remove_markers(target: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    for marker in markers_of(target, name)? {
        let lock = marker[name.len()..].starts_with(LOCK);
        let lock = lock.then(|| rustix::fs::openat(target, &*marker, FILE, Mode::empty()).ok()).flatten();
        let lock = lock.map(Lockable::new);
        let taken = lock.as_ref().map(Lockable::try_lock);
        if taken != Some(Err(Errno::WOULDBLOCK)) {
            remove_all(target, std::iter::once(&marker))?;
        }
    }
    Ok(())
}

pub(super) fn remove_all<'m>(
    target: BorrowedFd<'_>,
    markers: impl Iterator<Item = &'m String>,
) -> io::Result<()> {
    for marker in markers {
        match rustix::fs::unlinkat(target, &**marker, AtFlags::empty()) {
            // A directory is no marker.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

pub(super) fn is_of(marker: &str, name: &str) -> bool {
    marker.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}
