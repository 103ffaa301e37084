//! Gives back owners, modes and times: sets what differs, and notes what the target refuses.
//!
//! A target that refuses an attribute, or takes it and does nothing, will do so the next time as well. So that is
//! nothing that another undo could mend, and no attribute keeps what else there is to put back. What this process
//! alone is refused, as it lacks a right or an entry is immutable, is a problem: [`Own`] tells the two apart.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

use super::super::record::{Found, Moment};
use super::Undo;
use super::own::{Own, Wish};
use crate::destination::metadata::subject::is_refusal;
use crate::destination::metadata::{SETUID_SETGID, SPECIAL};
use crate::destination::{is_directory, is_symlink, look, open_to_change};
use crate::outcome::Unset;

/// What gets its attributes back.
#[derive(Debug, Clone, Copy)]
enum Subject<'a> {
    Directory(BorrowedFd<'a>),
    /// A file or link, by a handle that needs no right to it: its owner may not be allowed to open it.
    Entry(BorrowedFd<'a>),
}

impl Subject<'_> {
    fn stat(self) -> rustix::io::Result<Stat> {
        match self {
            Self::Directory(handle) | Self::Entry(handle) => rustix::fs::fstat(handle),
        }
    }

    fn chown(self, uid: Option<u32>, gid: u32) -> rustix::io::Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), Some(Gid::from_raw(gid)));
        match self {
            Self::Directory(open) => rustix::fs::fchown(open, uid, gid),
            Self::Entry(place) => rustix::fs::chownat(place, "", uid, gid, AtFlags::EMPTY_PATH),
        }
    }

    fn chmod(self, mode: u32) -> rustix::io::Result<()> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Self::Directory(open) => rustix::fs::fchmod(open, mode),
            Self::Entry(place) => rustix::fs::chmod(path_of(place), mode),
        }
    }

    fn utimens(self, modified: Moment) -> rustix::io::Result<()> {
        match self {
            Self::Directory(open) => rustix::fs::futimens(open, &times(modified)),
            // A link is not followed: what it leads to from here is the handle, which stands for the link.
            Self::Entry(place) => {
                rustix::fs::utimensat(CWD, path_of(place), &times(modified), AtFlags::empty())
            }
        }
    }

    /// Sets all that differs, of a link all but its mode, which means nothing.
    fn put_back(self, found: &Found, own: &mut Own<'_>) -> io::Result<Unset> {
        let owned = self.put_back_owner_and_time(found, own)?;
        let stat = self.stat()?;
        if is_symlink(&stat) {
            return Ok(owned);
        }
        // Setuid and setgid are for the right owner only.
        let allowed = if owned.owner { found.mode & !SETUID_SETGID } else { found.mode };
        let has = self.put_back_mode(allowed, &stat, own)?;
        Ok(Unset { owner: owned.owner, time: owned.time, ..Unset::of_mode(has, found.mode) })
    }

    /// Sets these if they differ. A new owner costs special bits, so modes come after it.
    fn put_back_owner_and_time(self, found: &Found, own: &mut Own<'_>) -> io::Result<Unset> {
        let stat = self.stat()?;
        let differs = Moment::modified(&stat) != found.modified;
        // Without the capability FOWNER, root has to do it before others own the entry, or once it does.
        let timed = differs.then(|| self.utimens(found.modified));
        if !has_owner(&stat, found) {
            let set = self.chown(Some(found.uid), found.gid);
            if set.is_err() && stat.st_gid != found.gid {
                // The group alone may be one of ours.
                let _ = self.chown(None, found.gid);
            }
            own.unless_refused(set, &stat, Wish::Owner { uid: found.uid, gid: found.gid })?;
        }
        if timed.is_some_and(|set| set.is_err()) {
            own.unless_refused(self.utimens(found.modified), &stat, Wish::Time)?;
        }
        let stat = self.stat()?;
        let (owner, time) = (!has_owner(&stat, found), Moment::modified(&stat) != found.modified);
        Ok(Unset { owner, time, ..Unset::default() })
    }

    /// Sets the mode if it differs, and returns the one that there is then.
    fn put_back_mode(self, mode: u32, stat: &Stat, own: &mut Own<'_>) -> io::Result<u32> {
        if stat.st_mode & 0o7777 == mode {
            return Ok(mode);
        }
        match self.chmod(mode) {
            // FAT takes permissions, but none of these bits.
            Err(errno) if is_refusal(errno) && mode & SPECIAL != 0 => {
                own.unless_refused(self.chmod(mode & 0o777), stat, Wish::Mode(mode & 0o777))?;
            }
            set => own.unless_refused(set, stat, Wish::Mode(mode))?,
        }
        Ok(self.stat()?.st_mode & 0o7777)
    }
}

impl Undo<'_> {
    /// Lets the owner of the target change what is in it.
    pub(super) fn open_up(&mut self) -> io::Result<()> {
        let mode = rustix::fs::fstat(&self.target)?.st_mode & 0o7777;
        if mode & 0o700 != 0o700
            && rustix::fs::fchmod(&self.target, Mode::from_raw_mode(mode | 0o700)).is_ok()
        {
            self.opened.insert(Vec::new(), mode);
        }
        Ok(())
    }

    /// Gives directories that were opened up their modes, but for the target, of which the folder may have to
    /// be removed yet. Those that others lie in come after these, as that opens them up.
    pub(super) fn close(&mut self) {
        while let Some((path, mode)) = self.opened.pop_last() {
            self.last = None;
            if path.is_empty() {
                self.opened.insert(path, mode);
                break;
            }
            if let Err(error) = self.close_directory(&path, mode) {
                self.problem(&path, error);
            }
        }
        self.last = None;
    }

    fn close_directory(&mut self, path: &[u8], mode: u32) -> io::Result<()> {
        let Some((parent, name)) = self.parent(path, false)? else { return Ok(()) };
        if look(parent.as_fd(), name)?.is_none_or(|stat| !is_directory(&stat)) {
            return Ok(());
        }
        self.directory_mode(parent.as_fd(), name, mode, path)
    }

    /// Gives a directory its mode that may have been opened up to be moved, by one that was killed then: a
    /// restore that had not moved it yet, or an undo that had just moved it back.
    pub(super) fn close_again(&mut self, mode: u32, path: &[u8]) -> io::Result<()> {
        if mode & 0o700 == 0o700 {
            return Ok(());
        }
        let Some((parent, name)) = self.parent(path, false)? else { return Ok(()) };
        let is_opened = |stat: &Stat| [mode | 0o700, 0o700].contains(&(stat.st_mode & 0o7777));
        match look(parent.as_fd(), name)? {
            Some(stat) if is_directory(&stat) && is_opened(&stat) => {
                self.directory_mode(parent.as_fd(), name, mode, path)
            }
            _ => Ok(()),
        }
    }

    /// Gives a directory its mode, by where it lies.
    pub(super) fn directory_mode(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        mode: u32,
        path: &[u8],
    ) -> io::Result<()> {
        let directory = open_to_change(parent, name)?;
        let stat = rustix::fs::fstat(&directory)?;
        let has = Subject::Directory(directory.as_fd()).put_back_mode(mode, &stat, &mut self.own)?;
        self.unless_denied()?;
        let Unset { owner, time, .. } = self.refused.of_directory(path);
        self.refused.directory(path, Unset { owner, time, ..Unset::of_mode(has, mode) });
        Ok(())
    }

    /// Gives a directory the attributes that it had.
    pub(super) fn directory(&mut self, found: &Found, path: &[u8]) -> io::Result<()> {
        let directory = if path.is_empty() {
            self.target.try_clone()?
        } else {
            let Some((parent, name)) = self.parent(path, false)? else { return Ok(()) };
            match look(parent.as_fd(), name)? {
                Some(stat) if is_directory(&stat) => {
                    if Found::of(&stat) == *found && !self.opened.contains_key(path) {
                        // Where no mode can be set, it may not even be possible to open it.
                        self.refused.directory(path, Unset::default());
                        return Ok(());
                    }
                    open_to_change(parent.as_fd(), name)?
                }
                _ => return Ok(()),
            }
        };
        // It may be needed once more, for what was noted before.
        self.last = None;
        let subject = Subject::Directory(directory.as_fd());
        let unset = if let Some(mode) = self.opened.get_mut(path) {
            *mode = found.mode;
            subject.put_back_owner_and_time(found, &mut self.own)?
        } else {
            subject.put_back(found, &mut self.own)?
        };
        self.unless_denied()?;
        self.refused.directory(path, unset);
        Ok(())
    }

    /// Gives a file or link the attributes that it had, unless its bytes were changed since: by its time, or
    /// because it belongs to another user by now, who could have written into it and have set its time back.
    pub(super) fn attributes(
        &mut self,
        inode: u64,
        found: &Found,
        then: Moment,
        path: &[u8],
    ) -> io::Result<()> {
        let Some((parent, name)) = self.parent(path, false)? else { return Ok(()) };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // What is looked at is what gets them, whatever takes its name meanwhile.
        let place = match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            place => place?,
        };
        let subject = Subject::Entry(place.as_fd());
        let stat = subject.stat()?;
        let modified = Moment::modified(&stat);
        let is_others = stat.st_uid != found.uid && !is_symlink(&stat);
        if !self.is_same(&stat, inode) || is_others || modified != then && modified != found.modified {
            self.undone.changed_since += 1;
            return Ok(());
        }
        let unset = subject.put_back(found, &mut self.own)?;
        self.unless_denied()?;
        self.refused.file(unset);
        Ok(())
    }

    /// Fails if this process alone is refused something of the entry that was put back.
    fn unless_denied(&mut self) -> io::Result<()> {
        self.own.take_denied().map_or(Ok(()), |errno| Err(errno.into()))
    }
}

/// Returns a path that leads to what a handle stands for.
fn path_of(place: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", place.as_raw_fd())
}

fn has_owner(stat: &Stat, found: &Found) -> bool {
    (stat.st_uid, stat.st_gid) == (found.uid, found.gid)
}

pub(super) fn times(modified: Moment) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified.0, tv_nsec: modified.1.into() },
    }
}
