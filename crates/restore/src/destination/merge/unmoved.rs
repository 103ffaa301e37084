//! Why an entry stays in the staging tree, and whether that ends the moving of others.
//!
//! What stays staged at the end of a restore that goes on is removed: so what the system says for a moment alone must
//! not be taken for a matter of the entry. This room decides by errors, and touches nothing.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::super::{is_for_now, look};
use crate::reason::{Operation, Reason};
use crate::space::is_full;

/// Why an entry stays in the staging tree.
#[derive(Debug)]
pub(super) enum Unmoved {
    /// A directory has to go first, and may do so only once everything is restored.
    Waits,
    /// The directory that it belongs into has no room for its name.
    NoRoom(io::Error),
    /// Another run may move it.
    ForNow(io::Error),
    Failed(Reason),
}

impl From<io::Error> for Unmoved {
    fn from(error: io::Error) -> Self {
        if is_full(&error) {
            Self::NoRoom(error)
        } else if ends_moving(&error) {
            Self::ForNow(error)
        } else {
            Self::Failed(in_the_way(error))
        }
    }
}

impl Unmoved {
    /// As where an entry cannot be moved, of what the system says of something in the directory that has its name: a
    /// dead mount or a bad sector there is a matter of that entry alone, as long as the target itself answers. What
    /// this process or the machine lacks says nothing of the entry.
    pub(super) fn of_old(parent: BorrowedFd<'_>, name: &[u8], error: io::Error) -> Self {
        let errno = Errno::from_io_error(&error);
        let is_lack =
            matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR | Errno::AGAIN));
        let is_alone = || !is_lack && !look(parent, name).is_err_and(|error| ends_moving(&error));
        match Self::from(error) {
            Self::ForNow(error) if is_alone() => Self::Failed(in_the_way(error)),
            unmoved => unmoved,
        }
    }
}

/// Returns whether nothing is moved any more once the system has said this: what stays staged would be removed at the
/// end. Where a directory has no room, there may be some in others.
pub(super) fn ends_moving(error: &io::Error) -> bool {
    is_for_now(error) && !is_full(error)
}

impl From<Errno> for Unmoved {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// Returns why an entry cannot get to its place.
pub(super) fn in_the_way(error: io::Error) -> Reason {
    match Errno::from_io_error(&error) {
        Some(Errno::NOTEMPTY | Errno::EXIST) => Reason::NotEmpty,
        Some(Errno::XDEV) => Reason::OtherFileSystem,
        _ => Reason::of(Operation::Move, error),
    }
}
