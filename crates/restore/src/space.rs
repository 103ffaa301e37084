//! Bytes and inodes of a file system: how many are free, what something takes, and errors of too few.

use std::io;
use std::os::fd::AsFd;

use kopia_format::directory::Summary;
use rustix::fs::StatVfs;
use rustix::io::Errno;

/// Bytes and inodes: what is free, or what something takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Space {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
}

impl Space {
    /// Asks the file system what is free; as much as there can be where it does not say.
    pub(crate) fn free(directory: impl AsFd) -> Self {
        match rustix::fs::fstatvfs(directory) {
            Ok(stat) => Self::free_for(rustix::process::geteuid().is_root(), &stat),
            Err(_) => Self { bytes: u64::MAX, inodes: u64::MAX },
        }
    }

    /// Returns what is free for root, or for others, where a file system says this.
    fn free_for(root: bool, stat: &StatVfs) -> Self {
        // Root may use the blocks that are reserved for it, but not those that ext4 keeps for itself.
        let kept = (stat.f_blocks / 50).min(4096);
        let for_root = stat.f_bavail.max(stat.f_bfree.saturating_sub(kept));
        let blocks = if root { for_root } else { stat.f_bavail };
        // Btrfs and others make inodes as they need them, and state none.
        let inodes = if stat.f_files > 0 { stat.f_ffree } else { u64::MAX };
        Self { bytes: blocks.saturating_mul(stat.f_frsize), inodes }
    }

    /// Returns what a file or directory of so many bytes takes.
    pub(crate) fn of(bytes: u64, block: u64) -> Self {
        Self { bytes: bytes.checked_next_multiple_of(block.max(1)).unwrap_or(u64::MAX), inodes: 1 }
    }

    /// Returns what everything below a directory takes at most.
    pub(crate) fn of_all(summary: &Summary, block: u64) -> Self {
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let inodes = [summary.files, summary.symlinks, summary.dirs].map(number);
        let inodes = inodes.into_iter().fold(0, u64::saturating_add);
        Self { bytes: number(summary.size).saturating_add(inodes.saturating_mul(block)), inodes }
    }

    /// Leaves a sixteenth out, for what nobody counts: lists of blocks, names, journals.
    pub(crate) fn but_a_reserve(self) -> Self {
        Self { bytes: self.bytes - self.bytes / 16, inodes: self.inodes - self.inodes / 16 }
    }

    /// Returns whether so much fits.
    pub(crate) fn has_room_for(self, other: Self) -> bool {
        self.bytes >= other.bytes && self.inodes >= other.inodes
    }

    /// Returns what is left when so much is taken.
    pub(crate) fn without(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(other.bytes),
            inodes: self.inodes.saturating_sub(other.inodes),
        }
    }
}

/// Returns whether an error says that a disk or a quota is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT))
}

/// The bytes that must be free where entries are written in turn.
///
/// Each takes some, and frees some when it is in its place.
#[derive(Debug, Default)]
pub(crate) struct InTurn {
    taken: i128,
    most: i128,
}

impl InTurn {
    /// Adds the next entry.
    pub(crate) fn add(&mut self, takes: u64, frees: u64) {
        self.most = self.most.max(self.taken.saturating_add(takes.into()));
        self.taken = self.taken.saturating_add(i128::from(takes) - i128::from(frees));
    }

    /// Returns how many bytes must be free.
    pub(crate) fn most(&self) -> u64 {
        u64::try_from(self.most).unwrap_or(u64::MAX)
    }
}

impl FromIterator<(u64, u64)> for InTurn {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(all: I) -> Self {
        let mut in_turn = Self::default();
        all.into_iter().for_each(|(takes, frees)| in_turn.add(takes, frees));
        in_turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_on_the_way_is_room_for_the_next() {
        let most = |all: &[(u64, u64)]| all.iter().copied().collect::<InTurn>().most();
        assert_eq!(most(&[]), 0);
        assert_eq!(most(&[(100, 100), (90, 0)]), 100);
        assert_eq!(most(&[(100, 20), (90, 90), (10, 10)]), 170);
        // The first one frees more than it takes.
        assert_eq!(most(&[(10, 500), (300, 0)]), 10);
        assert_eq!(most(&[(u64::MAX, 0), (u64::MAX, 0)]), u64::MAX);
    }

    #[test]
    fn root_has_what_is_reserved_for_it_but_for_what_ext4_keeps() {
        let mut stat = rustix::fs::statvfs("/").unwrap();
        (stat.f_frsize, stat.f_files, stat.f_ffree) = (512, 10, 3);
        for (blocks, free, available, for_root) in [
            // A fiftieth, and 4096 blocks at most.
            (100_020, 10_000, 5_000, 8_000),
            (1_000_000, 10_000, 5_000, 5_904),
            // All that others may use is free for root as well.
            (1_000_000, 10_000, 10_000, 10_000),
            (100_000, 1_000, 0, 0),
        ] {
            (stat.f_blocks, stat.f_bfree, stat.f_bavail) = (blocks, free, available);
            let found = [true, false].map(|root| Space::free_for(root, &stat));
            let expected = [for_root, available].map(|blocks| Space { bytes: blocks * 512, inodes: 3 });
            assert_eq!(found, expected, "{blocks} blocks, {free} free");
        }
    }

    #[test]
    fn a_file_system_that_states_no_inodes_has_enough() {
        let mut stat = rustix::fs::statvfs("/").unwrap();
        for (files, free, expected) in [(0, 0, u64::MAX), (10, 0, 0), (10, 3, 3)] {
            (stat.f_files, stat.f_ffree) = (files, free);
            assert_eq!(Space::free_for(false, &stat).inodes, expected, "{free} of {files}");
        }
    }

    #[test]
    fn space_is_counted_in_whole_blocks() {
        assert_eq!(Space::of(1, 4096), Space { bytes: 4096, inodes: 1 });
        assert_eq!(Space::of(0, 0), Space { bytes: 0, inodes: 1 });
        assert_eq!(Space::of(u64::MAX, 4096).bytes, u64::MAX);
        let free = Space { bytes: 1600, inodes: 16 };
        assert_eq!(free.but_a_reserve(), Space { bytes: 1500, inodes: 15 });
        assert!(free.has_room_for(Space { bytes: 1600, inodes: 16 }));
        assert!(!free.has_room_for(Space { bytes: 1601, inodes: 1 }));
        assert!(!free.has_room_for(Space { bytes: 1, inodes: 17 }));
        assert_eq!(free.without(Space { bytes: 2000, inodes: 1 }), Space { bytes: 0, inodes: 15 });
    }
}
