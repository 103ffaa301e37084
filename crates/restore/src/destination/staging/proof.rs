//! What proves a directory to be one that a restore made.
//!
//! Where others may rename in the target, they can give any directory there the name of an unfinished one: what
//! is in it would be taken for what a restore left, and deleted. A name within it they cannot give, as it is
//! open to its owner alone.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;

use super::super::look;
use super::super::remove::remove_tree;

/// Leaves an empty file of the directory's own name in it. Notes may be added to it later
/// ([`pending`](super::pending)).
///
/// No entry of the snapshot has this name: it would have to be in the hash that it is made of.
pub(super) fn leave(handle: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(handle, name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(_) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns whether nothing can be lost by using a directory: it has the proof, or nothing at all, as one that
/// was just made.
pub(super) fn is_proven(handle: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    Ok(is_there(handle, name)? || others(handle, name)?.is_empty())
}

/// A copy that keeps owners may have brought a file of this name; it is not of the directory's owner.
fn is_there(handle: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    let owner = rustix::fs::fstat(handle)?.st_uid;
    Ok(look(handle, name)?.is_some_and(|proof| proof.st_uid == owner))
}

/// Removes all but the proof, so that what is left of a removal that was killed is still proven.
pub(super) fn remove_others(handle: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    if !is_there(handle, name)? {
        return Ok(());
    }
    let mut removed = Ok(());
    for other in others(handle, name)? {
        // One that cannot be removed keeps none of the others.
        removed = removed.and(remove_tree(handle, &other, None).map(drop));
    }
    removed
}

/// Lists what a directory has but the proof.
fn others(handle: BorrowedFd<'_>, name: &str) -> io::Result<Vec<Vec<u8>>> {
    let mut others = Vec::new();
    for entry in Dir::read_from(handle)? {
        let entry = entry?;
        let found = entry.file_name().to_bytes();
        if !matches!(found, b"." | b"..") && !found.eq_ignore_ascii_case(name.as_bytes()) {
            others.push(found.to_owned());
        }
    }
    Ok(others)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{PermissionsExt, lchown};

    use super::*;

    #[test]
    fn a_directory_is_proven_by_its_own_name_within_or_by_having_nothing() {
        let place = tempfile::tempdir().unwrap();
        let handle = fs::File::open(place.path()).unwrap();
        let handle = handle.as_fd();
        let proven = || is_proven(handle, "own").unwrap();
        assert!(proven());
        fs::create_dir_all(place.path().join("d/e")).unwrap();
        assert!(!proven());
        // Nothing is removed from what is not proven.
        remove_others(handle, "own").unwrap();
        assert!(place.path().join("d/e").exists());
        leave(handle, "own").unwrap();
        leave(handle, "own").unwrap();
        assert!(proven() && !is_proven(handle, "other").unwrap());
        // Its owner adds notes to it.
        let proof = fs::metadata(place.path().join("own")).unwrap();
        assert_eq!(proof.permissions().mode() & 0o7700, 0o600);
        remove_others(handle, "own").unwrap();
        assert_eq!(others(handle, "none").unwrap(), [b"own"]);
        fs::write(place.path().join("file"), b"").unwrap();
        if lchown(place.path().join("own"), Some(65534), None).is_ok() {
            assert!(!proven(), "another user's");
        }
    }
}
