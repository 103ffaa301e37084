//! The system calls that read and set attributes, for an open file or directory and for a symlink by its
//! name.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Gid, Mode, Stat, Timestamps, Uid};
use rustix::io::Errno;

/// An entry whose attributes are set.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    File(BorrowedFd<'a>),
    Directory(BorrowedFd<'a>),
    /// The directory it lies in and its name: a symlink cannot be opened.
    Symlink(BorrowedFd<'a>, &'a [u8]),
}

/// What file systems treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
}

impl Subject<'_> {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::File(_) => Kind::File,
            Self::Directory(_) => Kind::Directory,
            Self::Symlink(..) => Kind::Symlink,
        }
    }

    pub(super) fn stat(self) -> rustix::io::Result<Stat> {
        match self {
            Self::File(open) | Self::Directory(open) => rustix::fs::fstat(open),
            Self::Symlink(directory, name) => rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW),
        }
    }

    /// Changes owner and group; `None` leaves one as it is.
    pub(super) fn chown(self, uid: Option<u32>, gid: Option<u32>) -> rustix::io::Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        match self {
            Self::File(open) | Self::Directory(open) => rustix::fs::fchown(open, uid, gid),
            Self::Symlink(directory, name) => {
                rustix::fs::chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }

    /// Changes the mode, which a symlink does not have.
    pub(super) fn chmod(self, mode: u32) -> rustix::io::Result<()> {
        match self {
            Self::File(open) | Self::Directory(open) => rustix::fs::fchmod(open, Mode::from_raw_mode(mode)),
            Self::Symlink(..) => Ok(()),
        }
    }

    pub(super) fn utimens(self, times: &Timestamps) -> rustix::io::Result<()> {
        match self {
            Self::File(open) | Self::Directory(open) => rustix::fs::futimens(open, times),
            Self::Symlink(directory, name) => {
                rustix::fs::utimensat(directory, name, times, AtFlags::SYMLINK_NOFOLLOW)
            }
        }
    }
}

/// Returns whether an error says that this attribute cannot be set here, and nothing of the entry's bytes.
///
/// CIFS, Azure Files and FAT answer EPERM or EACCES, some FUSE file systems ENOSYS or EOPNOTSUPP. EINVAL
/// stands for ids that the user namespace does not map and for modes and times that the file system cannot
/// hold, EOVERFLOW for ids that an idmapped mount or the file system's own user namespace does not map. No
/// refusals of an attribute are EDQUOT and ENOSPC, which say that there is no room, and EROFS and EIO, which
/// would hit the bytes as well.
pub(crate) fn is_refusal(errno: Errno) -> bool {
    use Errno as E;
    matches!(errno, E::PERM | E::ACCESS | E::OPNOTSUPP | E::NOSYS | E::INVAL | E::OVERFLOW)
}
