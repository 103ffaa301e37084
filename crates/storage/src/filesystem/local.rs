//! Which file systems count as local.

use std::fs::File;

/// Says whether `file` lies on a file system that is known to be local, where a map is as good as a read.
///
/// Every other one is not: NFS, CIFS and SMB, FUSE, 9p, Ceph, Lustre, GFS2, OCFS2, AFS and what is still to come, as a
/// page of theirs can fail to arrive at any time. The numbers are those of `linux/magic.h`.
#[cfg(target_os = "linux")]
pub(super) fn is_local(file: &File) -> bool {
    const LOCAL: [u32; 16] = [
        0x0000_ef53, // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683e, // btrfs
        0x2fc1_2fc1, // zfs
        0xca45_1a4e, // bcachefs
        0xf2f5_2010, // f2fs
        0x0102_1994, // tmpfs
        0x8584_58f6, // ramfs
        0x794c_7630, // overlayfs
        0x7371_7368, // squashfs
        0xe0f5_e1e2, // erofs
        0x0000_9660, // iso9660
        0x5265_4973, // reiserfs
        0x3153_464a, // jfs
        0x0000_4d44, // vfat
        0x2011_bab0, // exfat
    ];
    // The type of the number differs between machines, and some sign-extend it.
    rustix::fs::fstatfs(file).is_ok_and(|found| LOCAL.contains(&(found.f_type as u32)))
}

/// Says no: maps need `MADV_POPULATE_READ`, which only Linux has.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_local(_file: &File) -> bool {
    false
}
