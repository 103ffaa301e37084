//! Deletes what the snapshot does not have, once everything that it has is in its place.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::super::existing::open_existing;
use super::super::folder::Folder;
use super::super::handles::Handles;
use super::super::remove::{Kept, remove_extra, would_keep};
use super::super::{Identity, staging};
use super::{Merge, Publisher, Waiting, attributes, in_the_way};
use crate::reason::NotDeleted;

impl Publisher<'_> {
    /// Deletes what the snapshot does not have, if all that it has was restored, and finishes the folders.
    pub(super) fn mirror(
        &mut self,
        merge: &Merge,
        waiting: Vec<Waiting<'_>>,
        failed: &HashSet<*const Folder>,
        handles: &mut Handles<'_>,
    ) {
        let is_whole = self.tally.is_whole() && self.no_room.is_none();
        for Waiting { folder, name } in waiting {
            let Err(error) = self.replace_directory(folder, &name, handles, is_whole) else { continue };
            let reason = in_the_way(error);
            match handles.open(folder) {
                Ok(staged) => self.unplaced(staged.as_fd(), folder, &name, reason),
                Err(_) => self.tally.problem(folder.path_of(&String::from_utf8_lossy(&name)), reason),
            }
        }
        let is_whole = self.tally.is_whole() && self.no_room.is_none();
        let in_use = if is_whole { self.in_use(merge) } else { HashSet::new() };
        for folder in merge.existing.iter().rev().filter(|folder| !failed.contains(&Arc::as_ptr(folder))) {
            let opened = open_existing(self.target.folder.as_fd(), folder).map_err(attributes);
            let finished = opened.and_then(|destination| {
                match folder.extras() {
                    Some((_, extras)) if !is_whole => self.tally.extras_kept(extras.len() as u64),
                    Some(_) if in_use.contains(&Arc::as_ptr(folder)) => {
                        self.tally.restore_kept(folder.path_of(""));
                    }
                    Some((listed, extras)) => {
                        self.delete_extras(destination.as_fd(), folder, listed, extras);
                    }
                    None => {}
                }
                self.finish(folder, destination.as_fd())
            });
            if let Err(reason) = finished {
                self.tally.problem(folder.path_of(""), reason);
            }
        }
    }

    /// Finds the folders that another restore is at work in, or in one that they lie in: what it puts there is no extra.
    fn in_use(&self, merge: &Merge) -> HashSet<*const Folder> {
        let with_extras = merge.existing.iter().filter(|folder| folder.extras().is_some());
        let concerned: HashSet<_> = with_extras.flat_map(Folder::ancestors).map(Arc::as_ptr).collect();
        let mut in_use = HashSet::new();
        // Each comes after those that it lies in. In the target itself nobody else is at work: its lock is ours.
        for folder in merge.existing.iter().filter(|folder| concerned.contains(&Arc::as_ptr(folder))) {
            let Some(parent) = &folder.parent else { continue };
            let is_in_use = || {
                let opened = open_existing(self.target.folder.as_fd(), folder);
                opened.and_then(|directory| staging::is_in_use(directory.as_fd())).unwrap_or(true)
            };
            if in_use.contains(&Arc::as_ptr(parent)) || is_in_use() {
                in_use.insert(Arc::as_ptr(folder));
            }
        }
        in_use
    }

    /// Deletes what the snapshot does not have in one folder.
    fn delete_extras(
        &self,
        destination: BorrowedFd<'_>,
        folder: &Arc<Folder>,
        listed: Identity,
        extras: &[Box<[u8]>],
    ) {
        // Another folder may have been moved or mounted there since, whose entries nobody has compared with the snapshot.
        if Identity::of(destination).ok() != Some(listed) {
            return self.tally.extra_problem(folder.path_of(""), NotDeleted::Replaced);
        }
        for name in extras {
            if let Err(error) = self.delete(destination, folder, name) {
                let path = folder.path_of(&String::from_utf8_lossy(name));
                self.tally.extra_problem(path, NotDeleted::failed(error));
            }
        }
    }

    /// Puts a file or link in the place of a directory, which goes only where all of the snapshot was restored, or if it is
    /// empty.
    fn replace_directory(
        &self,
        folder: &Arc<Folder>,
        name: &[u8],
        handles: &mut Handles<'_>,
        is_whole: bool,
    ) -> io::Result<()> {
        let destination = open_existing(self.target.folder.as_fd(), folder)?;
        if is_whole {
            let kept = would_keep(destination.as_fd(), name)?;
            if !kept.is_nothing() {
                self.note_kept(folder, kept);
                return Err(Errno::NOTEMPTY.into());
            }
            self.delete(destination.as_fd(), folder, name)?;
        } else {
            rustix::fs::unlinkat(&destination, name, AtFlags::REMOVEDIR)?;
        }
        let source = handles.open(folder)?;
        Ok(rustix::fs::renameat(&*source, name, &destination, name)?)
    }

    /// Deletes an entry with all below it, but for what is mounted there or another restore is at work on.
    fn delete(&self, parent: BorrowedFd<'_>, folder: &Arc<Folder>, name: &[u8]) -> io::Result<()> {
        let kept = remove_extra(parent, name)?;
        if kept.is_nothing() {
            self.tally.deleted(&folder.path_of(&String::from_utf8_lossy(name)));
        }
        self.note_kept(folder, kept);
        Ok(())
    }

    fn note_kept(&self, folder: &Arc<Folder>, kept: Kept) {
        kept.mounts.iter().for_each(|mount| self.tally.mount_kept(folder.path_of(mount)));
        kept.restores.iter().for_each(|restore| self.tally.restore_kept(folder.path_of(restore)));
    }
}
