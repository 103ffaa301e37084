//! Handles that can be locked, so that restores keep off each other's files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::FlockOperation;
use rustix::io::Result;

/// A handle whose lock ends when it is dropped.
///
/// A lock belongs to the open file and not to the descriptor: closing that ends it only where nobody has a copy.
/// A process that another thread is just starting has one until its program runs, and would keep the lock of a
/// restore that has ended. So it is given back before the handle is closed.
#[derive(Debug)]
pub(crate) struct Lockable(OwnedFd);

impl Lockable {
    pub(crate) fn new(handle: OwnedFd) -> Self {
        Self(handle)
    }

    /// Locks it against all others, without waiting.
    ///
    /// # Errors
    /// `EWOULDBLOCK` if somebody else has locked it, and anything else where the file system has no locks.
    pub(crate) fn try_lock(&self) -> Result<()> {
        rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive)
    }

    /// As [`Self::try_lock`], beside others that share it.
    pub(crate) fn try_share(&self) -> Result<()> {
        rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockShared)
    }
}

impl AsFd for Lockable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Lockable {
    fn drop(&mut self) {
        // Nothing happens if it is not locked, or locked by another handle.
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_lock_ends_with_its_handle_though_a_process_that_is_being_started_has_a_copy() {
        let place = tempfile::tempdir().unwrap();
        let open = || Lockable::new(File::open(place.path()).unwrap().into());
        for locks in [Lockable::try_lock, Lockable::try_share] {
            let held = open();
            locks(&held).unwrap();
            let copy = held.0.try_clone().unwrap();
            // Whoever is refused takes nothing away from the one that has it.
            for _ in 0..2 {
                assert_eq!(open().try_lock(), Err(Errno::WOULDBLOCK));
            }
            drop(held);
            open().try_lock().unwrap();
            drop(copy);
        }
    }
}
