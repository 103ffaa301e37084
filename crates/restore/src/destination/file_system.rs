//! The file systems of which is known what they make of names, sizes and inode numbers.

use std::os::fd::BorrowedFd;

/// A kind of file system, as far as these go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileSystem {
    Fat,
    ExFat,
    /// A share of Windows or of something like it.
    Share,
    Apple,
    /// One that hands names on to a program or another system: FUSE, 9p, VirtualBox.
    Foreign,
    /// One whose directories may have the flag that makes them case-insensitive.
    Flagged,
    Other,
}

impl FileSystem {
    pub(super) fn of(directory: BorrowedFd<'_>) -> Self {
        rustix::fs::fstatfs(directory).map_or(Self::Other, |found| Self::of_number(found.f_type as u64))
    }

    /// Classifies by the magic numbers of statfs(2).
    fn of_number(number: u64) -> Self {
        // Where they are signed, those above 0x7fff_ffff are negative.
        match number & 0xffff_ffff {
            0x4d44 => Self::Fat,
            0x2011_bab0 => Self::ExFat,
            0xff53_4d42 | 0xfe53_4d42 | 0x517b => Self::Share,
            0x4244 | 0x482b => Self::Apple,
            0x6573_5546 | 0x0102_1997 | 0x786f_4256 => Self::Foreign,
            0xef53 | 0xf2f5_2010 | 0x0102_1994 => Self::Flagged,
            _ => Self::Other,
        }
    }

    /// Returns whether an entry keeps its inode number, and the time at which it was changed is another one than
    /// that of its modification. FAT and exFAT have neither once it was read anew, and of what a program or
    /// another system hands on nobody knows.
    fn is_posix(self) -> bool {
        !self.is_fat() && self != Self::Foreign
    }

    pub(super) fn is_fat(self) -> bool {
        matches!(self, Self::Fat | Self::ExFat)
    }

    /// Returns the size of its largest file in bytes, if it is one that files reach: FAT has 32 bits for it.
    pub(super) fn largest_file(self) -> Option<u64> {
        (self == Self::Fat).then_some(u64::from(u32::MAX))
    }
}

/// Returns whether inode numbers last where a directory lies, and times of change are what they say.
pub(crate) fn is_posix(directory: BorrowedFd<'_>) -> bool {
    FileSystem::of(directory).is_posix()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_known_by_their_numbers() {
        use FileSystem::*;
        for (numbers, kind) in [
            (&[0x4d44][..], Fat),
            (&[0x2011_bab0], ExFat),
            // cifs, as a signed number too; smb2; smbfs.
            (&[0xff53_4d42, 0xff53_4d42_u32 as i32 as u64, 0xfe53_4d42, 0x517b], Share),
            (&[0x4244, 0x482b], Apple),
            (&[0x6573_5546, 0x0102_1997, 0x786f_4256], Foreign),
            // ext4, f2fs, tmpfs.
            (&[0xef53, 0xf2f5_2010, 0x0102_1994], Flagged),
            // xfs, btrfs, nfs.
            (&[0x5846_5342, 0x9123_683e, 0x6969], Other),
        ] {
            numbers.iter().for_each(|number| assert_eq!(FileSystem::of_number(*number), kind, "{number:x}"));
            assert_eq!(kind.is_fat(), matches!(kind, Fat | ExFat));
            assert_eq!(kind.is_posix(), !matches!(kind, Fat | ExFat | Foreign));
            assert_eq!(kind.largest_file(), (kind == Fat).then_some(4_294_967_295));
        }
    }
}
