//! Takes away what the restore put somewhere, and puts back what it had moved away.
//!
//! Nothing is lost by it: what is not known to be the restore's, or was changed since, is put aside, and what is in the
//! place of something that is not kept any more stays. Each step finds out by inodes what of it was done, as an undo
//! may have been killed anywhere and run again.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Stat};
use rustix::io::Errno;

use super::super::aside::move_entry;
use super::super::names::stored;
use super::super::record::{Moment, Put};
use super::Undo;
use super::span::Span;
use crate::destination::remove::remove_made;
use crate::destination::{Identity, is_directory, look};

impl Undo<'_> {
    /// Removes what the restore put somewhere, or puts aside what was changed there since.
    pub(super) fn put(&mut self, put: &Put) -> io::Result<()> {
        self.replaced = put.replaces;
        let Some((parent, name)) = self.parent(&put.path, false)? else { return Ok(()) };
        let Some(stat) = look(parent.as_fd(), name)? else { return Ok(()) };
        if let Some(number) = put.replaces {
            match look(self.store.as_fd(), stored(number, &put.path))? {
                // It stays: nothing else is left.
                None if self.is_put(&stat, put) => {
                    self.lost = Some(number);
                    return Err(not_kept());
                }
                // Nothing was moved away, or it is back: what is there is what was there.
                None => return Ok(()),
                Some(kept) if Identity::from(&kept) == Identity::from(&stat) => return Ok(()),
                Some(_) => {}
            }
        }
        if is_directory(&stat) && stat.st_ino == put.inode {
            self.remove_directory(parent.as_fd(), name, put)
        } else if is_directory(&stat) || !self.is_same(&stat, put.inode) || !is_unchanged(&stat, put) {
            // Of a directory nothing but its number says that it is the restore's.
            self.aside.put(parent.as_fd(), name, &put.path)
        } else {
            rustix::fs::unlinkat(&parent, name, AtFlags::empty())?;
            self.undone.removed += 1;
            Ok(())
        }
    }

    /// Returns whether what is there is what the restore put there. Once an undo has removed that, something
    /// newer may have got its inode.
    fn is_put(&self, stat: &Stat, put: &Put) -> bool {
        let tells = self.is_posix && !self.again;
        self.is_same(stat, put.inode) && (tells || is_directory(stat) || is_unchanged(stat, put))
    }

    /// Returns whether something is what had this inode number, as far as that is known.
    pub(super) fn is_same(&self, stat: &Stat, inode: u64) -> bool {
        stat.st_ino == inode || !self.is_posix
    }

    /// Removes a directory that the restore made; what was changed in it since is put aside.
    fn remove_directory(&mut self, parent: BorrowedFd<'_>, name: &[u8], put: &Put) -> io::Result<()> {
        let aside = &mut self.aside;
        let above = &put.path[..put.path.len() - name.len()];
        let span = Span::of(parent, name, put.clock, self.is_posix);
        let mut is_aside = |parent: BorrowedFd<'_>, name: &[u8], stat: &Stat, path: &[u8]| {
            let is_changed = !span.has(parent, name, stat);
            if is_changed {
                aside.put(parent, name, &[above, path].concat())?;
            }
            Ok(is_changed)
        };
        let kept = remove_made(parent, name, &mut is_aside)?;
        if !kept.is_nothing() {
            return Err(Errno::BUSY.into());
        }
        self.undone.removed += 1;
        Ok(())
    }

    /// Puts back what was moved away.
    pub(super) fn keep(&mut self, number: u64, mode: u32, path: &[u8]) -> io::Result<()> {
        let stored = stored(number, path);
        let Some(kept) = look(self.store.as_fd(), &*stored)? else {
            return self.not_in_store(number, mode, path);
        };
        let Some((parent, name)) = self.parent(path, true)? else { return Err(Errno::NOTDIR.into()) };
        match look(parent.as_fd(), name)? {
            Some(stat) if Identity::from(&stat) == Identity::from(&kept) => {
                rustix::fs::unlinkat(&self.store, &*stored, AtFlags::empty())?;
                return Ok(());
            }
            Some(_) => self.aside.put(parent.as_fd(), name, path)?,
            None => {}
        }
        move_entry(self.store.as_fd(), stored.as_bytes(), parent.as_fd(), name)?;
        if is_directory(&kept) && kept.st_mode & 0o7777 != mode {
            // It may have been opened up to be moved.
            self.directory_mode(parent.as_fd(), name, mode, path)?;
        }
        self.undone.restored += 1;
        Ok(())
    }

    /// Sees to what is not in the store: it was never moved away, is back, or is lost.
    fn not_in_store(&mut self, number: u64, mode: u32, path: &[u8]) -> io::Result<()> {
        if self.lost == Some(number) {
            return Ok(());
        }
        // Where something took its place, that says what has become of it.
        if !self.again && self.replaced != Some(number) && self.is_gone(path) {
            return Err(not_kept());
        }
        self.close_again(mode, path)
    }

    /// Returns whether it is certain that nothing is there.
    fn is_gone(&mut self, path: &[u8]) -> bool {
        match self.parent(path, false) {
            Ok(Some((parent, name))) => matches!(look(parent.as_fd(), name), Ok(None)),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

fn not_kept() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "what was there is not kept any more")
}

/// Returns whether a file or link has the time and size that it had when it was put there.
fn is_unchanged(stat: &Stat, put: &Put) -> bool {
    (Moment::modified(stat), u64::try_from(stat.st_size)) == (put.modified, Ok(put.size))
}
