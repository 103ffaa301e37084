//! Tells a target that refuses an attribute from a process that lacks a right: a file of this user's own, in the
//! folder that lies on the same file system, is asked for the same.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};

use super::super::OWN;
use super::super::record::Moment;
use super::attributes::times;
use crate::destination::metadata::subject::is_refusal;

/// What an entry is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wish {
    Owner { uid: u32, gid: u32 },
    Mode(u32),
    Time,
}

/// What is known of the target, and of this process.
pub(super) struct Own<'a> {
    /// The folder of what was replaced.
    folder: BorrowedFd<'a>,
    /// What a file of one's own gets there.
    gets: HashMap<Wish, bool>,
    /// Why the entry that is being put back does not get something that it could have.
    denied: Option<Errno>,
}

impl<'a> Own<'a> {
    pub(super) fn new(folder: BorrowedFd<'a>) -> Self {
        Self { folder, gets: HashMap::new(), denied: None }
    }

    /// Takes a refusal for an answer: what there is then is looked at. Whether another undo may fare better is
    /// said by [`Self::take_denied`].
    pub(super) fn unless_refused(
        &mut self,
        set: rustix::io::Result<()>,
        stat: &Stat,
        wish: Wish,
    ) -> io::Result<()> {
        match set {
            Err(errno) if is_refusal(errno) => {
                if self.denied.is_none() && self.could_have(stat, wish) {
                    self.denied = Some(errno);
                }
                Ok(())
            }
            set => Ok(set?),
        }
    }

    /// Returns why an entry lacks something that another undo, with more rights or once it is open to changes
    /// again, may give it.
    pub(super) fn take_denied(&mut self) -> Option<Errno> {
        self.denied.take()
    }

    /// Returns whether the entry is refused something that the target lets files have. Ordinary users change no
    /// entries of others, nor does root where its files are another user's, as on NFS with `root_squash`: neither
    /// has their restore, nor will their next undo.
    ///
    /// Whose files are that are made here, the folder says: one of anybody else was refused
    /// ([`refuse_others`](super::super::ownership::refuse_others)).
    fn could_have(&mut self, stat: &Stat, wish: Wish) -> bool {
        let is_root = rustix::process::geteuid().is_root();
        let may_change =
            |folder: Stat| folder.st_uid == stat.st_uid || is_root && Uid::from_raw(folder.st_uid).is_root();
        if !rustix::fs::fstat(self.folder).is_ok_and(may_change) {
            return false;
        }
        if let Some(known) = self.gets.get(&wish) {
            return *known;
        }
        // Where that cannot be found out, the next undo may.
        let gets = self.ask(wish).unwrap_or(true);
        self.gets.insert(wish, gets);
        gets
    }

    fn ask(&self, wish: Wish) -> io::Result<bool> {
        // One that was killed may have left it.
        let _ = rustix::fs::unlinkat(self.folder, OWN, AtFlags::empty());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.folder, OWN, flags, Mode::RUSR | Mode::WUSR)?;
        let gets = match wish {
            Wish::Owner { uid, gid } => {
                let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                rustix::fs::fchown(&file, uid, gid).is_ok() || lacks_chown(file.as_fd())
            }
            Wish::Mode(mode) => rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).is_ok(),
            Wish::Time => rustix::fs::futimens(&file, &times(Moment(1_000_000_000, 0))).is_ok(),
        };
        rustix::fs::unlinkat(self.folder, OWN, AtFlags::empty())?;
        Ok(gets)
    }
}

/// Returns whether this is root without the capability CHOWN, where root's files are its own: then no file says
/// whether the target takes owners.
fn lacks_chown(file: BorrowedFd<'_>) -> bool {
    let user = rustix::process::geteuid();
    let is_own = || rustix::fs::fstat(file).is_ok_and(|stat| stat.st_uid == user.as_raw());
    let lacks = || capabilities(None).is_ok_and(|has| !has.effective.contains(CapabilitySet::CHOWN));
    user.is_root() && is_own() && lacks()
}
