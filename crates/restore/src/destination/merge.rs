//! Moves what was staged to its final names.
//!
//! Every entry is moved at the highest level that the target does not have, so a fresh restore moves the
//! entries of the root and nothing else. Directories that the target had already are walked, deepest first;
//! in them a file replaces a file or link of the same name in one step, and what is in the way of another
//! kind goes, unless it is a directory with something in it.
//!
//! What is to be deleted goes after that, in a second walk, and only if all of the snapshot was restored.

mod keep;
mod mirror;
mod names;
mod unplaced;

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use kopia_repository::choice::Chosen;
use rustix::fs::{AtFlags, Mode, RenameFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::existing::open_existing;
use super::handles::{self, Handles};
use super::metadata::{Metadata, is_overtaken};
use super::staging::Staging;
use super::target::Target;
use super::{Identity, is_directory, is_for_now, look, open_directory, open_to_change};
use super::{partial, placeholder};
use crate::kept::{Keeping, Slot};
use crate::outcome::Unset;
use crate::reason::{Operation, Reason};
use crate::space::is_full;
use crate::tally::Tally;
use names::{Inodes, Left, Names};

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
        let mut opened = Handles::new(self.staging.handle(), 1, true);
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

    /// Sets the attributes of a directory that the target had, but for the target itself.
    fn finish(&mut self, directory: &Arc<Directory>, destination: BorrowedFd<'_>) -> Result<(), Reason> {
        if directory.parent.is_none() {
            return Ok(());
        }
        if self.metadata.preserves_permissions()
            && let Some(found) = directory.found()
        {
            // It may have been opened up.
            let _ = rustix::fs::fchmod(destination, Mode::from_raw_mode(found.st_mode & 0o7777));
        }
        let unset = self.metadata.finish_existing(destination, &directory.attributes).map_err(attributes)?;
        self.tally.unset(unset, || directory.path_of(""));
        self.note_changed(directory, destination);
        Ok(())
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

    /// Sets the attributes of the target directory itself, after the staging directory is gone from it.
    pub(crate) fn finish_root(&mut self, merge: &Merge) {
        let Some(root) = merge.existing.first() else { return };
        let directory = self.target.directory.as_fd();
        if !self.root_attributes || self.metadata.preserves_permissions() {
            self.target.settle_mode();
        }
        if !self.root_attributes {
            return;
        }
        match self.metadata.finish_existing(directory, &root.attributes) {
            Ok(unset) => {
                self.tally.unset(unset, || root.path_of(""));
                self.note_changed(root, directory);
            }
            Err(error) => self.tally.problem(root.path_of(""), attributes(error)),
        }
    }

    /// Sets the attributes of a directory in its final place.
    fn finish_moved(&mut self, parent: BorrowedFd<'_>, directory: &Arc<Directory>) -> Result<(), Reason> {
        let Some(identity) = directory.identity() else { return Ok(()) };
        let name = directory.name();
        let is_refused = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let mut handle = open_directory(parent, name);
        // One that got to its place before the end has its attributes already, and may be closed by them.
        if handle.as_ref().is_err_and(is_refused)
            && let Ok(Some(stat)) = look(parent, name)
            && Identity::from(&stat) == identity
        {
            handle = open_to_change(parent, name.as_bytes());
            // It may be another user's by now. What it lacks then nobody could set.
            if handle.as_ref().is_err_and(is_refused) {
                let wanted = self.metadata.staged(&directory.attributes, &stat);
                self.tally.unset(Unset::of(&stat, &wanted), || directory.path_of(""));
                return Ok(());
            }
        }
        let handle = handle.map_err(attributes)?;
        if Identity::of(&handle).map_err(attributes)? != identity {
            return Err(Reason::Replaced);
        }
        let unset =
            self.metadata.finish_directory(handle.as_fd(), &directory.attributes).map_err(attributes)?;
        self.tally.unset(unset, || directory.path_of(""));
        Ok(())
    }

    /// Moves one entry, replacing what may be replaced, but nothing that this restore `placed` there: that
    /// happens in case-insensitive directories.
    fn move_entry(
        &self,
        directory: &Directory,
        way: Way<'_>,
        name: &[u8],
        placed: &Inodes,
    ) -> Result<(), Unmoved> {
        let Way { from, to, .. } = way;
        match rustix::fs::renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            // Old file systems cannot refuse to replace; what is there decides below.
            Err(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno.into()),
        }
        let (staged, there) = (look(from, name)?, look(to, name)?);
        let new = staged.is_some_and(|stat| is_directory(&stat));
        // Inodes say nothing about what another file system has there.
        let device = staged.map(|stat| stat.st_dev);
        if there.is_some_and(|there| Some(there.st_dev) == device && placed.contains(there.st_ino)) {
            return Err(Unmoved::Failed(Reason::NameTaken { by: None }));
        }
        let old = there.map(|stat| is_directory(&stat));
        if self.refuse_existing && old.is_some() {
            return Err(Unmoved::Failed(Reason::Exists));
        }
        if self.newer
            && let (Some(staged), Some(there)) = (&staged, &there)
            && is_overtaken(staged, there)
        {
            return Err(Unmoved::Failed(Reason::NotNewer));
        }
        if let (Some(kept), Some(there)) = (self.kept, there)
            && (new || old != Some(true) || !self.delete_extra)
        {
            return self.replace_keeping(kept, directory, way, name, &there);
        }
        match (new, old) {
            (false, Some(true)) if self.delete_extra => return Err(Unmoved::Waits),
            (false, Some(true)) => rustix::fs::unlinkat(to, name, AtFlags::REMOVEDIR)?,
            (true, Some(false)) => rustix::fs::unlinkat(to, name, AtFlags::empty())?,
            // A rename replaces a file by a file, and an empty directory by a directory.
            _ => {}
        }
        Ok(rustix::fs::renameat(from, name, to, name)?)
    }
}

/// The directories that an entry is moved from and to, and a place for what is in its way.
#[derive(Clone, Copy)]
struct Way<'a> {
    from: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    slot: Option<&'a Slot>,
}

/// Why an entry stays in the staging tree.
#[derive(Debug)]
enum Unmoved {
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
    fn of_old(parent: BorrowedFd<'_>, name: &[u8], error: io::Error) -> Self {
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
fn ends_moving(error: &io::Error) -> bool {
    is_for_now(error) && !is_full(error)
}

impl From<Errno> for Unmoved {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// Returns why a directory does not get its attributes.
fn attributes(error: io::Error) -> Reason {
    Reason::of(Operation::SetAttributes, error)
}

/// Returns why an entry cannot get to its place.
fn in_the_way(error: io::Error) -> Reason {
    match Errno::from_io_error(&error) {
        Some(Errno::NOTEMPTY | Errno::EXIST) => Reason::NotEmpty,
        Some(Errno::XDEV) => Reason::OtherFileSystem,
        _ => Reason::of(Operation::Move, error),
    }
}

#[cfg(test)]
mod tests;
