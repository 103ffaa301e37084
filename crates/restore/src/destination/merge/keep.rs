//! Moving where nothing may be lost: what is in the way is kept.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::fs::Stat;
use rustix::io::Errno;

use super::super::directory::Directory;
use super::super::remove::would_keep;
use super::super::{is_directory, look, placeholder};
use super::entry::Way;
use super::unmoved::Unmoved;
use super::{ANNOUNCED, Publisher};
use crate::kept::{Change, Keeping, Slot, is_empty, path_in};
use crate::reason::NotDeleted;

impl Publisher<'_> {
    /// Writes into the journal what is about to be moved, and returns the places for what is in the way; none
    /// where that is not kept.
    pub(super) fn announce(
        &self,
        directory: &Directory,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        names: &[(Vec<u8>, u64)],
    ) -> io::Result<HashMap<Vec<u8>, Slot>> {
        let Some(kept) = self.kept else { return Ok(HashMap::new()) };
        let mut changes = Vec::with_capacity(names.len());
        for (name, _) in names {
            let (there, put) = (look(to, &**name)?, look(from, &**name)?);
            changes.push(Change { path: path_in(directory, name), there, put });
        }
        let slots = kept.announce(&changes)?.into_iter();
        Ok(names.iter().zip(slots).filter_map(|((name, _), slot)| Some((name.clone(), slot?))).collect())
    }

    /// Moves an entry to its place, and what is there away. A directory has to be empty.
    pub(super) fn replace_keeping(
        &self,
        kept: &Keeping,
        directory: &Directory,
        Way { from, to, slot }: Way<'_>,
        name: &[u8],
        there: &Stat,
    ) -> Result<(), Unmoved> {
        let in_old = |error| Unmoved::of_old(to, name, error);
        if is_directory(there) && !is_empty(to, name).map_err(in_old)? {
            return Err(Errno::NOTEMPTY.into());
        }
        let late;
        let slot = match slot {
            Some(slot) => slot,
            // It came since.
            None => {
                let change =
                    Change { path: path_in(directory, name), there: Some(*there), put: look(from, name)? };
                late = kept.announce(&[change])?.into_iter().flatten().next().ok_or(Errno::NOENT)?;
                &late
            }
        };
        let is_new_directory = look(from, name)?.is_some_and(|stat| is_directory(&stat));
        if is_new_directory || is_directory(there) {
            kept.take(to, name, slot)?;
        } else {
            kept.save(to, name, slot)?;
        }
        rustix::fs::renameat(from, name, to, name).map_err(|errno| {
            if matches!(look(to, name), Ok(None)) {
                kept.give_back(to, name, slot);
            }
            errno.into()
        })
    }

    /// Moves away what the snapshot does not have in one directory.
    pub(super) fn keep_extras(
        &self,
        kept: &Keeping,
        destination: BorrowedFd<'_>,
        directory: &Arc<Directory>,
        extras: &[Box<[u8]>],
    ) {
        let shown = |name: &[u8]| directory.path_of(&String::from_utf8_lossy(name));
        let failed = |name: &[u8], error| self.tally.extra_problem(shown(name), NotDeleted::failed(error));
        for extras in extras.chunks(ANNOUNCED) {
            let (mut changes, mut names) = (Vec::new(), Vec::new());
            for name in extras {
                match would_keep(destination, name, self.spared(directory))
                    .and_then(|stays| Ok((stays, look(destination, &**name)?)))
                {
                    Ok((stays, Some(there))) if stays.is_nothing() => {
                        changes.push(Change {
                            path: path_in(directory, name),
                            there: Some(there),
                            put: None,
                        });
                        names.push(name);
                    }
                    Ok((stays, _)) => self.note_kept(directory, stays),
                    Err(error) => failed(name, error),
                }
            }
            let slots = match kept.announce(&changes) {
                Ok(slots) => slots,
                Err(error) => {
                    let again = || super::super::handles::copy(&error);
                    names.iter().for_each(|name| failed(name, again()));
                    continue;
                }
            };
            for (name, slot) in names.into_iter().zip(slots.into_iter().flatten()) {
                match kept.take(destination, name, &slot) {
                    Ok(()) => self.tally.deleted(&shown(name)),
                    Err(error) => failed(name, error),
                }
            }
        }
    }

    /// Moves a directory away that is in the place of a file or link, which gets there.
    pub(super) fn replace_directory_keeping(
        &self,
        kept: &Keeping,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        directory: &Arc<Directory>,
        name: &[u8],
    ) -> io::Result<()> {
        let (there, put) = (look(to, name)?, look(from, name)?);
        let slots = kept.announce(&[Change { path: path_in(directory, name), there, put }])?;
        let slot = slots.into_iter().flatten().next().ok_or(Errno::NOENT)?;
        kept.take(to, name, &slot)?;
        rustix::fs::renameat(from, name, to, name).inspect_err(|_| kept.give_back(to, name, &slot))?;
        self.tally.deleted(&directory.path_of(&String::from_utf8_lossy(name)));
        Ok(())
    }

    /// Moves a placeholder away; returns its name if there was one.
    pub(super) fn keep_placeholder(
        &self,
        kept: &Keeping,
        destination: BorrowedFd<'_>,
        directory: &Directory,
        name: &str,
    ) -> io::Result<Option<String>> {
        let Some(placeholder) = placeholder::of(destination, name) else { return Ok(None) };
        let there = look(destination, &*placeholder)?;
        let path = path_in(directory, placeholder.as_bytes());
        for slot in kept.announce(&[Change { path, there, put: None }])?.into_iter().flatten() {
            kept.take(destination, placeholder.as_bytes(), &slot)?;
        }
        Ok(Some(placeholder))
    }

    /// Notes that a directory has other attributes now than before the restore.
    pub(super) fn note_changed(&self, directory: &Directory, handle: impl AsFd) {
        let (Some(kept), Some(found)) = (self.kept, directory.found()) else { return };
        let of = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime, stat.st_mtime_nsec);
        if rustix::fs::fstat(handle).is_ok_and(|stat| of(&stat) != of(found)) {
            kept.note_change();
        }
    }
}
