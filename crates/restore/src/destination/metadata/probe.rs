//! What files get here without being asked for, and which attributes can be set: a file made for the purpose
//! tells.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::SystemTime;

use kopia_format::Timestamp;
use kopia_repository::Entry;
use kopia_repository::owners::Owners;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::super::is_directory;
use super::keep::Creator;
use super::set::timestamps;
use super::subject::is_refusal;
use super::{Attributes, SETGID, SPECIAL, has_time};

/// What the names of such files begin with, before a number.
pub(crate) const PREFIX: &str = ".kopia-rs-probe-";

/// The defaults of the staging directory.
///
/// One probe is enough: all directories of the staging tree belong to who made it and get their own
/// attributes only when nothing is written in them any more, so umask, setgid and default access lists are
/// the same in all of them. One that an interrupted run had finished becomes again what it was before that
/// ([`NewDirectory`]). What a probe cannot know, such as whether this very mode or owner can be set,
/// [`Metadata`](super::Metadata) looks at when it sets it for the first time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProbedDefaults {
    pub(crate) creator: Creator,
    /// Permission bits that a new file does not get.
    masked: u32,
    /// Setgid, if a new directory gets it here and keeps it when its mode is set.
    inherited: u32,
    /// What directories have that are made here.
    pub(crate) new_directory: NewDirectory,
    /// Whether times can be set, to the nanosecond.
    pub(super) exact_times: bool,
}

impl ProbedDefaults {
    /// Makes a file in the staging directory, looks at it and removes it. Only that it cannot be made is an
    /// error.
    pub(crate) fn probe(staging: BorrowedFd<'_>) -> io::Result<Self> {
        let (name, file) = make(staging)?;
        let probed = Self::of(staging, &file);
        rustix::fs::unlinkat(staging, &*name, AtFlags::empty())?;
        probed
    }

    fn of(staging: BorrowedFd<'_>, file: &OwnedFd) -> io::Result<Self> {
        let made = rustix::fs::fstat(file)?;
        let odd = Timestamp::new(1_000_000_000, 123_456_789).unwrap_or_default();
        let timed = rustix::fs::futimens(file, &timestamps(odd)).is_ok();
        let after = rustix::fs::fstat(file)?;
        let exact_times =
            timed && (after.st_mtime, after.st_mtime_nsec as u64) == (1_000_000_000, 123_456_789);
        let creator = creator(file)?;
        let setgid = rustix::fs::fstat(staging)?.st_mode & SETGID;
        let inherited = inherited(setgid, file)?;
        let gid_for_mode =
            if inherited == setgid { creator.gid } else { gid_to_set_setgid_with(file, creator.gid) };
        let new_directory = NewDirectory { uid: creator.uid, gid: creator.gid, setgid, gid_for_mode };
        Ok(Self { creator, masked: !made.st_mode & 0o777, inherited, new_directory, exact_times })
    }

    /// Returns what a directory gets that nothing but the name of an entry asks for: what `mkdir` gives it.
    ///
    /// `above` is what the directory gets that it lies in, unless that is the target.
    pub(crate) fn of_directory(
        &self,
        entry: &Entry,
        owners: &Owners,
        above: Option<&Attributes>,
    ) -> Attributes {
        let (uid, gid) = owners.of_undescribed((self.creator.uid, self.creator.gid));
        let hands_on = |above: &Attributes| above.mode & SETGID != 0 && above.gid == gid;
        // It must not hand on another group than the one that it has inherited.
        let inherits = gid == self.creator.gid && above.is_none_or(hands_on);
        let inherited = if inherits { self.inherited } else { 0 };
        Attributes { mode: entry.mode() & !self.masked | inherited, uid, gid, modified: entry.modified() }
    }

    /// Returns the permission bits that a new directory gets here.
    pub(crate) fn directory_mode(&self) -> u32 {
        0o777 & !self.masked
    }

    /// Returns what an entry of the staging tree was like when it was made for a run that leaves modes as they
    /// are, whatever a run that was interrupted has made of it.
    pub(super) fn as_made(&self, found: &Stat, wanted: &Attributes) -> Stat {
        let mut made = *found;
        (made.st_uid, made.st_gid) = (self.creator.uid, self.creator.gid);
        // Where no mode can be set, all have the one that is shown.
        if self.creator.sets_modes {
            let mode = if is_directory(found) {
                0o700 & !self.masked | self.inherited
            } else {
                0o600 & !self.masked
            };
            made.st_mode = found.st_mode & !0o7777 | mode;
        }
        // Other times are those at which it was written.
        if has_time(found, wanted)
            && let Ok(now) = SystemTime::UNIX_EPOCH.elapsed()
        {
            made.st_mtime = i64::try_from(now.as_secs()).unwrap_or(found.st_mtime);
            made.st_mtime_nsec = now.subsec_nanos().into();
        }
        made
    }

    /// Returns whether a file made with its final mode has its final owner and mode at once.
    pub(super) fn suits(&self, wanted: &Attributes) -> bool {
        self.owner_suits(wanted) && self.mode_suits(wanted)
    }

    /// Returns whether a file made with its final mode has it at once, and keeps it whoever gets the file.
    pub(super) fn mode_suits(&self, wanted: &Attributes) -> bool {
        wanted.mode & SPECIAL == 0 && wanted.mode & self.masked == 0
    }

    pub(super) fn owner_suits(&self, wanted: &Attributes) -> bool {
        (self.creator.uid, self.creator.gid) == (wanted.uid, wanted.gid)
    }
}

/// What directories of the staging tree have when they are made: what decides whose the files become that are made
/// in them, and whether the next mode that a directory gets keeps setgid. `mkdir` gives a directory the group that a
/// file gets beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewDirectory {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Setgid, if the staging directory has it.
    pub(crate) setgid: u32,
    /// The group that one is to have while its mode is set to what a new one has.
    pub(crate) gid_for_mode: u32,
}

impl NewDirectory {
    /// Returns whether a directory is as new ones are.
    pub(crate) fn is_like(&self, stat: &Stat) -> bool {
        (stat.st_uid, stat.st_gid, stat.st_mode & SETGID) == (self.uid, self.gid, self.setgid)
    }
}

/// Makes a file under a name that is free: an interrupted restore may have left anything.
fn make(directory: BorrowedFd<'_>) -> io::Result<(String, OwnedFd)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut free = 0;
    loop {
        let name = format!("{PREFIX}{free}");
        let create = |mode| rustix::fs::openat(directory, &*name, flags, Mode::from_raw_mode(mode));
        let made = match create(0o777) {
            // Some file systems take a mode only where they can hold it.
            Err(errno) if is_refusal(errno) => create(0o600),
            made => made,
        };
        match made {
            Err(Errno::EXIST) => free += 1,
            file => return Ok((name, file?)),
        }
    }
}

/// Finds out whose the files are that this process makes in a directory.
pub(crate) fn creator_in(directory: BorrowedFd<'_>) -> io::Result<Creator> {
    let (name, file) = make(directory)?;
    let creator = creator(&file);
    rustix::fs::unlinkat(directory, &*name, AtFlags::empty())?;
    creator
}

/// Returns the setgid bit that new directories inherit if it outlives `chmod`: that takes it from who is not in the
/// group and lacks the capability FSETID.
fn inherited(setgid: u32, file: &OwnedFd) -> io::Result<u32> {
    if setgid == 0 || rustix::fs::fchmod(file, Mode::from_raw_mode(0o600 | setgid)).is_err() {
        return Ok(0);
    }
    Ok(rustix::fs::fstat(file)?.st_mode & setgid)
}

/// Returns the group with which setgid can be set on a directory that is to have the group of this file: that of this
/// process, unless the other one could not be set after that, as nobody but root may come back to a group of others.
fn gid_to_set_setgid_with(file: &OwnedFd, gid: u32) -> u32 {
    let own = rustix::process::getegid();
    let change = |gid| rustix::fs::fchown(file, None, Some(gid)).is_ok();
    let comes_back = change(own)
        && change(Gid::from_raw(gid))
        && rustix::fs::fstat(file).is_ok_and(|stat| stat.st_gid == gid);
    if comes_back { own.as_raw() } else { gid }
}

fn creator(file: &OwnedFd) -> io::Result<Creator> {
    let made = rustix::fs::fstat(file)?;
    let other = if made.st_mode & 0o777 == 0o640 { 0o600 } else { 0o640 };
    let sets_modes = rustix::fs::fchmod(file, Mode::from_raw_mode(other)).is_ok()
        && rustix::fs::fstat(file)?.st_mode & 0o7777 == other;
    Ok(Creator::of_made(file, &made, sets_modes))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    use kopia_testkit::refuse::{Call, refusing};

    use super::*;

    /// As where modes are shown that nobody has set, one of which is the one to try.
    #[test]
    fn a_mode_that_was_there_before_was_not_set() {
        let place = tempfile::tempdir().unwrap();
        let file: OwnedFd = File::create(place.path().join("file")).unwrap().into();
        for mode in [0o600, 0o640, 0o755] {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).unwrap();
            let ignored = refusing(&[(Call::Chmod, None)], || creator(&file).unwrap().sets_modes);
            assert!(ignored != Some(true) && creator(&file).unwrap().sets_modes, "{mode:o}");
        }
    }

    #[test]
    fn setgid_is_inherited_where_it_can_be_kept() {
        let place = tempfile::tempdir().unwrap();
        let directory = File::open(place.path()).unwrap();
        let own = fs::metadata(place.path()).unwrap();
        let probe = || ProbedDefaults::probe(directory.as_fd()).unwrap().inherited;
        assert_eq!(probe(), 0);
        rustix::fs::fchown(&directory, None, Some(rustix::process::getegid())).unwrap();
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(own.mode() & 0o777 | SETGID)).unwrap();
        assert_eq!(probe(), SETGID);
        for answer in [Some(Errno::PERM), None] {
            assert_ne!(refusing(&[(Call::Chmod, answer)], probe), Some(SETGID), "{answer:?}");
        }
    }

    #[test]
    fn times_are_exact_where_one_is_read_again_as_it_was_set() {
        let place = tempfile::tempdir().unwrap();
        let directory = File::open(place.path()).unwrap();
        let probe = || ProbedDefaults::probe(directory.as_fd()).unwrap().exact_times;
        assert!(probe());
        for answer in [Some(Errno::PERM), None] {
            assert_ne!(refusing(&[(Call::Utimes, answer)], probe), Some(true), "{answer:?}");
        }
    }

    #[test]
    fn a_directory_that_takes_no_file_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        let directory = File::open(place.path()).unwrap();
        fs::write(place.path().join(".kopia-rs-probe-0"), b"left").unwrap();
        assert_eq!(make(directory.as_fd()).unwrap().0, ".kopia-rs-probe-1");
        let refused = [(Call::Open, Some(Errno::ACCESS))];
        let made = refusing(&refused, || make(directory.as_fd()).map_err(|error| error.kind()));
        assert!(made.is_none_or(|made| made.unwrap_err() == io::ErrorKind::PermissionDenied));
    }
}
