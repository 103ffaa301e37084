//! Attributes of what is shown, as the kernel wants them.

use std::time::{Duration, SystemTime};

use fuser::{FileAttr, FileType, INodeNo};
use kopia_format::Timestamp;
use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use crate::folder::Item;

/// The size of reads that programs are advised to make, in bytes.
const BLOCK: u32 = 128 << 10;

/// The mode of folders that no snapshot has, and of links.
const FOLDER_MODE: u16 = 0o555;
const LINK_MODE: u16 = 0o777;

/// Returns what something is.
pub(crate) fn kind(item: &Item) -> FileType {
    match item {
        Item::Folder(_) => FileType::Directory,
        Item::Link(_) => FileType::Symlink,
        Item::Entry(entry) => match entry.kind() {
            EntryKind::Directory => FileType::Directory,
            EntryKind::File => FileType::RegularFile,
            EntryKind::Symlink => FileType::Symlink,
        },
    }
}

/// Returns the attributes of something; `owner` has what no snapshot has.
pub(crate) fn of(item: &Item, number: u64, owner: (u32, u32)) -> FileAttr {
    match item {
        Item::Entry(entry) => of_entry(entry, number),
        Item::Folder(folder) => {
            made(FileType::Directory, 0, FOLDER_MODE, time(folder.modified()), owner, number)
        }
        Item::Link(target) => {
            let size = target.len() as u64;
            made(FileType::Symlink, size, LINK_MODE, SystemTime::UNIX_EPOCH, owner, number)
        }
    }
}

fn of_entry(entry: &Entry, number: u64) -> FileAttr {
    let (kind, size) = match entry.kind() {
        EntryKind::Directory => (FileType::Directory, 0),
        EntryKind::File => (FileType::RegularFile, entry.size()),
        EntryKind::Symlink => (FileType::Symlink, entry.size()),
    };
    // Links have every bit on Linux, whatever the snapshot says.
    let mode = if kind == FileType::Symlink { LINK_MODE } else { (entry.mode() & 0o7777) as u16 };
    made(kind, size, mode, time(entry.modified()), entry.owner(), number)
}

fn made(
    kind: FileType,
    size: u64,
    perm: u16,
    modified: SystemTime,
    (uid, gid): (u32, u32),
    number: u64,
) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        // The kernel takes no more, and says EIO.
        size: size.min(i64::MAX as u64),
        blocks: size.div_ceil(512),
        atime: modified,
        mtime: modified,
        ctime: modified,
        crtime: modified,
        kind,
        perm,
        // With 2, `find` would take a folder for one without folders in it.
        nlink: 1,
        uid,
        gid,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

fn time(time: Timestamp) -> SystemTime {
    let whole = Duration::from_secs(time.seconds().unsigned_abs());
    let seconds = match time.seconds() {
        0.. => SystemTime::UNIX_EPOCH.checked_add(whole),
        _ => SystemTime::UNIX_EPOCH.checked_sub(whole),
    };
    let fraction = Duration::from_nanos(time.nanoseconds().into());
    seconds.and_then(|seconds| seconds.checked_add(fraction)).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_fractions() {
        let half = Duration::from_millis(500);
        for (seconds, expected) in [
            (3, SystemTime::UNIX_EPOCH + Duration::from_secs(3) + half),
            (-3, SystemTime::UNIX_EPOCH - Duration::from_secs(3) + half),
        ] {
            assert_eq!(time(Timestamp::new(seconds, 500_000_000).expect("a time")), expected);
        }
        assert_eq!(time(Timestamp::default()), SystemTime::UNIX_EPOCH);
    }
}
