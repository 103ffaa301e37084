//! The file systems of which is known what they make of names.

use std::os::fd::BorrowedFd;

/// A kind of file system, as far as names go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileSystem {
    Fat,
    ExFat,
    /// A share of Windows or of something like it.
    Share,
    Apple,
    /// One whose directories may have the flag that makes them case-insensitive.
    Flagged,
    Other,
}

impl FileSystem {
    pub(super) fn of(directory: BorrowedFd<'_>) -> Self {
        // The magic numbers of statfs(2).
        match rustix::fs::fstatfs(directory).map(|found| found.f_type as u64 & 0xffff_ffff) {
            Ok(0x4d44) => Self::Fat,
            Ok(0x2011_bab0) => Self::ExFat,
            Ok(0xff53_4d42 | 0xfe53_4d42 | 0x517b) => Self::Share,
            Ok(0x4244 | 0x482b) => Self::Apple,
            Ok(0xef53 | 0xf2f5_2010 | 0x0102_1994) => Self::Flagged,
            _ => Self::Other,
        }
    }

    pub(super) fn is_fat(self) -> bool {
        matches!(self, Self::Fat | Self::ExFat)
    }
}
