//! Deletes what the snapshot does not have, once everything that it has is in its place.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::super::directory::Directory;
use super::super::existing::open_existing;
use super::super::handles::Handles;
use super::super::remove::{Kept, Spared, remove_extra, would_keep};
use super::super::{Identity, staging};
use super::finish::attributes;
use super::unmoved::{Unmoved, ends_moving};
use super::{Merge, Publisher, Waiting};
use crate::kept::is_empty;
use crate::reason::{NotDeleted, Reason};

impl Publisher<'_> {
    /// Deletes what the snapshot does not have, if all that it has was restored, and finishes the
    /// directories.
    pub(super) fn mirror(
        &mut self,
        merge: &Merge,
        waiting: Vec<Waiting<'_>>,
        failed: &HashSet<*const Directory>,
        handles: &mut Handles<'_>,
    ) {
        let is_whole = self.is_whole();
        for Waiting { directory, name } in waiting {
            if self.cut_short.is_some() {
                break;
            }
            let reason = match self.replace_directory(directory, &name, handles, is_whole) {
                Ok(()) => continue,
                Err(Unmoved::NoRoom(error)) => {
                    self.no_room = Some(error);
                    continue;
                }
                Err(Unmoved::ForNow(error)) => {
                    self.cut_short = Some((directory.clone(), error));
                    break;
                }
                // It has waited.
                Err(Unmoved::Waits) => Reason::NotEmpty,
                Err(Unmoved::Failed(reason)) => reason,
            };
            match handles.open(directory) {
                Ok(staged) => self.unplaced(staged.as_fd(), directory, &name, reason),
                Err(_) => self.tally.problem(directory.path_of(&String::from_utf8_lossy(&name)), reason),
            }
        }
        let is_whole = self.is_whole();
        let in_use = if is_whole { self.in_use(merge) } else { HashMap::new() };
        for directory in
            merge.existing.iter().rev().filter(|directory| !failed.contains(&Arc::as_ptr(directory)))
        {
            let opened = open_existing(self.target.directory.as_fd(), directory);
            if self.cut_short.is_some() && opened.as_ref().is_err_and(ends_moving) {
                break;
            }
            let finished = opened.map_err(attributes).and_then(|destination| {
                match (directory.extras(), in_use.get(&Arc::as_ptr(directory))) {
                    (Some((_, extras)), _) if !is_whole => self.tally.extras_kept(extras.len() as u64),
                    (Some(_), Some(None)) => self.tally.restore_kept(directory.path_of("")),
                    (Some(_), Some(Some(error))) => {
                        self.tally.extra_problem(directory.path_of(""), NotDeleted::Unlisted(error.clone()));
                    }
                    (Some((listed, extras)), None) => {
                        self.delete_extras(destination.as_fd(), directory, listed, extras);
                    }
                    (None, _) => {}
                }
                self.finish(directory, destination.as_fd())
            });
            if let Err(reason) = finished {
                self.tally.problem(directory.path_of(""), reason);
            }
        }
    }

    /// Returns whether all that the snapshot has was restored, and moved to its place.
    fn is_whole(&self) -> bool {
        self.tally.is_whole() && self.no_room.is_none() && self.cut_short.is_none()
    }

    /// Finds the directories that another restore is at work in, or in one that they lie in: what it puts
    /// there is no extra. Where it cannot be known whether one is, the system has said why.
    fn in_use(&self, merge: &Merge) -> HashMap<*const Directory, Option<Arc<io::Error>>> {
        let with_extras = merge.existing.iter().filter(|directory| directory.extras().is_some());
        let concerned: HashSet<_> = with_extras.flat_map(Directory::ancestors).map(Arc::as_ptr).collect();
        let mut in_use = HashMap::<_, Option<Arc<io::Error>>>::new();
        // Each comes after those that it lies in. In the target itself nobody else is at work: its lock is
        // ours.
        for directory in merge.existing.iter().filter(|directory| concerned.contains(&Arc::as_ptr(directory)))
        {
            let Some(parent) = &directory.parent else { continue };
            let is_in_use = || {
                let opened = open_existing(self.target.directory.as_fd(), directory);
                match opened.and_then(|opened| staging::is_in_use(opened.as_fd())) {
                    Ok(is_in_use) => is_in_use.then_some(None),
                    Err(error) => Some(Some(error.into())),
                }
            };
            // Where the system has not said it of the parent, it may say it here.
            let above = in_use.get(&Arc::as_ptr(parent)).filter(|why| why.is_none());
            if let Some(why) = above.cloned().or_else(is_in_use) {
                in_use.insert(Arc::as_ptr(directory), why);
            }
        }
        in_use
    }

    /// Deletes what the snapshot does not have in one directory.
    fn delete_extras(
        &self,
        destination: BorrowedFd<'_>,
        directory: &Arc<Directory>,
        listed: Identity,
        extras: &[Box<[u8]>],
    ) {
        // Another directory may have been moved or mounted there since, whose entries nobody has compared
        // with the snapshot.
        if Identity::of(destination).ok() != Some(listed) {
            return self.tally.extra_problem(directory.path_of(""), NotDeleted::Replaced);
        }
        if let Some(kept) = self.kept {
            return self.keep_extras(kept, destination, directory, extras);
        }
        for name in extras {
            if let Err(error) = self.delete(destination, directory, name) {
                let path = directory.path_of(&String::from_utf8_lossy(name));
                self.tally.extra_problem(path, NotDeleted::failed(error));
            }
        }
    }

    /// Puts a file or link in the place of a directory.
    ///
    /// The directory goes only if all of the snapshot was restored, or if it is empty.
    fn replace_directory(
        &self,
        directory: &Arc<Directory>,
        name: &[u8],
        handles: &mut Handles<'_>,
        is_whole: bool,
    ) -> Result<(), Unmoved> {
        let destination = open_existing(self.target.directory.as_fd(), directory)?;
        let in_old = |error| Unmoved::of_old(destination.as_fd(), name, error);
        if is_whole {
            let kept = would_keep(destination.as_fd(), name, self.spared(directory)).map_err(in_old)?;
            if !kept.is_nothing() {
                self.note_kept(directory, kept);
                return Err(Errno::NOTEMPTY.into());
            }
        }
        let source = handles.open(directory)?;
        if let Some(kept) = self.kept {
            if !is_whole && !is_empty(destination.as_fd(), name).map_err(in_old)? {
                return Err(Errno::NOTEMPTY.into());
            }
            let ways = (source.as_fd(), destination.as_fd());
            return Ok(self.replace_directory_keeping(kept, ways, directory, name)?);
        }
        if is_whole {
            self.delete(destination.as_fd(), directory, name).map_err(in_old)?;
        } else {
            rustix::fs::unlinkat(&destination, name, AtFlags::REMOVEDIR)?;
        }
        Ok(rustix::fs::renameat(&*source, name, &destination, name)?)
    }

    /// Deletes an entry with all below it.
    ///
    /// What is mounted there stays, and what another restore is at work on.
    fn delete(&self, parent: BorrowedFd<'_>, directory: &Arc<Directory>, name: &[u8]) -> io::Result<()> {
        let kept = remove_extra(parent, name, self.spared(directory))?;
        if kept.is_nothing() {
            self.tally.deleted(&directory.path_of(&String::from_utf8_lossy(name)));
        }
        self.note_kept(directory, kept);
        Ok(())
    }

    /// Returns what stays in a directory because it is not chosen.
    pub(super) fn spared<'d>(&'d self, directory: &'d Directory) -> Option<Spared<'d>> {
        let (chosen, scope) = (self.chosen?, directory.scope()?);
        Some(Spared { chosen, scope })
    }

    pub(super) fn note_kept(&self, directory: &Arc<Directory>, kept: Kept) {
        kept.mounts.iter().for_each(|mount| self.tally.mount_kept(directory.path_of(mount)));
        kept.restores.iter().for_each(|restore| self.tally.restore_kept(directory.path_of(restore)));
    }
}
