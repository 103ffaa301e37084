//! How a store is read best: which ranges to merge, and how many reads to have under way.
//!
//! Numbers that were measured, so that whoever plans reads need not know what kind of store there is.

use rustix::process::{Resource, getrlimit};

/// How a store is read best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadProfile {
    /// The most unwanted bytes between two wanted ranges for which reading both at once is no slower than
    /// reading each.
    pub merge_gap: u64,
    /// The number of bytes after which a merged read should end, so that work spreads over threads and
    /// buffers stay small. A single range may be longer.
    pub merge_limit: usize,
    /// How many threads may read at once where the bytes are not in memory yet.
    pub parallel_reads: usize,
    /// How many there may be once more are seen to bring more.
    pub most_reads: usize,
    /// How bytes get into memory before they are needed.
    pub ahead: ReadAhead,
}

/// How bytes get into memory before they are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAhead {
    /// The thread that needs bytes reads them, and announces those after them by
    /// [`BlobStore::will_need`](crate::BlobStore::will_need), unless they follow on: the kernel reads on by
    /// itself.
    Hints,
    /// Threads of their own read ahead, because a read takes so long that a core would stand still.
    Threads,
}

impl ReadProfile {
    /// Memory: nothing is gained by merging, but a call less.
    pub const MEMORY: Self = Self {
        merge_gap: 4 << 10,
        merge_limit: 1 << 20,
        parallel_reads: 1,
        most_reads: 1,
        ahead: ReadAhead::Hints,
    };

    /// A local disk. A cold random read takes an SSD as long as 64 KiB more of a sequential one; a warm one
    /// costs a system call and the page tables, some 32 KiB worth. 8 threads get 2.5 times as many cold reads
    /// done as one, 32 hardly more; hints of one thread 3.5 times as many.
    pub const LOCAL: Self = Self {
        merge_gap: 32 << 10,
        merge_limit: 1 << 20,
        parallel_reads: 8,
        most_reads: 8,
        ahead: ReadAhead::Hints,
    };

    /// One spinning disk: a seek costs as much as a megabyte, and two readers would make it seek all the
    /// time.
    pub const SPINNING: Self = Self {
        merge_gap: 1 << 20,
        merge_limit: 4 << 20,
        parallel_reads: 1,
        most_reads: 1,
        ahead: ReadAhead::Threads,
    };

    /// Several spinning disks as one device: each can be at another place.
    pub const SPINNING_ARRAY: Self = Self {
        merge_gap: 512 << 10,
        merge_limit: 4 << 20,
        parallel_reads: 8,
        most_reads: 8,
        ahead: ReadAhead::Threads,
    };

    /// A network: a round trip costs as much as hundreds of KiB, and many can be under way.
    pub const NETWORK: Self = Self {
        merge_gap: 256 << 10,
        merge_limit: 4 << 20,
        parallel_reads: 16,
        most_reads: 64,
        ahead: ReadAhead::Threads,
    };

    /// A server of contents, where each is asked for by itself: nothing is merged, and what counts is how
    /// many requests are under way. 21,103 contents at 50 ms took 140 s by 8, 38 s by 32 and 12 s by 128 of
    /// them.
    pub const SERVER: Self = Self {
        merge_gap: 0,
        merge_limit: 4 << 20,
        parallel_reads: 16,
        most_reads: 16,
        ahead: ReadAhead::Threads,
    };

    /// Limits how many threads may read at once: what a user or a server wishes.
    #[must_use]
    pub fn at_most(self, reads: usize) -> Self {
        let limit = |wanted: usize| wanted.min(reads.max(1));
        Self { parallel_reads: limit(self.parallel_reads), most_reads: limit(self.most_reads), ..self }
    }

    /// Limits how many threads may read at once to an eighth of the files that this process may have open: each
    /// of them has a blob or a connection open.
    #[must_use]
    pub fn within_open_files(self) -> Self {
        eighth_of_open_files().map_or(self, |eighth| self.at_most(eighth))
    }
}

/// Returns an eighth of the number of files that this process may have open, if there is a limit.
pub(crate) fn eighth_of_open_files() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile).current?;
    usize::try_from(limit / 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_reads_are_allowed_and_one_always_is() {
        let of = |reads| {
            let ReadProfile { parallel_reads, most_reads, .. } = ReadProfile::NETWORK.at_most(reads);
            (parallel_reads, most_reads)
        };
        assert_eq!([of(1000), of(32), of(8), of(0)], [(16, 64), (16, 32), (8, 8), (1, 1)]);
        // No process has so few files that a single read is too much.
        assert_eq!(ReadProfile::SPINNING.within_open_files(), ReadProfile::SPINNING);
    }
}
