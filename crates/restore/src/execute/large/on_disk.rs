//! The bytes of a large file of the target, on disk before it gets the time that says they are right.
//!
//! A run that changed the file in place may have been killed before that, or been told that it failed. The next
//! one finds all pieces right in the system's memory; only the file's time still tells that they may be nowhere
//! else.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::Advice;
use rustix::io::Errno;

use crate::destination::metadata::{Attributes, has_time};
use crate::execute::Worker;

impl Worker<'_> {
    /// Forces the bytes of a file to disk if it was changed or is to get another time. File systems may have
    /// the time on disk before bytes that replace others: after a power cut the file would have old pieces, and
    /// look right.
    pub(super) fn bytes_to_disk(
        &self,
        file: &OwnedFd,
        wanted: &Attributes,
        is_changed: bool,
    ) -> io::Result<()> {
        let stat = rustix::fs::fstat(file)?;
        if !is_changed && has_time(&stat, &self.metadata.adjusted(wanted, &stat)) {
            return Ok(());
        }
        match rustix::fs::fdatasync(file) {
            // Nothing can be forced to disk there.
            Ok(()) | Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            Err(errno) => {
                // Some file systems take for written what they could not write, and say so once: whoever compares
                // the file next is to read it from the disk.
                let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
                Err(errno.into())
            }
        }
    }
}
