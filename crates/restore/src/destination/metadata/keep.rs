//! Whether a file that the target has already may stay the file that it is.
//!
//! A process that opened a file for writing can write in it ever after, whatever its owner and mode become.
//! So a file with the right bytes is kept only if nobody could have opened it so far who will not be allowed
//! to afterwards; otherwise a new file with the same bytes takes its place.
//!
//! Where what is replaced is kept, it is the other way round as well: an undo would give a file that got other
//! attributes its owner and mode again, with whatever its owner of meanwhile has written into it, or writes yet.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Stat, Uid};

use super::super::is_symlink;
use super::preserve::Preserve;
use super::{Attributes, SETGID, SETUID_SETGID, has_owner, has_time};
use crate::Options;

/// Permission bits that let others than the owner write.
const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;

/// Whose the files are that this process makes, and what can be changed of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Creator {
    /// The effective user of this process.
    pub(crate) user: u32,
    /// Whose its files become: somebody else's on NFS with `root_squash` and on CIFS with `uid=`.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether they can be given to others.
    pub(crate) may_give: bool,
    /// Whether their modes can be changed.
    pub(crate) sets_modes: bool,
}

impl Creator {
    /// Checks whether a file that this process has just made can be given away.
    pub(super) fn of_made(file: &OwnedFd, made: &Stat, sets_modes: bool) -> Self {
        let user = rustix::process::geteuid();
        let owns = || rustix::fs::fstat(file).is_ok_and(|stat| stat.st_uid == user.as_raw());
        // Somebody else's can be made one's own first, where owners can be set.
        let may_give =
            user.is_root() && (owns() || rustix::fs::fchown(file, Some(Uid::ROOT), None).is_ok() && owns());
        Self { user: user.as_raw(), uid: made.st_uid, gid: made.st_gid, may_give, sets_modes }
    }

    /// Returns what holds on file systems that keep owners and modes.
    pub(crate) fn of_process() -> Self {
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        let may_give = user.is_root();
        Self { user: user.as_raw(), uid: user.as_raw(), gid: group.as_raw(), may_give, sets_modes: true }
    }

    /// Guesses from the kind of file system that a directory lies in, where nothing may be written.
    pub(crate) fn expected_in(directory: impl AsFd) -> Self {
        let process = Self::of_process();
        let kind = rustix::fs::fstatfs(&directory).map_or(0, |stat| stat.f_type as u32);
        rustix::fs::fstat(&directory).map_or(process, |found| process.expected(kind, &found))
    }

    fn expected(self, file_system: u32, directory: &Stat) -> Self {
        let (uid, gid) = (directory.st_uid, directory.st_gid);
        if OWNERLESS.contains(&file_system) {
            Self { uid, gid, may_give: false, sets_modes: false, ..self }
        } else if SQUASHING.contains(&file_system) && self.user == 0 && uid == NOBODY {
            Self { uid, gid, may_give: false, ..self }
        } else if directory.st_mode & SETGID != 0 {
            Self { gid, ..self }
        } else {
            self
        }
    }

    /// Returns whether a file is this process's own: nobody else ever was its owner, or the one that all
    /// files have here.
    fn owns(self, stat: &Stat) -> bool {
        stat.st_uid == self.uid && (self.uid == self.user || !self.may_give)
    }
}

/// File systems on which all files have one owner, by their numbers in `linux/magic.h`: FAT, exFAT, SMB 1,
/// CIFS and SMB 2.
const OWNERLESS: [u32; 5] = [0x4d44, 0x2011_bab0, 0x517b, 0xff53_4d42, 0xfe53_4d42];

/// File systems whose server may give to nobody what root makes: NFS and FUSE.
const SQUASHING: [u32; 2] = [0x6969, 0x6573_5546];

/// What servers call nobody unless they are told otherwise.
const NOBODY: u32 = 65534;

/// Decides whether files of the target may stay, as far as attributes are restored at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keeper {
    preserve: Preserve,
    creator: Creator,
    /// Whether an undo may give a file its attributes again.
    keep_replaced: bool,
}

impl Keeper {
    /// Decides as these options say, where files get this owner.
    pub(crate) fn new(options: &Options, creator: Creator) -> Self {
        Self { preserve: options.into(), creator, keep_replaced: options.keep_replaced }
    }

    /// Returns whether a file or link may be kept, and get its attributes.
    ///
    /// Its bytes are known to be right.
    pub(crate) fn may_keep(self, stat: &Stat, wanted: &Attributes) -> bool {
        let wanted = &self.preserve.adjust(wanted, stat);
        may_keep(stat, wanted, self.creator)
            && !(self.keep_replaced && lets_more_write(stat, wanted, self.creator))
    }
}

fn may_keep(stat: &Stat, wanted: &Attributes, creator: Creator) -> bool {
    let owner = stat.st_uid == wanted.uid || creator.owns(stat);
    let lets_all_write = !widens(wanted.mode, stat.st_mode, has_same_group(stat, wanted, creator));
    // Nobody writes in a symlink, whose mode means nothing.
    let is_symlink = is_symlink(stat);
    // Where modes are not to be changed, a new file lets in as many as the old one.
    let is_nobody_elses = is_symlink || owner && (lets_all_write || !creator.sets_modes);
    // What another user's entry lacks, an ordinary user can only give to a new one.
    let has_mode = is_symlink || stat.st_mode & 0o7777 == wanted.mode;
    let is_correctable =
        creator.user == 0 || stat.st_uid == creator.uid || (has_mode && has_time(stat, wanted));
    is_nobody_elses && is_correctable
}

/// Returns whether somebody may write in a file with its new attributes who may not now.
fn lets_more_write(stat: &Stat, wanted: &Attributes, creator: Creator) -> bool {
    let owner = creator.may_give && stat.st_uid != wanted.uid;
    let mode = widens(stat.st_mode, wanted.mode, has_same_group(stat, wanted, creator));
    !is_symlink(stat) && (owner || creator.sets_modes && mode)
}

/// Returns whether the mode `to` lets somebody other than the owner write whom the mode `from` does not, as the
/// group may be another one.
fn widens(from: u32, to: u32, same_group: bool) -> bool {
    to & !from & (GROUP_WRITE | OTHER_WRITE) != 0 || to & GROUP_WRITE != 0 && !same_group
}

/// Returns whether a file has its group, or the one of all new files where no other can be set.
fn has_same_group(stat: &Stat, wanted: &Attributes, creator: Creator) -> bool {
    stat.st_gid == wanted.gid || (!creator.may_give && stat.st_gid == creator.gid)
}

/// Returns whether an entry has its owner; nothing if mode or owner could be better.
pub(crate) fn found_as_settable(stat: &Stat, wanted: &Attributes, creator: Creator) -> Option<bool> {
    let has_owner = has_owner(stat, wanted);
    let settable = has_owner || (!creator.may_give && stat.st_uid == creator.uid);
    let mode = if has_owner { wanted.mode } else { wanted.mode & !SETUID_SETGID };
    (settable && stat.st_mode & 0o7777 == mode).then_some(has_owner)
}

#[cfg(test)]
mod tests {
    use kopia_testkit::refuse::{Call, refusing};
    use rustix::io::Errno;

    use super::*;

    const ROOT: Creator = Creator { user: 0, uid: 0, gid: 0, may_give: true, sets_modes: true };
    const USER: Creator = Creator { user: 1000, uid: 1000, gid: 1000, may_give: false, sets_modes: true };
    /// Root on an NFS share with `root_squash`.
    const SQUASHED: Creator = Creator { user: 0, uid: 65534, gid: 65534, may_give: false, sets_modes: true };

    /// A file with the given owner, group and mode.
    fn stat(uid: u32, gid: u32, mode: u32) -> Stat {
        let mut stat = rustix::fs::stat("/").unwrap();
        (stat.st_uid, stat.st_gid, stat.st_mode) = (uid, gid, 0o100_000 | mode);
        (stat.st_mtime, stat.st_mtime_nsec) = (0, 0);
        stat
    }

    fn wanted(uid: u32, gid: u32, mode: u32) -> Attributes {
        Attributes { mode, uid, gid, modified: Default::default() }
    }

    #[test]
    fn a_file_that_others_may_hold_open_is_not_kept() {
        let keeps = |(uid, gid, mode): (u32, u32, u32), (owner, group, then), creator| {
            may_keep(&stat(uid, gid, mode), &wanted(owner, group, then), creator)
        };
        // The right owner, ourselves, or who owns all files here.
        assert!(keeps((7, 7, 0o755), (7, 7, 0o4755), ROOT));
        assert!(keeps((0, 0, 0o755), (7, 7, 0o4755), ROOT));
        assert!(keeps((1000, 1000, 0o644), (7, 7, 0o600), USER));
        assert!(keeps((65534, 65534, 0o644), (7, 7, 0o600), SQUASHED));
        // Somebody else.
        assert!(!keeps((7, 7, 0o644), (0, 0, 0o644), ROOT));
        assert!(!keeps((7, 7, 0o644), (8, 8, 0o644), ROOT));
        assert!(!keeps((7, 7, 0o644), (0, 0, 0o644), USER));
        assert!(!keeps((7, 7, 0o644), (0, 0, 0o644), SQUASHED));
        let gives = Creator { may_give: true, ..SQUASHED };
        assert!(!keeps((65534, 65534, 0o644), (0, 0, 0o4755), gives), "nobody's would become root's");
        // The group could write, and afterwards cannot.
        assert!(!keeps((0, 5, 0o664), (0, 5, 0o644), ROOT));
        assert!(!keeps((0, 5, 0o664), (0, 6, 0o664), ROOT));
        assert!(keeps((0, 5, 0o664), (0, 5, 0o664), ROOT));
        assert!(keeps((0, 5, 0o644), (0, 6, 0o664), ROOT));
        // It would be given to another group than that of new files.
        assert!(!keeps((0, 0, 0o664), (0, 6, 0o664), ROOT));
        assert!(!keeps((1000, 5, 0o664), (7, 7, 0o664), USER), "a new file has our own group");
        // Everybody could.
        assert!(!keeps((0, 0, 0o646), (0, 0, 0o644), ROOT));
        assert!(keeps((0, 0, 0o646), (0, 0, 0o666), ROOT));
        // A new file would be as open to them.
        assert!(keeps((1000, 1000, 0o664), (7, 7, 0o664), USER), "its group cannot be set");
        assert!(keeps((1000, 1000, 0o777), (7, 7, 0o644), Creator { sets_modes: false, ..USER }));
    }

    #[test]
    fn a_file_that_others_may_write_in_meanwhile_is_not_kept_where_that_can_be_undone() {
        let keeps = |(uid, gid, mode): (u32, u32, u32), (owner, group, then), creator| {
            let of = |keep_replaced| {
                let options = Options { keep_replaced, ..Options::default() };
                let (stat, wanted) = (stat(uid, gid, mode), wanted(owner, group, then));
                Keeper::new(&options, creator).may_keep(&stat, &wanted)
            };
            assert!(of(false), "{uid} {gid} {mode:o} to {owner} {group} {then:o}");
            of(true)
        };
        assert!(keeps((0, 0, 0o4755), (0, 0, 0o644), ROOT));
        assert!(keeps((0, 0, 0o600), (0, 5, 0o4755), ROOT));
        assert!(keeps((0, 5, 0o664), (0, 5, 0o775), ROOT));
        // It would become somebody else's.
        assert!(!keeps((0, 0, 0o4755), (7, 0, 0o4755), ROOT));
        assert!(keeps((1000, 1000, 0o755), (7, 7, 0o755), USER), "which it does not");
        assert!(keeps((65534, 65534, 0o755), (7, 7, 0o755), SQUASHED));
        // The group could write in it, or all could.
        assert!(!keeps((0, 5, 0o644), (0, 5, 0o664), ROOT));
        assert!(!keeps((0, 5, 0o644), (0, 6, 0o664), ROOT));
        assert!(!keeps((1000, 1000, 0o644), (1000, 1000, 0o646), USER));
        assert!(keeps((1000, 1000, 0o664), (7, 7, 0o664), USER), "its group cannot be set");
        let modeless = Creator { sets_modes: false, ..USER };
        assert!(keeps((1000, 1000, 0o644), (1000, 1000, 0o666), modeless));
        let mut link = stat(0, 0, 0o777);
        link.st_mode = 0o120_777;
        assert!(!lets_more_write(&link, &wanted(7, 7, 0o777), ROOT), "nobody writes in it");
    }

    #[test]
    fn root_may_give_files_away_where_they_are_its_own_or_can_be_made_so() {
        let place = tempfile::tempdir().unwrap();
        let is_root = rustix::process::geteuid().is_root();
        let may_give = |name: &str, owner: Option<u32>| {
            let file: OwnedFd = std::fs::File::create(place.path().join(name)).unwrap().into();
            rustix::fs::fchown(&file, owner.map(Uid::from_raw), None).unwrap();
            let made = rustix::fs::fstat(&file).unwrap();
            let of_made = || Creator::of_made(&file, &made, true).may_give;
            // First where no owner can be set, or is set in vain.
            let [refused, ignored] =
                [Some(Errno::PERM), None].map(|answer| refusing(&[(Call::Chown, answer)], of_made));
            (refused, ignored, of_made())
        };
        let expected = Some(is_root);
        let (refused, ignored, free) = may_give("own", None);
        assert_eq!((refused.or(expected), ignored.or(expected), free), (expected, expected, is_root));
        if is_root {
            let (refused, ignored, free) = may_give("nobody's", Some(NOBODY));
            assert!(refused != Some(true) && ignored != Some(true) && free);
        }
    }

    #[test]
    fn a_symlink_is_nobody_elses_to_change() {
        let mut link = stat(7, 7, 0o777);
        link.st_mode = 0o120_777;
        assert!(may_keep(&link, &wanted(0, 0, 0o644), ROOT));
        assert!(may_keep(&link, &wanted(7, 7, 0o644), USER));
        link.st_mtime = 1;
        assert!(!may_keep(&link, &wanted(7, 7, 0o644), USER), "its time cannot be corrected");
    }

    #[test]
    fn who_makes_files_is_guessed_from_the_file_system() {
        let expected = |file_system, uid, mode| ROOT.expected(file_system, &stat(uid, 5, mode));
        let ext4 = 0xef53;
        assert_eq!(expected(ext4, 65534, 0o755), ROOT);
        assert_eq!(expected(ext4, 0, 0o2775), Creator { gid: 5, ..ROOT });
        let cifs = Creator { uid: 7, gid: 5, may_give: false, sets_modes: false, ..ROOT };
        assert_eq!(expected(0xff53_4d42, 7, 0o755), cifs);
        assert_eq!(expected(0x6969, 65534, 0o755), Creator { gid: 5, ..SQUASHED });
        assert_eq!(expected(0x6969, 7, 0o755), ROOT);
        assert_eq!(USER.expected(0x6969, &stat(65534, 5, 0o755)), USER);
    }

    #[test]
    fn a_file_that_cannot_be_corrected_is_not_kept() {
        let keeps = |then, creator| may_keep(&stat(7, 7, 0o644), &wanted(7, 7, then), creator);
        assert!(keeps(0o644, USER) && keeps(0o600, ROOT));
        assert!(!keeps(0o600, USER));
    }

    #[test]
    fn an_owner_that_can_be_set_is_not_as_settable() {
        let found =
            |uid, mode, then, creator| found_as_settable(&stat(uid, 7, mode), &wanted(7, 7, then), creator);
        assert_eq!(found(7, 0o4755, 0o4755, ROOT), Some(true));
        assert_eq!(found(7, 0o755, 0o4755, ROOT), None);
        assert_eq!(found(0, 0o755, 0o755, ROOT), None, "root can give it away");
        assert_eq!(found(1000, 0o755, 0o755, USER), Some(false));
        assert_eq!(found(1000, 0o755, 0o4755, USER), Some(false), "setuid is not for the wrong owner");
        assert_eq!(found(1000, 0o4755, 0o4755, USER), None);
        assert_eq!(found(65534, 0o755, 0o755, SQUASHED), Some(false));
        assert_eq!(found(8, 0o755, 0o755, USER), None, "it is neither right nor what a new one would get");
    }
}
