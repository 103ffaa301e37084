//! The kind of file system that a file lies on: a local disk, or anything else.
//!
//! Maps and hints suit local disks alone. A file system that is not known here counts as a network.

use std::os::fd::AsFd;

/// What matters about a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A disk of this machine.
    Local {
        /// Whether maps are fast.
        maps: bool,
    },
    /// A network, FUSE (which virtiofs is), or something unknown.
    Other,
}

/// Local file systems, by the magic number that `fstatfs` gives (`linux/magic.h`, statfs(2)).
///
/// What is not here is read by `pread`: a new network file system that nobody has heard of must not be
/// mapped.
#[cfg(target_os = "linux")]
const LOCAL: [u32; 22] = [
    0x0000_ef53, // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs
    0xf2f5_2010, // F2FS
    ZFS,
    0xca45_1a4e, // bcachefs
    0x7371_7368, // SquashFS
    0xe0f5_e1e2, // EROFS
    0x3153_464a, // JFS
    0x5265_4973, // ReiserFS
    0x0000_3434, // NILFS
    0x0000_9660, // ISO 9660
    0x1501_3346, // UDF
    0x0000_4d44, // FAT
    0x2011_bab0, // exFAT
    0x7366_746e, // NTFS
    0x0000_482b, // HFS+
    0x0000_4244, // HFS
    0x0001_1954, // UFS
];

/// ZFS keeps mapped files in memory twice, so maps are no gain on it.
#[cfg(target_os = "linux")]
const ZFS: u32 = 0x2fc1_2fc1;

impl Kind {
    /// Looks at the file system of an open file.
    #[cfg(target_os = "linux")]
    pub(super) fn of(file: impl AsFd) -> Self {
        // The number has 32 bits, whatever the type of the field.
        let magic = rustix::fs::fstatfs(file).map(|stat| stat.f_type as u32);
        magic.map_or(Self::Other, Self::of_magic)
    }

    #[cfg(target_os = "linux")]
    fn of_magic(magic: u32) -> Self {
        if LOCAL.contains(&magic) { Self::Local { maps: magic != ZFS } } else { Self::Other }
    }

    /// Knows nothing about other systems.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: impl AsFd) -> Self {
        Self::Local { maps: false }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn local_disks_are_told_from_networks() {
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994] {
            assert_eq!(Kind::of_magic(local), Kind::Local { maps: true }, "{local:#x}");
        }
        assert_eq!(Kind::of_magic(ZFS), Kind::Local { maps: false });
        // NFS, CIFS, FUSE, CephFS.
        for network in [0x6969, 0xff53_4d42, 0x6573_5546, 0x00c3_6400] {
            assert_eq!(Kind::of_magic(network), Kind::Other, "{network:#x}");
        }
        assert_eq!(Kind::of(std::fs::File::open("/proc").unwrap()), Kind::Other);
    }
}
