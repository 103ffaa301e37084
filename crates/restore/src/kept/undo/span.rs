//! Whether something in a directory that the restore made was changed last by the restore, or after it.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Stat, StatxFlags};

use super::super::record::Moment;

/// For how many seconds longer what has no time of change of its own is taken for the restore's: the clock was read
/// from a time of modification, and FAT has one for every other second.
const COARSE: i64 = 2;

/// When the restore worked in a directory that it made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// When the directory was made, where the file system states that.
    born: Option<Moment>,
    /// When the restore noted what it was about to move.
    noted: Moment,
    /// Whether times of change are what they say.
    is_posix: bool,
}

impl Span {
    pub(super) fn of(parent: BorrowedFd<'_>, name: &[u8], noted: Moment, is_posix: bool) -> Self {
        Self { born: born(parent, name), noted, is_posix }
    }

    /// Returns whether an entry was changed last in this time.
    pub(super) fn has(self, parent: BorrowedFd<'_>, name: &[u8], stat: &Stat) -> bool {
        let (changed, modified) = (Moment::changed(stat), Moment::modified(stat));
        if self.is_posix || changed != modified {
            return self.has_moment(changed);
        }
        // Anybody may have given it that time. It is no older than it was made; where nobody knows when that was,
        // it may be anybody's.
        let Moment(seconds, nanoseconds) = self.noted;
        let coarse = Self { noted: Moment(seconds.saturating_add(COARSE), nanoseconds), ..self };
        born(parent, name).is_some_and(|born| coarse.has_moment(born.max(modified)))
    }

    /// A clock that was set back since gives what is newer a time before both.
    fn has_moment(self, moment: Moment) -> bool {
        moment <= self.noted && self.born.is_none_or(|born| moment >= born)
    }
}

/// Returns when something was made, where the file system states that.
fn born(parent: BorrowedFd<'_>, name: &[u8]) -> Option<Moment> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let found = rustix::fs::statx(parent, name, flags, StatxFlags::BTIME).ok()?;
    let time = found.stx_btime;
    (found.stx_mask & StatxFlags::BTIME.bits() != 0).then_some(Moment(time.tv_sec, time.tv_nsec))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd;

    use super::*;
    use crate::destination::look;

    #[test]
    fn what_has_a_time_before_its_directory_was_made_is_newer_by_a_clock_that_was_set_back() {
        let (born, noted) = (Moment(100, 5), Moment(200, 5));
        let span = Span { born: Some(born), noted, is_posix: true };
        for (changed, expected) in [
            (Moment(100, 4), false),
            (born, true),
            (Moment(150, 0), true),
            (noted, true),
            (Moment(200, 6), false),
        ] {
            assert_eq!(span.has_moment(changed), expected, "{changed:?}");
        }
        assert!(Span { born: None, ..span }.has_moment(Moment(1, 0)), "nobody knows when it was made");
    }

    #[test]
    fn a_directory_is_as_old_as_what_is_made_in_it_at_least() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("made")).unwrap();
        fs::write(place.path().join("made/file"), b"").unwrap();
        let parent = File::open(place.path()).unwrap();
        let Some(born) = born(parent.as_fd(), b"made") else { return };
        let file = look(parent.as_fd(), "made/file").unwrap().unwrap();
        assert!(born <= Moment::changed(&file) && born.0 > 1_600_000_000, "{born:?}");
    }

    /// FAT has no other time of change than that of modification, which restores set.
    #[test]
    fn what_has_no_time_of_change_of_its_own_is_as_old_as_it_was_made() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), b"").unwrap();
        let parent = File::open(place.path()).unwrap();
        let (parent, name) = (parent.as_fd(), b"file");
        let (made, then) = (born(parent, name), 1_000_000_000);
        let mut stat = look(parent, "file").unwrap().unwrap();
        let mut has = |modified: i64, noted: i64, is_posix| {
            let noted = Moment(made.map_or(then, |made| made.0) + noted, 0);
            (stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec) =
                (modified, 0, modified, 0);
            Span { born: made, noted, is_posix }.has(parent, name, &stat)
        };
        // Restored with the time of the snapshot: made before it was noted, or in the same two seconds.
        assert_eq!([has(then, 5, false), has(then, 0, false)], [made.is_some(); 2]);
        // Copied there afterwards with its time.
        assert!(!has(then, -5, false));
        // Written again.
        assert!(!has(made.map_or(then, |made| made.0) + 9, 5, false));
        // Where it would have a time of its own, it is older than the directory by that.
        assert_eq!(has(then, 5, true), made.is_none());
    }
}
