//! The way from the target to the directory that something lies in.
//!
//! It leads by handles through directories of the target alone: somebody may have put links or mounts there since.
//! What is opened up on it, so that its owner can get in, is noted, and closed again at the end of the undo.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, Stat};
use rustix::io::Errno;

use super::Undo;
use crate::destination::{is_directory, look, open_to_change};

impl Undo<'_> {
    /// Opens the directory that something lies in, without following links, and returns its name there. What is
    /// missing on the way is made if `make`, and what is in the way put aside.
    pub(super) fn parent<'p>(
        &mut self,
        path: &'p [u8],
        make: bool,
    ) -> io::Result<Option<(OwnedFd, &'p [u8])>> {
        let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => return Ok(Some((self.target.try_clone()?, path))),
        };
        if let Some((_, handle)) = self.last.as_ref().filter(|(known, _)| known == above) {
            return Ok(Some((handle.try_clone()?, name)));
        }
        let mut handle = self.target.try_clone()?;
        let mut length = 0;
        for part in above.split(|byte| *byte == b'/') {
            length += part.len();
            let so_far = &above[..length];
            length += 1;
            let found = look(handle.as_fd(), part)?;
            match found {
                Some(stat) if is_directory(&stat) => {
                    if stat.st_dev != self.device {
                        return Err(Errno::XDEV.into());
                    }
                }
                _ if !make => return Ok(None),
                found => {
                    if found.is_some() {
                        self.aside.put(handle.as_fd(), part, so_far)?;
                    }
                    rustix::fs::mkdirat(&handle, part, Mode::RWXU)?;
                }
            }
            let inner = open_to_change(handle.as_fd(), part)?;
            let is_opened =
                |stat: &Stat| rustix::fs::fstat(&inner).is_ok_and(|now| now.st_mode != stat.st_mode);
            if let Some(stat) = found.filter(|stat| is_directory(stat) && is_opened(stat)) {
                self.opened.entry(so_far.to_vec()).or_insert(stat.st_mode & 0o7777);
            }
            handle = inner;
        }
        self.last = Some((above.to_vec(), handle.try_clone()?));
        Ok(Some((handle, name)))
    }
}
