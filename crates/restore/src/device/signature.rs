//! What a device holds, told from the first bytes.
//!
//! Authority: the magic numbers of libblkid (util-linux), as the documents of the file systems have them.

use std::fmt;

use crate::execute::is_zero;

/// What the beginning of a device looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signature {
    /// Nothing but zeros, as far as was looked.
    Zeros,
    /// A file system, partition table or volume, by name.
    Known(&'static str),
    /// Something that is none of these.
    Unknown,
}

/// Where which bytes are, and what that is. The first that fits counts: what lies in a partition or an
/// encrypted volume comes after what is around it.
const MAGIC: [(usize, &[u8], &str); 19] = [
    (0, b"LUKS\xba\xbe", "a LUKS volume"),
    (512, b"LABELONE", "an LVM physical volume"),
    (512, b"EFI PART", "a GPT partition table"),
    (4096, b"EFI PART", "a GPT partition table"),
    (4096, b"\xfc\x4e\x2b\xa9", "a member of a Linux RAID"),
    (0x438, b"\x53\xef", "an ext2, ext3 or ext4 file system"),
    (0, b"XFSB", "an XFS file system"),
    (0x1_0040, b"_BHRfS_M", "a Btrfs file system"),
    (4096 - 10, b"SWAPSPACE2", "swap space"),
    (1024, b"\x10\x20\xf5\xf2", "an F2FS file system"),
    (3, b"NTFS    ", "an NTFS file system"),
    (3, b"EXFAT   ", "an exFAT file system"),
    (82, b"FAT32   ", "a FAT file system"),
    (54, b"FAT16   ", "a FAT file system"),
    (54, b"FAT12   ", "a FAT file system"),
    (0x8001, b"CD001", "an ISO 9660 file system"),
    (0, b"hsqs", "a SquashFS file system"),
    (0, b"QFI\xfb", "a qcow2 image"),
    (510, b"\x55\xaa", "an MBR partition table"),
];

impl Signature {
    /// How many bytes are looked at.
    pub(super) const LENGTH: usize = 1 << 20;

    /// Looks at the first bytes of a device.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let known = MAGIC
            .iter()
            .find(|(at, magic, _)| bytes.get(*at..).is_some_and(|bytes| bytes.starts_with(magic)));
        match known {
            Some((.., name)) => Self::Known(name),
            None if is_zero(bytes) => Self::Zeros,
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zeros => f.write_str("nothing but zeros at its beginning"),
            Self::Known(name) => f.write_str(name),
            Self::Unknown => f.write_str("data of an unknown kind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_there_is_named() {
        let with = |at: usize, magic: &[u8]| {
            let mut bytes = vec![0; Signature::LENGTH];
            bytes[at..at + magic.len()].copy_from_slice(magic);
            Signature::of(&bytes)
        };
        for (at, magic, name) in MAGIC {
            assert_eq!(with(at, magic), Signature::Known(name));
        }
        assert_eq!(with(9, b"x"), Signature::Unknown);
        assert_eq!(Signature::of(&[0; 100]), Signature::Zeros);
        assert_eq!(Signature::of(b""), Signature::Zeros);
        assert_eq!(with(0x1_0040, b"_BHRfS_M").to_string(), "a Btrfs file system");
    }
}
