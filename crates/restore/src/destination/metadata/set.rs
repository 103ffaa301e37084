//! Sets owner, mode and time of one entry in the order that the system needs, and looks whether it has them
//! then.

use std::io;

use kopia_format::Timestamp;
use rustix::fs::{Stat, Timespec, Timestamps, UTIME_OMIT};

use super::subject::{Kind, Subject, is_refusal};
use super::{Attributes, Metadata, SETUID, SETUID_SETGID, SPECIAL, has_owner, has_time};
use crate::outcome::Unset;

/// An attribute that an entry of some kind really had after it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Seen {
    /// A file had the mode that it was created with.
    Created(u32),
    /// A file had the mode that it was created with after its owner was set.
    Kept(u32),
    Mode(Kind, u32),
    Owner(Kind, Option<u32>, Option<u32>),
    Time(Kind),
}

/// Which halves of an entry's owner are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) uid: bool,
    pub(super) gid: bool,
}

impl Owned {
    pub(super) const BOTH: Self = Self { uid: true, gid: true };

    fn compare((uid, gid): (u32, u32), wanted: &Attributes) -> Self {
        Self { uid: uid == wanted.uid, gid: gid == wanted.gid }
    }

    /// Returns the mode without the special bits that would lend somebody else's rights to everybody: setuid
    /// and setgid are for the right owner only. A directory lends nothing, but would pass on the wrong group.
    pub(super) fn allowed_mode(self, kind: Kind, mode: u32) -> u32 {
        match kind {
            _ if self == Self::BOTH => mode,
            Kind::Directory if self.gid => mode & !SETUID,
            Kind::File | Kind::Directory | Kind::Symlink => mode & !SETUID_SETGID,
        }
    }
}

impl Metadata {
    /// Sets owner, group and mode in the order that the kind of entry needs. `found` is what an entry had
    /// that this restore did not make, `created` the mode that a file was made with if that is its final one.
    pub(super) fn set_owner_and_mode(
        &mut self,
        subject: Subject<'_>,
        found: Option<&Stat>,
        created: Option<u32>,
        wanted: &Attributes,
    ) -> io::Result<Unset> {
        let kind = subject.kind();
        let mut has = None;
        if kind == Kind::Directory {
            has = Some(self.set_mode(subject, wanted.mode)?);
        }
        let owned = self.set_owner(subject, found, wanted)?;
        let allowed = owned.allowed_mode(kind, wanted.mode);
        let has = match has {
            _ if kind == Kind::Symlink => wanted.mode,
            None if created == Some(allowed) && self.kept_mode(subject, allowed)? => allowed,
            Some(has) if wanted.mode & SPECIAL == 0 => has,
            // Special bits may not have outlived the new owner.
            Some(_) if allowed == wanted.mode => subject.stat()?.st_mode & 0o7777,
            Some(_) | None => self.set_mode(subject, allowed)?,
        };
        Ok(Unset { owner: owned != Owned::BOTH, ..Unset::of_mode(has, wanted.mode) })
    }

    /// Checks whether a file still has the mode that it was created with; of each mode the first tells for
    /// all.
    fn kept_mode(&mut self, file: Subject<'_>, mode: u32) -> io::Result<bool> {
        let kept = Seen::Kept(mode);
        let has_it = self.seen.contains(&kept) || file.stat()?.st_mode & 0o7777 == mode;
        if has_it {
            self.seen.insert(kept);
        }
        Ok(has_it)
    }

    /// Sets the mode and returns the one that the entry has then.
    fn set_mode(&mut self, subject: Subject<'_>, mode: u32) -> io::Result<u32> {
        let set = Seen::Mode(subject.kind(), mode);
        match subject.chmod(mode) {
            // FAT takes permissions, but none of these bits.
            Err(errno) if is_refusal(errno) && mode & SPECIAL != 0 => {
                let _ = subject.chmod(mode & 0o777);
            }
            Err(errno) if is_refusal(errno) => {}
            Err(errno) => return Err(errno.into()),
            // Whether special bits stay depends on the owner of each entry.
            Ok(()) if mode & SPECIAL == 0 && self.seen.contains(&set) => return Ok(mode),
            Ok(()) => {}
        }
        let has = subject.stat()?.st_mode & 0o7777;
        // Where nothing is changed it may have had it before.
        if has == mode && self.defaults.creator.sets_modes {
            self.seen.insert(set);
        }
        Ok(has)
    }

    /// Sets owner and group; returns which of them are right then.
    fn set_owner(
        &mut self,
        subject: Subject<'_>,
        found: Option<&Stat>,
        wanted: &Attributes,
    ) -> io::Result<Owned> {
        let made = match found {
            // Below a setgid directory the group may be another one than that of the probe.
            None if self.defaults.owner_suits(wanted) => Some(subject.stat()?),
            _ => None,
        };
        let found = found.or(made.as_ref());
        if found.is_some_and(|stat| has_owner(stat, wanted)) {
            return Ok(Owned::BOTH);
        }
        self.change_owner(subject, found, wanted)
    }

    pub(super) fn change_owner(
        &mut self,
        subject: Subject<'_>,
        found: Option<&Stat>,
        wanted: &Attributes,
    ) -> io::Result<Owned> {
        let owner = (wanted.uid, wanted.gid);
        let surely = wanted.mode & SETUID_SETGID != 0;
        // The two numbers that mean «leave as it is» to the system.
        let [uid, gid] = [wanted.uid, wanted.gid].map(|id| (id != u32::MAX).then_some(id));
        if !self.refused.contains(&owner) {
            match self.chown(subject, uid, gid, surely) {
                Ok(owned) if uid.is_some() && gid.is_some() => {
                    return Ok(owned.unwrap_or(Owned::BOTH));
                }
                Ok(_) => {}
                Err(errno) if is_refusal(errno) => {}
                Err(errno) => return Err(errno.into()),
            }
            self.refused.insert(owner);
        }
        let before = found.map_or((self.defaults.creator.uid, self.defaults.creator.gid), |stat| {
            (stat.st_uid, stat.st_gid)
        });
        let mut owned = Owned::compare(before, wanted);
        // The group alone may be one of ours.
        if !owned.gid
            && let Ok(changed) = self.chown(subject, None, gid, surely)
        {
            owned.gid = changed.is_none_or(|changed| changed.gid);
        }
        Ok(owned)
    }

    /// Changes owner and group. Returns what the entry has then, compared with that, unless it was looked at
    /// before and need not be again.
    fn chown(
        &mut self,
        subject: Subject<'_>,
        uid: Option<u32>,
        gid: Option<u32>,
        surely: bool,
    ) -> rustix::io::Result<Option<Owned>> {
        subject.chown(uid, gid)?;
        let set = Seen::Owner(subject.kind(), uid, gid);
        if !surely && self.seen.contains(&set) {
            return Ok(None);
        }
        let stat = subject.stat()?;
        let owned = Owned {
            uid: uid.is_none_or(|uid| uid == stat.st_uid),
            gid: gid.is_none_or(|gid| gid == stat.st_gid),
        };
        if owned == Owned::BOTH {
            self.seen.insert(set);
        }
        Ok(Some(owned))
    }

    /// Sets the modification time; returns whether the entry has it then.
    pub(super) fn set_time(&mut self, subject: Subject<'_>, wanted: &Attributes) -> io::Result<bool> {
        let set = Seen::Time(subject.kind());
        match subject.utimens(&timestamps(wanted.modified)) {
            Ok(()) if !self.is_in_doubt(wanted) && self.seen.contains(&set) => return Ok(true),
            Ok(()) => {}
            Err(errno) if is_refusal(errno) => {}
            Err(errno) => return Err(errno.into()),
        }
        let has = has_time(&subject.stat()?, wanted);
        if has {
            self.seen.insert(set);
        }
        Ok(has)
    }

    /// Every file system holds 1970 to 2037; others may be cut off without an error.
    fn is_in_doubt(&self, wanted: &Attributes) -> bool {
        !self.defaults.exact_times || !(0..1 << 31).contains(&wanted.modified.seconds())
    }
}

/// Returns the modification time to set; the time of access is left.
pub(super) fn timestamps(modified: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified.seconds(), tv_nsec: modified.nanoseconds().into() },
    }
}

#[cfg(test)]
mod tests;
