//! Moves what was staged to its final names.
//!
//! Every entry is moved at the highest level that the target does not have, so a fresh restore moves the
//! entries of the root and nothing else. Directories that the target had already are walked, deepest first;
//! in them a file replaces a file or link of the same name in one step, and what is in the way of another
//! kind goes, unless it is a directory with something in it.
//!
//! What is to be deleted goes after that, in a second walk, and only if all of the snapshot was restored.
//!
//! Here are the walk and the emptying of one staged directory; each step of it has a room of its own below this one.

mod entry;
mod finish;
mod keep;
mod mirror;
mod names;
mod unmoved;
mod unplaced;

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use kopia_repository::choice::Chosen;
use rustix::fs::AtFlags;

use super::directory::Directory;
use super::existing::open_existing;
use super::handles::{self, Handles};
use super::metadata::Metadata;
use super::staging::Staging;
use super::target::Target;
use super::{look, partial, placeholder};
use crate::kept::Keeping;
use crate::reason::{Operation, Reason};
use crate::space::is_full;
use crate::tally::Tally;
use entry::Way;
use names::{Inodes, Left, Names};
use unmoved::{Unmoved, ends_moving};

/// How many entries are written into the journal at once, where what is replaced is kept.
const ANNOUNCED: usize = 4096;

/// What the planner found out about the target, and what is to be done at the end.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    /// Directories that the target had, each after those it lies in; the first is the root.
    pub(crate) existing: Vec<Arc<Directory>>,
    /// Directories that are moved as a whole, and get their attributes then.
    pub(crate) moved: Vec<Arc<Directory>>,
    /// Whether the snapshot has nothing by the name of the tag, as far as it was read.
    pub(crate) may_tag: bool,
}

/// Everything that moving needs at hand.
pub(crate) struct Publisher<'a> {
    pub(crate) target: &'a Target,
    pub(crate) staging: &'a Staging,
    pub(crate) tally: &'a Tally<'a>,
    pub(crate) metadata: Metadata,
    /// Whether the target directory itself gets the root's attributes.
    pub(crate) root_attributes: bool,
    /// Whether what the snapshot does not have is deleted.
    pub(crate) delete_extra: bool,
    /// What of it may be deleted, where not everything is chosen.
    pub(crate) chosen: Option<&'a Chosen>,
    /// Whether nothing is replaced, not even what came after the restore began.
    pub(crate) refuse_existing: bool,
    /// Whether what is newer than the snapshot's stays, what came after the restore began, too.
    pub(crate) newer: bool,
    /// Where what is replaced is kept, if it is to be.
    pub(crate) kept: Option<&'a Keeping>,
    /// What the system said when a directory had no room for a name.
    pub(crate) no_room: Option<io::Error>,
    /// What the system said where nothing was moved any more, and of which directory: what has no name yet is to stay
    /// staged.
    pub(crate) cut_short: Option<(Arc<Directory>, io::Error)>,
}

/// A file that waits in the staging tree because a directory with something in it has its name.
struct Waiting<'m> {
    directory: &'m Arc<Directory>,
    name: Vec<u8>,
}

/// What is not moved out of a staged directory.
struct Stays<'e> {
    /// Its directories that the target has as well: what is in them was moved before.
    existing: &'e HashSet<&'e [u8]>,
    /// What cannot be moved.
    stuck: HashSet<Vec<u8>>,
}

impl Publisher<'_> {
    /// Moves everything and sets the attributes that had to wait, but for those of the target directory
    /// itself.
    pub(crate) fn run(&mut self, merge: &Merge) {
        let mut opened = Handles::of_made(self.staging.handle(), 1);
        let mut moved: HashMap<*const Directory, Vec<&Arc<Directory>>> = HashMap::new();
        for directory in &merge.moved {
            let parent = directory.parent.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
            moved.entry(parent).or_default().push(directory);
        }
        let mut existing: HashMap<*const Directory, HashSet<&[u8]>> = HashMap::new();
        for directory in &merge.existing {
            let parent = directory.parent.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
            existing.entry(parent).or_default().insert(directory.name().as_bytes());
        }
        let (mut waiting, mut failed) = (Vec::new(), HashSet::new());
        for directory in merge.existing.iter().rev() {
            let key = Arc::as_ptr(directory);
            let moved = moved.remove(&key).unwrap_or_default();
            let existing = existing.remove(&key).unwrap_or_default();
            if directory.is_unseen() {
                failed.insert(key);
                continue;
            }
            let destination = match self.fill(directory, &mut opened, &moved, &existing, &mut waiting) {
                Ok(destination) => destination,
                Err(error) if ends_moving(&error) || self.cut_short.is_some() => {
                    failed.insert(key);
                    let answers = self.cut_short.is_none() || !ends_moving(&error);
                    self.cut_short.get_or_insert_with(|| (directory.clone(), error));
                    // Each might take minutes to say that it does not.
                    if answers { continue } else { break }
                }
                Err(error) => {
                    if is_full(&error) {
                        self.no_room = Some(handles::copy(&error));
                    }
                    self.unfilled(directory, &mut opened, &existing, Reason::of(Operation::Move, error));
                    failed.insert(key);
                    continue;
                }
            };
            // What is deleted in it later changes its time.
            if !self.delete_extra
                && let Err(reason) = self.finish(directory, destination.as_fd())
            {
                self.tally.problem(directory.path_of(""), reason);
            }
        }
        if self.delete_extra {
            self.mirror(merge, waiting, &failed, &mut opened);
        }
    }

    /// Moves what was staged in one directory, as long as anything is moved. Those of its directories that are
    /// `existing` in the target were filled before.
    fn fill<'m>(
        &mut self,
        directory: &'m Arc<Directory>,
        handles: &mut Handles<'_>,
        moved: &[&Arc<Directory>],
        existing: &HashSet<&[u8]>,
        waiting: &mut Vec<Waiting<'m>>,
    ) -> io::Result<OwnedFd> {
        let destination = open_existing(self.target.directory.as_fd(), directory)?;
        if self.cut_short.is_some() {
            // It may have been opened up, and is finished.
            return Ok(destination);
        }
        // What could not be looked at stays where it is.
        let unseen = moved.iter().filter(|child| child.is_unseen());
        let stuck = unseen.map(|child| child.name().as_bytes().to_vec());
        let held_back = directory.held_back().into_iter().map(Vec::from);
        let mut stays = Stays { existing, stuck: stuck.chain(held_back).collect() };
        let mut is_moved = true;
        if directory.parent.is_none() || directory.is_in_staging() {
            match self.move_staged(directory, destination.as_fd(), handles, &mut stays, waiting) {
                Ok(()) => {}
                Err(error) if is_full(&error) => (self.no_room, is_moved) = (Some(error), false),
                Err(error) if ends_moving(&error) => {
                    (self.cut_short, is_moved) = (Some((directory.clone(), error)), false);
                }
                Err(error) => return Err(error),
            }
        }
        // One that could not be made or moved has its problem already.
        for child in moved.iter().filter(|child| !stays.stuck.contains(child.name().as_bytes())) {
            match self.finish_moved(destination.as_fd(), child) {
                Ok(()) => {}
                Err(reason) if is_moved => self.tally.problem(child.path_of(""), reason),
                Err(Reason::System(failed)) if ends_moving(&failed.error) => break,
                // It may not have been moved yet.
                Err(_) => {}
            }
        }
        if !is_moved {
            return Ok(destination);
        }
        partial::name_all(destination.as_fd(), directory, self.tally);
        self.remove_placeholders(destination.as_fd(), directory);
        Ok(destination)
    }

    /// Moves what was staged in one directory, but for what `stays` there, to which it adds what cannot be moved.
    fn move_staged<'m>(
        &mut self,
        directory: &'m Arc<Directory>,
        destination: BorrowedFd<'_>,
        handles: &mut Handles<'_>,
        stays: &mut Stays<'_>,
        waiting: &mut Vec<Waiting<'m>>,
    ) -> io::Result<()> {
        let source = handles.open(directory)?;
        let mut names = Names::read(source.as_fd())?;
        let (mut placed, mut waits, mut there) = (Inodes::default(), Left::new(), 0);
        loop {
            let left = |name: &[u8]| {
                let ours = stays.existing.contains(name) || self.is_our_own(directory, name);
                ours || stays.stuck.contains(name) || waits.contains(name)
            };
            let piece = names.next(left)?;
            if piece.is_empty() {
                break;
            }
            there += piece.len() as u64;
            for next in piece.chunks(ANNOUNCED) {
                let slots = self.announce(directory, (source.as_fd(), destination), next)?;
                for (name, inode) in next {
                    let (name, inode) = (name.clone(), *inode);
                    let way = Way { from: source.as_fd(), to: destination, slot: slots.get(&name) };
                    let moved = self.move_entry(directory, way, &name, &placed);
                    placed.insert(inode);
                    let reason = match moved {
                        Ok(()) => continue,
                        Err(Unmoved::Waits) => {
                            waits.insert(name.clone());
                            waiting.push(Waiting { directory, name });
                            continue;
                        }
                        Err(Unmoved::NoRoom(error)) => {
                            self.no_room = Some(error);
                            stays.stuck.insert(name);
                            continue;
                        }
                        Err(Unmoved::ForNow(error)) => return Err(error),
                        Err(Unmoved::Failed(reason)) => reason,
                    };
                    self.unplaced(source.as_fd(), directory, &name, reason);
                    stays.stuck.insert(name);
                }
            }
        }
        if there < directory.staged() {
            let lost = directory.staged() - there;
            self.tally.lost(directory.path_of(""), Reason::Vanished(lost), lost - 1);
        }
        if let Some(parent) = &directory.parent {
            // What could not be moved keeps it there; the whole staging directory is removed at the end
            // anyway.
            let _ = rustix::fs::unlinkat(&*handles.open(parent)?, directory.name(), AtFlags::REMOVEDIR);
        }
        Ok(())
    }

    /// Returns whether a name in the staging tree is no entry of the snapshot.
    fn is_our_own(&self, directory: &Directory, name: &[u8]) -> bool {
        directory.parent.is_none() && self.staging.is_our_own(name)
    }

    /// Removes what `kopia restore --shallow` left in place of entries that are restored now.
    fn remove_placeholders(&self, destination: BorrowedFd<'_>, directory: &Arc<Directory>) {
        for name in directory.placeholders() {
            // What could not be restored keeps what says where it is.
            if !matches!(look(destination, &**name), Ok(Some(_))) {
                continue;
            }
            let removed = match self.kept {
                Some(kept) => self.keep_placeholder(kept, destination, directory, name),
                None => placeholder::remove(destination, name),
            };
            match removed {
                Ok(removed) => removed.iter().for_each(|name| self.tally.deleted(&directory.path_of(name))),
                Err(error) => tracing::debug!(%error, name, "a placeholder cannot be removed"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
