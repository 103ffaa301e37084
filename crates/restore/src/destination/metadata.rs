//! Owner, mode and times of what was written.
//!
//! The order is the system's, not ours to choose: changing the owner of a file clears setuid and setgid, so its mode comes
//! after its owner. For a folder it is the other way round: without the capability FSETID, setting a mode drops setgid
//! where the group is not one's own, while changing a folder's owner drops nothing. Whatever was asked for, special bits
//! are looked at afterwards.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kopia_format::Timestamp;
use kopia_repository::Entry;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

use super::skip::Skip;
use crate::Options;
use crate::outcome::{Note, Tally};

pub(super) const SETUID_SETGID: u32 = 0o6000;
const SPECIAL: u32 = 0o7000;

/// What an entry gets besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Timestamp,
}

impl From<&Entry> for Attributes {
    fn from(entry: &Entry) -> Self {
        let (uid, gid) = entry.owner();
        Self { mode: entry.mode(), uid, gid, modified: entry.modified() }
    }
}

/// What files get here without being asked for: a probe in the staging folder tells.
///
/// One probe is enough: all folders of the staging tree belong to who made it and get their own attributes only when
/// nothing is written in them any more, so umask, setgid and default access lists are the same in all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Natural {
    uid: u32,
    gid: u32,
    /// Permission bits that a new file does not get.
    masked: u32,
    /// Whether the file system keeps nanoseconds.
    nanoseconds: bool,
}

impl Natural {
    /// Makes a file in the staging folder, looks at it and removes it.
    pub(crate) fn probe(staging: BorrowedFd<'_>) -> io::Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // An interrupted restore may have left anything in the folder.
        let mut free = 0;
        let (name, file) = loop {
            let name = format!(".probe-{free}");
            match rustix::fs::openat(staging, &*name, flags, Mode::from_raw_mode(0o777)) {
                Err(Errno::EXIST) => free += 1,
                file => break (name, file?),
            }
        };
        let before = rustix::fs::fstat(&file)?;
        let odd = Timestamp::new(1_000_000_000, 123_456_789).unwrap_or_default();
        let set = rustix::fs::futimens(&file, &timestamps(odd));
        let after = rustix::fs::fstat(&file);
        rustix::fs::unlinkat(staging, &*name, AtFlags::empty())?;
        set?;
        Ok(Self {
            uid: before.st_uid,
            gid: before.st_gid,
            masked: !before.st_mode & 0o777,
            nanoseconds: after?.st_mtime_nsec as u64 == 123_456_789,
        })
    }

    /// Says whether a file made with its final mode has its final owner and mode at once.
    fn suits(&self, wanted: &Attributes) -> bool {
        self.owner_suits(wanted) && wanted.mode & SPECIAL == 0 && wanted.mode & self.masked == 0
    }

    fn owner_suits(&self, wanted: &Attributes) -> bool {
        (self.uid, self.gid) == (wanted.uid, wanted.gid)
    }
}

/// One worker's way of setting attributes.
pub(crate) struct Metadata<'a> {
    natural: Natural,
    skip: Skip,
    tally: &'a Tally<'a>,
    /// Owners that could not be set: asking again for every file would cost two system calls each.
    refused: HashSet<(u32, u32)>,
}

impl<'a> Metadata<'a> {
    pub(crate) fn new(natural: Natural, options: &Options, tally: &'a Tally<'a>) -> Self {
        Self { natural, skip: options.into(), tally, refused: HashSet::new() }
    }

    /// Returns what is to be set of an open file or folder.
    fn wanted(&self, file: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<Attributes> {
        if self.skip.is_nothing() {
            return Ok(*wanted);
        }
        Ok(self.skip.adjust(wanted, &rustix::fs::fstat(file)?))
    }

    /// Makes a file for writing, or for more: with its final mode where nothing else is to be set, otherwise for nobody but
    /// us.
    pub(crate) fn create(
        &self,
        folder: BorrowedFd<'_>,
        name: &str,
        wanted: &Attributes,
        access: OFlags,
    ) -> io::Result<OwnedFd> {
        let at_once = self.natural.suits(wanted) && !self.skip.permissions();
        let mode = if at_once { wanted.mode } else { 0o600 };
        let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(mode))?)
    }

    /// Sets what [`Self::create`] left, once all bytes are written.
    pub(crate) fn finish_file(&mut self, file: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<()> {
        let at_once = self.natural.suits(wanted);
        let wanted = &self.wanted(file, wanted)?;
        // What is wanted may suit once something is left, but the file was not made so.
        if !at_once || !self.natural.suits(wanted) {
            let owned = self.set_owner(file, wanted)?;
            let mode = self.allowed_mode(wanted, owned);
            rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?;
            self.check_special_bits(file, wanted)?;
        }
        self.set_times(file, wanted)
    }

    /// Sets what differs of a file that was there before.
    pub(crate) fn correct_file(&mut self, file: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<()> {
        let stat = rustix::fs::fstat(file)?;
        let wanted = &self.skip.adjust(wanted, &stat);
        let has_owner = (stat.st_uid, stat.st_gid) == (wanted.uid, wanted.gid);
        if !has_owner || stat.st_mode & 0o7777 != wanted.mode {
            let owned =
                has_owner || self.change_owner(wanted, |uid, gid| rustix::fs::fchown(file, uid, gid))?;
            rustix::fs::fchmod(file, Mode::from_raw_mode(self.allowed_mode(wanted, owned)))?;
            self.check_special_bits(file, wanted)?;
        }
        match has_time(&stat, wanted) {
            true => Ok(()),
            false => self.set_times(file, wanted),
        }
    }

    /// As [`Self::finish_symlink`], of a link that was there before.
    pub(crate) fn correct_symlink(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &str,
        stat: &Stat,
        wanted: &Attributes,
    ) -> io::Result<()> {
        let wanted = &self.skip.adjust(wanted, stat);
        let owner = |uid, gid| rustix::fs::chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW);
        if (stat.st_uid, stat.st_gid) != (wanted.uid, wanted.gid) {
            self.change_owner(wanted, owner)?;
        }
        match has_time(stat, wanted) {
            true => Ok(()),
            false => self.set_symlink_times(folder, name, wanted),
        }
    }

    /// Sets everything of a folder that nothing is written in any more.
    pub(crate) fn finish_folder(&mut self, folder: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<()> {
        let wanted = &self.wanted(folder, wanted)?;
        rustix::fs::fchmod(folder, Mode::from_raw_mode(wanted.mode))?;
        let owned = self.set_owner(folder, wanted)?;
        let mode = self.allowed_mode(wanted, owned);
        if mode != wanted.mode {
            rustix::fs::fchmod(folder, Mode::from_raw_mode(mode))?;
        }
        self.check_special_bits(folder, wanted)?;
        self.set_times(folder, wanted)
    }

    /// As [`Self::finish_folder`], for a folder that was there before: one of another user keeps what it has, and that
    /// is noted. The root of a volume often is one.
    pub(crate) fn finish_existing(&mut self, folder: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<()> {
        let wanted = &self.wanted(folder, wanted)?;
        match self.finish_folder(folder, wanted) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {}
            result => return result,
        }
        let stat = rustix::fs::fstat(folder)?;
        if (stat.st_uid, stat.st_gid) != (wanted.uid, wanted.gid) {
            self.tally.note(Note::Owner);
        }
        if stat.st_mode & 0o7777 != wanted.mode {
            self.tally.note(Note::Mode);
        }
        self.compare_time(&stat, wanted);
        Ok(())
    }

    /// Sets owner and time of a link itself. Its mode means nothing.
    pub(crate) fn finish_symlink(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &str,
        wanted: &Attributes,
    ) -> io::Result<()> {
        if !self.skip.is_nothing() {
            let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            return self.correct_symlink(folder, name, &stat, wanted);
        }
        if !self.natural.owner_suits(wanted) {
            self.change_owner(wanted, |uid, gid| {
                rustix::fs::chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            })?;
        }
        self.set_symlink_times(folder, name, wanted)
    }

    fn set_symlink_times(&self, folder: BorrowedFd<'_>, name: &str, wanted: &Attributes) -> io::Result<()> {
        let times = timestamps(wanted.modified);
        rustix::fs::utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        if self.time_is_in_doubt(wanted) {
            let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            self.compare_time(&stat, wanted);
        }
        Ok(())
    }

    /// Sets owner and group; says whether both are now what was wanted.
    fn set_owner(&mut self, file: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<bool> {
        if self.natural.owner_suits(wanted) {
            // True of what this restore made; a folder that was there before may belong to anybody.
            let stat = rustix::fs::fstat(file)?;
            if (stat.st_uid, stat.st_gid) == (wanted.uid, wanted.gid) {
                return Ok(true);
            }
        }
        self.change_owner(wanted, |uid, gid| rustix::fs::fchown(file, uid, gid))
    }

    fn change_owner(
        &mut self,
        wanted: &Attributes,
        change: impl Fn(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
    ) -> io::Result<bool> {
        let owner = (wanted.uid, wanted.gid);
        // The two numbers that mean «leave as it is» to the system.
        let uid = (wanted.uid != u32::MAX).then(|| Uid::from_raw(wanted.uid));
        let gid = (wanted.gid != u32::MAX).then(|| Gid::from_raw(wanted.gid));
        if !self.refused.contains(&owner) {
            match change(uid, gid) {
                Ok(()) if uid.is_some() && gid.is_some() => return Ok(true),
                Ok(()) => {}
                // INVAL: a number that the user namespace does not map.
                Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error.into()),
            }
            self.refused.insert(owner);
        }
        // The group alone may be one of ours.
        if self.natural.gid != wanted.gid {
            let _ = change(None, gid);
        }
        self.tally.note(Note::Owner);
        Ok(false)
    }

    /// Setuid and setgid are for the right owner only: another one would lend its rights to everybody.
    fn allowed_mode(&self, wanted: &Attributes, owned: bool) -> u32 {
        if owned { wanted.mode } else { wanted.mode & !SETUID_SETGID }
    }

    fn check_special_bits(&self, file: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<()> {
        if wanted.mode & SPECIAL != 0 && rustix::fs::fstat(file)?.st_mode & 0o7777 != wanted.mode {
            self.tally.note(Note::SpecialBits);
        }
        Ok(())
    }

    fn set_times(&self, file: BorrowedFd<'_>, wanted: &Attributes) -> io::Result<()> {
        rustix::fs::futimens(file, &timestamps(wanted.modified))?;
        if self.time_is_in_doubt(wanted) {
            self.compare_time(&rustix::fs::fstat(file.as_fd())?, wanted);
        }
        Ok(())
    }

    /// Every file system holds 1970 to 2037; others may be cut off without an error.
    fn time_is_in_doubt(&self, wanted: &Attributes) -> bool {
        !self.natural.nanoseconds || !(0..1 << 31).contains(&wanted.modified.seconds())
    }

    fn compare_time(&self, stat: &Stat, wanted: &Attributes) {
        if !has_time(stat, wanted) {
            self.tally.note(Note::Time);
        }
    }
}

/// Says whether an entry has its owner, if its mode is right and its owner as right as it can be.
pub(crate) fn found_as_settable(stat: &Stat, wanted: &Attributes) -> Option<bool> {
    let has_owner = (stat.st_uid, stat.st_gid) == (wanted.uid, wanted.gid);
    let user = rustix::process::geteuid();
    let settable = has_owner || (!user.is_root() && stat.st_uid == user.as_raw());
    let mode = if has_owner { wanted.mode } else { wanted.mode & !SETUID_SETGID };
    (settable && stat.st_mode & 0o7777 == mode).then_some(has_owner)
}

/// Says whether an entry has its time, to the nanosecond.
pub(crate) fn has_time(stat: &Stat, wanted: &Attributes) -> bool {
    let (seconds, nanoseconds) = (wanted.modified.seconds(), wanted.modified.nanoseconds());
    i128::from(stat.st_mtime) == i128::from(seconds) && stat.st_mtime_nsec as u32 == nanoseconds
}

/// The modification time to set; the time of access is left.
fn timestamps(modified: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified.seconds(), tv_nsec: modified.nanoseconds().into() },
    }
}
