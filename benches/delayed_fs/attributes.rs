//! Attributes of files, between what the system has and what FUSE wants.

use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use rustix::fs::{Mode, RawMode, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

/// Converts what the system says of a file; `number` is the inode number it gets.
pub(crate) fn attributes(stat: &Stat, number: INodeNo) -> FileAttr {
    let modified = time(stat.st_mtime, stat.st_mtime_nsec as u32);
    FileAttr {
        ino: number,
        size: stat.st_size.cast_unsigned(),
        blocks: stat.st_blocks.cast_unsigned(),
        atime: time(stat.st_atime, stat.st_atime_nsec as u32),
        mtime: modified,
        ctime: time(stat.st_ctime, stat.st_ctime_nsec as u32),
        // Linux' FUSE does not ask for it.
        crtime: modified,
        kind: kind(stat.st_mode),
        perm: (stat.st_mode & 0o7777) as u16,
        nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: device(stat.st_rdev),
        blksize: u32::try_from(stat.st_blksize).unwrap_or(4096),
        flags: 0,
    }
}

/// Returns the permissions of a mode that the kernel sent.
pub(crate) fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o7777)
}

/// Converts the times that a request sets.
pub(crate) fn times(accessed: Option<TimeOrNow>, modified: Option<TimeOrNow>) -> Timestamps {
    let spec = |time: Option<TimeOrNow>| match time {
        None => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        Some(TimeOrNow::Now) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        Some(TimeOrNow::SpecificTime(time)) => timespec(time),
    };
    Timestamps { last_access: spec(accessed), last_modification: spec(modified) }
}

fn timespec(time: SystemTime) -> Timespec {
    let (after, before) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (after, Duration::ZERO),
        // fuser 0.18 takes seconds and nanoseconds from 1970, where the nanoseconds are to be added.
        Err(error) => (Duration::from_nanos(error.duration().subsec_nanos().into()), error.duration()),
    };
    let seconds = after.as_secs().cast_signed().saturating_sub_unsigned(before.as_secs());
    Timespec { tv_sec: seconds, tv_nsec: after.subsec_nanos().into() }
}

/// Converts seconds since 1970, which may be negative, and nanoseconds after them.
fn time(seconds: i64, nanoseconds: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = match seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    let time = time.and_then(|time| time.checked_add(Duration::from_nanos(nanoseconds.into())));
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

fn kind(mode: RawMode) -> FileType {
    match rustix::fs::FileType::from_raw_mode(mode) {
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        rustix::fs::FileType::Fifo => FileType::NamedPipe,
        rustix::fs::FileType::Socket => FileType::Socket,
        rustix::fs::FileType::CharacterDevice => FileType::CharDevice,
        rustix::fs::FileType::BlockDevice => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}

/// Packs a device's number into 32 bits, as the kernel does for FUSE.
fn device(number: u64) -> u32 {
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_fractions() {
        let half = Duration::from_millis(500);
        assert_eq!(time(3, 500_000_000), SystemTime::UNIX_EPOCH + Duration::from_secs(3) + half);
        assert_eq!(time(-3, 500_000_000), SystemTime::UNIX_EPOCH - Duration::from_secs(3) + half);
        // What fuser 0.18 makes of -3 s and 500 ms.
        let parsed = SystemTime::UNIX_EPOCH - Duration::new(3, 500_000_000);
        let spec = timespec(parsed);
        assert_eq!((spec.tv_sec, spec.tv_nsec), (-3, 500_000_000));
        let spec = timespec(SystemTime::UNIX_EPOCH + Duration::from_secs(3) + half);
        assert_eq!((spec.tv_sec, spec.tv_nsec), (3, 500_000_000));
    }

    #[test]
    fn times_that_are_not_given_are_left() {
        let times = times(None, Some(TimeOrNow::Now));
        assert_eq!((times.last_access.tv_nsec, times.last_modification.tv_nsec), (UTIME_OMIT, UTIME_NOW));
    }
}
