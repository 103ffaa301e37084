//! Whose an unfinished directory is: one of another user, or that another user may have put there, is not
//! used.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Mode, Stat};
use rustix::io::Errno;

use super::super::lockable::Lockable;
use super::super::metadata::probe::creator_in;
use super::super::target::Target;
use super::super::{Identity, is_directory, look, open_to_change};
use super::proof;

/// Opens a staging directory that was left; `None` for what is not a directory, belongs to another user, lets
/// others write in it, who may have put anything there, or may be another directory that they gave the name.
/// Notes whether the target was created for it.
pub(super) fn open_own(target: &Target, name: &str) -> io::Result<Option<Lockable>> {
    let directory = target.directory.as_fd();
    // Before its mode is changed, and after that of what was opened.
    let is_ours = |stat: &Stat| is_own(directory, stat) && !is_doubtful(directory, stat);
    if !look(directory, name)?.is_some_and(|stat| is_ours(&stat)) {
        return Ok(None);
    }
    let handle = match open_to_change(directory, name.as_bytes()) {
        // The restore that it belonged to has just removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        handle => handle?,
    };
    let stat = rustix::fs::fstat(&handle)?;
    // Where no mode can be set, every directory is shown alike.
    let is_open = !is_closed(&stat) && creator_in(directory)?.sets_modes;
    if !is_ours(&stat) || is_open || !is_proven(directory, handle.as_fd(), name)? {
        return Ok(None);
    }
    if stat.st_mode & 0o077 != 0 {
        // Where modes mean nothing this changes nothing.
        let _ = rustix::fs::fchmod(&handle, Mode::from_raw_mode(stat.st_mode & 0o7700));
    }
    if Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX) {
        target.set_new();
    }
    Ok(Some(Lockable::new(handle)))
}

/// Returns whether nobody but a directory's owner may write in it.
pub(crate) fn is_closed(stat: &Stat) -> bool {
    stat.st_mode & 0o022 == 0
}

/// Returns whether a staging directory is this user's.
///
/// It may also be that of the user whose all new files here are: on NFS with `root_squash` and CIFS with
/// `uid=` that is somebody else, who could change all of it anyhow.
pub(crate) fn is_own(target: BorrowedFd<'_>, stat: &Stat) -> bool {
    let creator = || creator_in(target).ok().map(|creator| creator.uid);
    is_directory(stat) && is_users(stat.st_uid, rustix::process::geteuid().as_raw(), creator)
}

fn is_users(owner: u32, user: u32, creator: impl FnOnce() -> Option<u32>) -> bool {
    owner == user || creator() == Some(owner)
}

/// Returns whether a staging directory may be none: where others may rename in the target, any directory of
/// this user may have been given the name. One that a restore made is closed to everybody else, where modes
/// can be set.
pub(super) fn is_doubtful(target: BorrowedFd<'_>, stat: &Stat) -> bool {
    stat.st_mode & 0o777 != 0o700 && others_rename(target) && sets_modes(target)
}

/// Returns whether a directory that is this user's and closed to others is a staging directory. Where others
/// may rename in the target, it has to prove it.
pub(super) fn is_proven(target: BorrowedFd<'_>, handle: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    // Where no mode can be set, they could as well leave a proof.
    Ok(!others_rename(target) || proof::is_proven(handle, name)? || !sets_modes(target))
}

/// Leaves the proof in a staging directory that was just made, where it may be asked for. Returns false if the
/// directory is gone: another restore has taken it up since, and come to its end.
///
/// # Errors
/// What the system says. If something is in the directory, then it is another one.
pub(super) fn prove(target: BorrowedFd<'_>, handle: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    if !others_rename(target) {
        return Ok(true);
    }
    let leave = || {
        if !is_proven(target, handle, name)? {
            return Err(not_ours(name, &rustix::fs::fstat(handle)?));
        }
        proof::leave(handle, name)
    };
    match leave() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        left => left.map(|()| true),
    }
}

/// Returns whether modes can be set in a directory; where that cannot be found out, they may be.
pub(super) fn sets_modes(target: BorrowedFd<'_>) -> bool {
    creator_in(target).map_or(true, |creator| creator.sets_modes)
}

/// Returns whether others may rename what this user has in a directory.
fn others_rename(directory: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(directory).map_or(true, |directory| {
        let is_sticky = Mode::from_raw_mode(directory.st_mode).contains(Mode::SVTX);
        let is_users = directory.st_uid == rustix::process::geteuid().as_raw();
        !is_users || (!is_closed(&directory) && !is_sticky)
    })
}

/// Describes what is in the way of the staging directory.
pub(super) fn not_ours(name: &str, stat: &Stat) -> io::Error {
    let what = if !is_directory(stat) {
        "is not a folder"
    } else if !is_closed(stat) {
        "is a folder of another user, or others may write in it"
    } else if stat.st_uid == rustix::process::geteuid().as_raw() {
        match stat.st_mode & 0o777 {
            0o700 => "has nothing in it that says that a restore made it, and others may rename folders here",
            mode if mode & 0o077 == 0 => "is closed to its owner, unlike any that a restore leaves",
            _ => "is open to others, unlike any that a restore leaves",
        }
    } else {
        "belongs to another user"
    };
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{name} in it {what}; remove it first"))
}

/// Takes the lock of a staging directory; returns whether it is ours and the directory still has its name:
/// another restore may just have removed it, and made a new one.
pub(super) fn lock(handle: &Lockable, target: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    // Some network file systems have no locks; then nothing warns of a second restore.
    if handle.try_lock() == Err(Errno::WOULDBLOCK) {
        return Ok(false);
    }
    let named = look(target, name)?.map(|stat| Identity::from(&stat));
    Ok(named == Some(Identity::of(handle)?))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_just_made_may_be_gone_before_it_is_proven() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
        let target = File::open(place.path()).unwrap();
        let [there, gone] = ["there", "gone"].map(|name| {
            fs::create_dir(place.path().join(name)).unwrap();
            File::open(place.path().join(name)).unwrap()
        });
        fs::remove_dir(place.path().join("gone")).unwrap();
        assert!(prove(target.as_fd(), there.as_fd(), "own").unwrap());
        assert!(place.path().join("there/own").exists());
        assert!(!prove(target.as_fd(), gone.as_fd(), "own").unwrap());
        // What has something in it is another one.
        fs::write(place.path().join("there/precious"), b"x").unwrap();
        assert!(prove(target.as_fd(), there.as_fd(), "other").is_err());
    }

    #[test]
    fn what_is_a_users_is_that_of_whose_all_new_files_are_as_well() {
        assert!(is_users(7, 7, || None) && is_users(7, 0, || Some(7)) && is_users(0, 0, || Some(7)));
        assert!(!is_users(7, 0, || Some(0)) && !is_users(7, 0, || None));
    }
}
