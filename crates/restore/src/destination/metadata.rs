//! Owner, mode and times of what was written.
//!
//! The order is the system's, not ours to choose: changing the owner of a file clears setuid and setgid, so
//! its mode comes after its owner. For a directory it is the other way round: without the capability FSETID,
//! setting a mode drops setgid where the group is not one's own, while changing a directory's owner drops
//! nothing.
//!
//! No attribute is worth an entry's bytes: what the target refuses to set is left and told ([`Unset`]). Some
//! file systems (CIFS, blobfuse, drvfs) take an owner, mode or time and do nothing, so each is looked at when
//! it is set for the first time, and special bits always are.

pub(crate) mod keep;
pub(crate) mod preserve;
pub(crate) mod probe;
mod set;
pub(crate) mod subject;
pub(crate) mod unset;

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kopia_format::Timestamp;
use kopia_repository::Entry;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::path::Arg;

use super::directory::Directory;
use super::{Side, is_directory};
use crate::outcome::Unset;
use keep::Keeper;
use preserve::Preserve;
use probe::ProbedDefaults;
use set::{Owned, Seen};
use subject::{Kind, Subject, is_refusal};

use crate::Options;

pub(crate) const SETUID_SETGID: u32 = 0o6000;
pub(crate) const SPECIAL: u32 = 0o7000;
pub(super) const SETUID: u32 = 0o4000;
pub(super) const SETGID: u32 = 0o2000;

/// What an entry gets besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Timestamp,
}

impl Attributes {
    /// Returns what an entry of the snapshot gets.
    pub(crate) fn of(entry: &Entry, options: &Options) -> Self {
        let (uid, gid) = options.owners.of(entry);
        Self { mode: options.owners.mode(entry), uid, gid, modified: entry.modified() }
    }

    /// Returns what something of the target has, so that it stays as it is.
    pub(crate) fn found(stat: &Stat) -> Self {
        let nanoseconds = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
        let modified = Timestamp::new(stat.st_mtime, nanoseconds).unwrap_or_default();
        Self { mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid, modified }
    }
}

/// One worker's way of setting attributes.
pub(crate) struct Metadata {
    defaults: ProbedDefaults,
    preserve: Preserve,
    keeper: Keeper,
    /// Owners that could not be set: asking again for every file would cost two system calls each.
    refused: HashSet<(u32, u32)>,
    /// What was seen to hold once, so that it need not be looked at again.
    seen: HashSet<Seen>,
}

impl Metadata {
    pub(crate) fn new(defaults: ProbedDefaults, options: &Options) -> Self {
        let keeper = Keeper::new(options, defaults.creator);
        Self { defaults, preserve: options.into(), keeper, refused: HashSet::new(), seen: HashSet::new() }
    }

    /// Returns whether modes are left as they are.
    pub(crate) fn preserves_permissions(&self) -> bool {
        self.preserve.permissions()
    }

    /// Returns what is to be set of an entry of the staging tree.
    fn wanted(&self, subject: Subject<'_>, wanted: &Attributes) -> io::Result<Attributes> {
        if self.preserve.is_nothing() {
            return Ok(*wanted);
        }
        Ok(self.staged(wanted, &subject.stat()?))
    }

    /// Returns what an entry of the staging tree gets, where some of what it has is to be left: what a new one
    /// has, as a run with other options may have finished this one before it was interrupted.
    pub(crate) fn staged(&self, wanted: &Attributes, stat: &Stat) -> Attributes {
        self.preserve.adjust(wanted, &self.defaults.as_made(stat, wanted))
    }

    /// Makes a file for writing, or for more: with its final mode where files can be made with it, otherwise
    /// for nobody but us. Nobody else gets into the staging tree, whatever the mode.
    pub(crate) fn create(
        &self,
        directory: BorrowedFd<'_>,
        name: impl Arg + Copy,
        wanted: &Attributes,
        access: OFlags,
    ) -> io::Result<OwnedFd> {
        let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = |mode: u32| rustix::fs::openat(directory, name, flags, Mode::from_raw_mode(mode));
        let mode = self.creation_mode(wanted);
        match create(mode) {
            // Some file systems take a mode only where they can hold it.
            Err(errno) if mode != 0o600 && is_refusal(errno) => Ok(create(0o600)?),
            file => Ok(file?),
        }
    }

    fn creation_mode(&self, wanted: &Attributes) -> u32 {
        if self.preserve.permissions() {
            0o600
        } else if self.defaults.mode_suits(wanted) {
            wanted.mode
        } else if self.defaults.creator.sets_modes {
            0o600
        } else {
            // The only chance to get it.
            wanted.mode & 0o777
        }
    }

    /// Sets what [`Self::create`] left, once all bytes are written.
    pub(crate) fn finish_file(&mut self, file: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<Unset> {
        let file = Subject::File(file);
        let created =
            (!self.preserve.permissions() && self.defaults.mode_suits(wanted)).then_some(wanted.mode);
        let wanted = &self.wanted(file, wanted)?;
        let created = created.filter(|created| *created == wanted.mode);
        let mut unset =
            if created.is_some() && self.defaults.suits(wanted) && self.is_as_created(file, wanted)? {
                Unset::default()
            } else {
                self.set_owner_and_mode(file, None, created, wanted)?
            };
        unset.time = !self.set_time(file, wanted)?;
        Ok(unset)
    }

    /// Checks whether a file has the owner and mode that it was created with; of each mode the first tells
    /// for all.
    fn is_as_created(&mut self, file: Subject<'_>, wanted: &Attributes) -> io::Result<bool> {
        let created = Seen::Created(wanted.mode);
        if self.seen.contains(&created) {
            return Ok(true);
        }
        let stat = file.stat()?;
        let is_right = has_owner(&stat, wanted) && stat.st_mode & 0o7777 == wanted.mode;
        if is_right {
            self.seen.insert(created);
        }
        Ok(is_right)
    }

    /// Returns what an entry of the target gets, where some of what it has is to be left.
    pub(crate) fn adjusted(&self, wanted: &Attributes, stat: &Stat) -> Attributes {
        self.preserve.adjust(wanted, stat)
    }

    /// Returns whether a file or symlink of the target that has the right bytes may be kept.
    pub(crate) fn may_keep(&self, stat: &Stat, wanted: &Attributes) -> bool {
        self.keeper.may_keep(stat, wanted)
    }

    /// Sets what differs of a file that is there already.
    pub(crate) fn correct_file(
        &mut self,
        file: BorrowedFd<'_>,
        wanted: &Attributes,
        side: Side,
    ) -> io::Result<Unset> {
        let file = Subject::File(file);
        self.correct(file, &file.stat()?, wanted, side)
    }

    /// Sets what differs of a symlink that is there already.
    pub(crate) fn correct_symlink(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &(impl AsRef<[u8]> + ?Sized),
        stat: &Stat,
        wanted: &Attributes,
        side: Side,
    ) -> io::Result<Unset> {
        self.correct(Subject::Symlink(directory, name.as_ref()), stat, wanted, side)
    }

    fn correct(
        &mut self,
        subject: Subject<'_>,
        stat: &Stat,
        wanted: &Attributes,
        side: Side,
    ) -> io::Result<Unset> {
        let wanted = &match side {
            Side::Target => self.adjusted(wanted, stat),
            Side::Staging => self.staged(wanted, stat),
        };
        let has_mode = subject.kind() == Kind::Symlink || stat.st_mode & 0o7777 == wanted.mode;
        let mut unset = Unset::default();
        if !has_owner(stat, wanted) || !has_mode {
            unset = self.set_owner_and_mode(subject, Some(stat), None, wanted)?;
        }
        unset.time = !has_time(stat, wanted) && !self.set_time(subject, wanted)?;
        Ok(unset)
    }

    /// Sets everything of a directory of the staging tree, or of one that was moved from there, in which nothing is
    /// written any more.
    pub(crate) fn finish_staged(
        &mut self,
        handle: BorrowedFd<'_>,
        directory: &Directory,
    ) -> io::Result<Unset> {
        let wanted = &directory.attributes;
        if directory.is_unlike_new() {
            let subject = Subject::Directory(handle);
            return self.correct(subject, &subject.stat()?, wanted, Side::Staging);
        }
        self.finish_directory(handle, wanted)
    }

    /// Sets everything of a directory that this restore made and that nothing is written in any more.
    fn finish_directory(&mut self, directory: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<Unset> {
        let directory = Subject::Directory(directory);
        let wanted = &self.wanted(directory, wanted)?;
        let mut unset = self.set_owner_and_mode(directory, None, None, wanted)?;
        unset.time = !self.set_time(directory, wanted)?;
        Ok(unset)
    }

    /// As [`Self::finish_directory`], for one that was there before: it may be another user's and then keeps
    /// what it has. The root of a volume often is one.
    pub(crate) fn finish_existing(
        &mut self,
        directory: BorrowedFd<'_>,
        wanted: &Attributes,
    ) -> io::Result<Unset> {
        let directory = Subject::Directory(directory);
        self.correct(directory, &directory.stat()?, wanted, Side::Target)
    }

    /// Sets owner and time of a new symlink. Its mode means nothing.
    pub(crate) fn finish_symlink(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &(impl AsRef<[u8]> + ?Sized),
        wanted: &Attributes,
    ) -> io::Result<Unset> {
        let symlink = Subject::Symlink(directory, name.as_ref());
        if !self.preserve.is_nothing() {
            return self.correct(symlink, &symlink.stat()?, wanted, Side::Staging);
        }
        let owned = if self.defaults.owner_suits(wanted) {
            Owned::BOTH
        } else {
            self.change_owner(symlink, None, wanted)?
        };
        let time = !self.set_time(symlink, wanted)?;
        Ok(Unset { owner: owned != Owned::BOTH, time, ..Unset::default() })
    }
}

/// Returns whether an entry has its owner and group.
pub(super) fn has_owner(stat: &Stat, wanted: &Attributes) -> bool {
    (stat.st_uid, stat.st_gid) == (wanted.uid, wanted.gid)
}

/// Returns whether the snapshot has an entry newer than what is there, to the nanosecond.
pub(crate) fn is_newer(wanted: Timestamp, there: &Stat) -> bool {
    (i128::from(wanted.seconds()), i128::from(wanted.nanoseconds())) > modified(there)
}

/// Returns whether a file or link was changed since it was found to be older than what is staged. Times that are
/// equal tell nothing where the file system cuts them.
pub(crate) fn is_overtaken(staged: &Stat, there: &Stat) -> bool {
    !is_directory(staged) && !is_directory(there) && modified(there) > modified(staged)
}

/// Gives a directory back the time that it had before entries came to it or went; returns whether it has it then.
pub(crate) fn put_time_back(directory: impl AsFd, had: &Stat) -> bool {
    let (directory, times) = (directory.as_fd(), set::timestamps(Attributes::found(had).modified));
    rustix::fs::futimens(directory, &times).is_ok()
        && rustix::fs::fstat(directory).is_ok_and(|stat| modified(&stat) == modified(had))
}

/// Returns when something was modified, in seconds and nanoseconds.
fn modified(stat: &Stat) -> (i128, i128) {
    (stat.st_mtime.into(), stat.st_mtime_nsec.into())
}

/// Returns whether an entry has its time, to the nanosecond.
pub(crate) fn has_time(stat: &Stat, wanted: &Attributes) -> bool {
    let (seconds, nanoseconds) = (wanted.modified.seconds(), wanted.modified.nanoseconds());
    i128::from(stat.st_mtime) == i128::from(seconds) && stat.st_mtime_nsec as u32 == nanoseconds
}

#[cfg(test)]
mod tests;
