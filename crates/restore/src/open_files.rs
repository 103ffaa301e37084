//! How the files that this process may have open are shared out: 64 in some containers, 1024 and more
//! elsewhere.

use rustix::process::{Resource, getrlimit};

/// What standard streams, signals, the target, the directory that is being planned and the like take.
const OTHERS: usize = 16;

/// What one worker has open at a time, besides directories that it keeps: a pack, the target's directory, a
/// file and one on the way.
const WORKER: usize = 4;

/// What a writer has open at a time: two directories, two files and two on the way.
const WRITER: usize = 6;

/// Below so many open files those who decode write for themselves.
const NO_WRITERS: usize = 256;

/// Readers and the store each get this part of all at most: those who read ahead have a pack open, or a
/// connection.
const PART: usize = 8;

/// The most that is of use.
const WRITERS: usize = 128;
const DIRECTORIES: usize = 32;
const LARGE_FILES: usize = 128;

/// How many of each kind may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    /// Threads that decode, and write what they have decoded.
    pub(crate) workers: usize,
    /// Threads that read ahead of them, where the store is far.
    pub(crate) readers: usize,
    /// Threads that write besides them, where the target needs more.
    pub(crate) writers: usize,
    /// Directories of the staging tree that all workers keep open together; each keeps one, however many
    /// there are.
    pub(crate) directories: usize,
    /// Files that are written in pieces. Each may take two, as what was there before is read meanwhile.
    pub(crate) large_files: usize,
}

impl OpenFiles {
    /// Shares out what the system allows among so many workers, readers and writers, or fewer.
    pub(crate) fn of_process(workers: usize, readers: usize, writers: Option<usize>) -> Self {
        let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
        Self::of(limit.unwrap_or(usize::MAX), workers, readers, writers.unwrap_or(WRITERS))
    }

    fn of(limit: usize, workers: usize, readers: usize, writers: usize) -> Self {
        // Without any, each worker reads for itself; with few, they read all the same.
        let readers = readers.min((limit / PART).max(1));
        let workers = workers.min(limit.saturating_sub(OTHERS + readers) / (2 * WORKER)).max(1);
        let writers = writers.min(limit.saturating_sub(NO_WRITERS) / 2 / WRITER);
        let directories = (limit / PART).clamp(1, DIRECTORIES);
        // The store keeps up to as many open as well.
        let taken =
            OTHERS + directories + directories + readers + workers.saturating_mul(WORKER) + writers * WRITER;
        let large_files = (limit.saturating_sub(taken) / 2).clamp(1, LARGE_FILES);
        Self { workers, readers, writers, directories, large_files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_change_nothing_and_few_are_shared() {
        let of = |limit| {
            let OpenFiles { workers, readers, writers, directories, large_files } =
                OpenFiles::of(limit, 16, 0, WRITERS);
            assert_eq!(readers, 0);
            [workers, writers, directories, large_files]
        };
        assert_eq!(of(usize::MAX), [16, WRITERS, DIRECTORIES, LARGE_FILES]);
        assert_eq!(of(1024), [16, 64, DIRECTORIES, LARGE_FILES]);
        assert_eq!(of(300), [16, 3, DIRECTORIES, 69]);
        assert_eq!(of(64), [6, 0, 8, 4]);
        assert_eq!(of(0), [1, 0, 1, 1]);
        assert_eq!(OpenFiles::of(usize::MAX, 16, 0, 1000).writers, 1000);
    }

    #[test]
    fn threads_that_read_ahead_have_their_share() {
        let of = |limit| {
            let OpenFiles { workers, readers, writers, directories, large_files } =
                OpenFiles::of(limit, 2, 64, WRITERS);
            [workers, readers, writers, directories, large_files]
        };
        assert_eq!(of(usize::MAX), [2, 64, WRITERS, DIRECTORIES, LARGE_FILES]);
        assert_eq!(of(1024), [2, 64, 64, DIRECTORIES, LARGE_FILES]);
        assert_eq!(of(256), [2, 32, 0, DIRECTORIES, 68]);
        assert_eq!(of(64), [2, 8, 0, 8, 8]);
        assert_eq!(of(0), [1, 1, 0, 1, 1]);
    }

    #[test]
    fn shares_are_no_more_than_there_is() {
        for limit in 64..2000 {
            for (workers, most) in [(1, 0), (2, 0), (2, 16), (2, 64), (16, 64), (200, 64), (200, 0)] {
                let OpenFiles { workers, readers, writers, directories, large_files } =
                    OpenFiles::of(limit, workers, most, WRITERS);
                assert!(readers > 0 || most == 0, "workers would wait for none");
                let all = OTHERS
                    + WORKER * workers
                    + readers
                    + WRITER * writers
                    + 2 * directories
                    + 2 * large_files;
                assert!(all <= limit, "{all} of {limit} for {workers} workers and {readers} readers");
            }
        }
    }
}
