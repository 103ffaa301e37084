//! Where entries are written: a tree of directories that is reached by handles alone.
//!
//! The target is as little trusted as the repository: somebody may plant links in it while we write. So no
//! path is ever given to the system: every directory is opened from its parent's handle, without following
//! links, and its device and inode are compared with those of the directory that was made.
//!
//! What does not exist yet is written below one directory, `TARGET/.kopia-rs-restore-<root object>`
//! ([`staging`]), and moved to its final name when all is written ([`merge`]), or before if room is short
//! (`room`): nothing is ever visible with wrong content, and a fresh restore pays a single rename for each
//! entry of its root. The staging directory is open to its owner alone, so that modes, owners and special
//! bits are nobody else's to use before they are final.

pub(crate) mod compare;
pub(crate) mod directory;
pub(crate) mod existing;
mod file_system;
pub(crate) mod folding;
pub(crate) mod handles;
pub(crate) mod large;
pub(crate) mod leftover;
pub(crate) mod lockable;
pub(crate) mod markers;
pub(crate) mod merge;
pub(crate) mod metadata;
pub(crate) mod mount_table;
pub(crate) mod mounts;
pub(crate) mod naming;
pub(crate) mod outside;
pub(crate) mod partial;
pub(crate) mod placeholder;
pub(crate) mod remove;
pub(crate) mod reserved;
pub(crate) mod staging;
pub(crate) mod target;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

pub(crate) use file_system::is_posix;

/// Device and inode: which directory this is, whatever its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(handle: impl AsFd) -> io::Result<Self> {
        Ok(Self::from(&rustix::fs::fstat(handle)?))
    }
}

impl From<&Stat> for Identity {
    fn from(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// Which of the two trees an entry lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The target, with what was there before the restore.
    Target,
    /// The staging tree, with what an interrupted restore left.
    Staging,
}

/// How directories are opened: never through a link.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How files are opened that were there before: never through a link, and without waiting for the other end of
/// a pipe that has just taken their place.
pub(crate) const FILE: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens a directory by its name in another.
pub(crate) fn open_directory(parent: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?)
}

/// Opens a directory that is to be changed.
///
/// Where only its mode forbids that, its owner gets the right first.
///
/// Its final mode is set afterwards, or the directory is removed.
pub(crate) fn open_to_change(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let opened = match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // A directory that its owner may not read can be changed through the path of a handle that needs
            // no right.
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let place = rustix::fs::openat(parent, name, flags, Mode::empty())?;
            let mode = rustix::fs::fstat(&place)?.st_mode & 0o7777;
            set_mode(&place, Mode::from_raw_mode(mode | 0o700))?;
            rustix::fs::openat(parent, name, DIRECTORY, Mode::empty())?
        }
        result => result?,
    };
    let mode = rustix::fs::fstat(&opened)?.st_mode & 0o7777;
    if mode & 0o700 != 0o700 {
        // Another owner's directory stays as it is; using it will tell what is not allowed.
        let _ = rustix::fs::fchmod(&opened, Mode::from_raw_mode(mode | 0o700));
    }
    Ok(opened)
}

/// Lets the owner of a file read and write it, where only its mode forbids that.
///
/// Its final mode is set afterwards.
pub(crate) fn let_write(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&place)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink != 1 {
        return Err(Errno::ACCESS.into());
    }
    set_mode(&place, Mode::RUSR | Mode::WUSR)
}

/// Sets the mode of what a handle stands for that was opened without any right to it.
fn set_mode(place: &OwnedFd, mode: Mode) -> io::Result<()> {
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), mode)?)
}

/// Closes a file that was written and returns what the system says of it: FUSE, NFS, CIFS and CephFS may
/// report only now that bytes did not get to their place.
///
/// # Errors
/// What the system says. The descriptor is closed all the same.
pub fn close(file: OwnedFd) -> io::Result<()> {
    // Not tried again after EINTR either: Linux has closed it by then, and another thread may have its
    // number.
    nix::unistd::close(file).map_err(io::Error::from)
}

/// Forces to disk which names a directory has, where its file system can do that.
pub(crate) fn sync_directory(directory: impl AsFd) -> io::Result<()> {
    use Errno as E;
    match rustix::fs::fsync(directory) {
        // Some network and FUSE file systems have nothing to sync in directories.
        Ok(()) | Err(E::INVAL | E::BADF | E::NOSYS | E::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns what `fstatat` says of an entry, without following links; `None` if there is none.
pub(crate) fn look(parent: BorrowedFd<'_>, name: impl rustix::path::Arg) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// As [`look`], of a name that the file system may not take: then it has no such entry either.
pub(crate) fn look_for(parent: BorrowedFd<'_>, name: impl rustix::path::Arg) -> io::Result<Option<Stat>> {
    match look(parent, name) {
        Err(error) if is_no_name(&error) => Ok(None),
        looked => looked,
    }
}

/// Returns whether the system says that a file system takes no such name.
pub(crate) fn is_no_name(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG))
}

/// Takes what is gone for nothing. What is there and cannot be looked at is an error: nobody knows what it is.
pub(crate) fn unless_gone<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::NOTDIR)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether an error would hit every entry: a full or failing disk, a mount that is gone, no files to
/// be opened.
pub(crate) fn is_fatal(error: &io::Error) -> bool {
    use Errno as E;
    let errno = Errno::from_io_error(error);
    let all =
        [E::NOSPC, E::DQUOT, E::IO, E::ROFS, E::STALE, E::NODEV, E::NXIO, E::NOTCONN, E::MFILE, E::NFILE];
    errno.is_some_and(|errno| all.contains(&errno))
}

/// Returns whether an error may be over a moment later, as where the connection to a share is lost, or would hit every
/// entry. Neither is a matter of the entry that it was said of: what is staged must not be lost by it, as another run
/// may move it to its place.
pub(crate) fn is_for_now(error: &io::Error) -> bool {
    use Errno as E;
    Errno::from_io_error(error).is_some_and(|errno| {
        let is_refused = matches!(errno, E::ACCESS | E::PERM | E::BUSY | E::TXTBSY);
        let is_gone = matches!(errno, E::NOENT | E::NOTDIR | E::LOOP | E::XDEV);
        let is_in_the_way = matches!(errno, E::EXIST | E::NOTEMPTY | E::ISDIR | E::MLINK);
        let is_impossible = matches!(errno, E::INVAL | E::ILSEQ | E::NAMETOOLONG | E::NOSYS | E::OPNOTSUPP);
        // ext4 and XFS say EBADMSG of a wrong checksum.
        let is_damaged = matches!(errno, E::UCLEAN | E::BADMSG | E::NOKEY | E::OVERFLOW | E::FBIG);
        !(is_refused || is_gone || is_in_the_way || is_impossible || is_damaged)
    })
}

/// Returns whether an error says that something is open elsewhere, as CIFS does where others do not share it. It may be
/// closed a moment later.
pub(crate) fn is_open_elsewhere(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::BUSY | Errno::TXTBSY))
}

/// Returns whether an entry is a directory itself, not a link to one.
pub(crate) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Returns whether an entry is a symlink.
pub(crate) fn is_symlink(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_what_is_gone_or_cannot_be_is_taken_for_nothing() {
        for (errno, is_nothing) in [
            (Errno::NOENT, true),
            (Errno::NOTDIR, true),
            (Errno::ACCESS, false),
            (Errno::IO, false),
            (Errno::STALE, false),
            (Errno::LOOP, false),
        ] {
            let looked = unless_gone(Err::<(), _>(errno.into()));
            assert_eq!(looked.is_ok_and(|found| found.is_none()), is_nothing, "{errno}");
        }
        for (errno, expected) in [
            (Errno::INVAL, true),
            (Errno::ILSEQ, true),
            (Errno::NAMETOOLONG, true),
            (Errno::ACCESS, false),
            (Errno::IO, false),
        ] {
            assert_eq!(is_no_name(&errno.into()), expected, "{errno}");
        }
        let place = tempfile::tempdir().unwrap();
        let parent = fs::File::open(place.path()).unwrap();
        std::os::unix::fs::symlink("loop", place.path().join("loop")).unwrap();
        assert!(look_for(parent.as_fd(), "x".repeat(300)).unwrap().is_none());
        assert!(look_for(parent.as_fd(), "none").unwrap().is_none());
        assert!(look_for(parent.as_fd(), "loop").unwrap().is_some());
        assert!(look_for(parent.as_fd(), "loop/x").is_err());
    }

    #[test]
    fn what_is_opened_to_change_gets_all_rights_of_its_owner_and_keeps_the_others() {
        let place = tempfile::tempdir().unwrap();
        let parent = fs::File::open(place.path()).unwrap();
        let path = place.path().join("directory");
        fs::create_dir(&path).unwrap();
        for (before, after) in [(0, 0o700), (0o2555, 0o2755), (0o1077, 0o1777), (0o751, 0o751)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
            open_to_change(parent.as_fd(), b"directory").unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, after, "of {before:o}");
        }
    }

    #[test]
    fn only_a_file_with_no_other_name_is_opened_up_to_be_written() {
        let place = tempfile::tempdir().unwrap();
        let parent = fs::File::open(place.path()).unwrap();
        let at = |name: &str| place.path().join(name);
        for name in ["file", "named twice"] {
            fs::write(at(name), "").unwrap();
        }
        fs::hard_link(at("named twice"), at("other name")).unwrap();
        fs::create_dir(at("directory")).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        for name in ["file", "named twice", "directory"] {
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o400)).unwrap();
        }
        let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
        for name in ["named twice", "directory", "link"] {
            let refused = let_write(parent.as_fd(), name.as_bytes()).unwrap_err();
            assert_eq!(Errno::from_io_error(&refused), Some(Errno::ACCESS), "{name}");
        }
        assert_eq!(["file", "named twice", "directory"].map(mode), [0o400; 3]);
        let_write(parent.as_fd(), b"file").unwrap();
        assert_eq!(mode("file"), 0o600);
    }
}
