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

/// The most that is of use.
const WRITERS: usize = 128;
const DIRECTORIES: usize = 32;
const LARGE_FILES: usize = 128;

/// How many of each kind may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    /// Threads that decode, and write what they have decoded.
    pub(crate) workers: usize,
    /// Threads that write besides them, where the target needs more.
    pub(crate) writers: usize,
    /// Directories of the staging tree that all workers keep open together; each keeps one, however many
    /// there are.
    pub(crate) directories: usize,
    /// Files that are written in pieces. Each may take two, as what was there before is read meanwhile.
    pub(crate) large_files: usize,
}

impl OpenFiles {
    /// Shares out what the system allows among so many workers and writers, or fewer.
    pub(crate) fn of_process(workers: usize, writers: Option<usize>) -> Self {
        let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
        Self::of(limit.unwrap_or(usize::MAX), workers, writers.unwrap_or(WRITERS))
    }

    fn of(limit: usize, workers: usize, writers: usize) -> Self {
        let workers = workers.min(limit.saturating_sub(OTHERS) / (2 * WORKER)).max(1);
        let writers = writers.min(limit.saturating_sub(NO_WRITERS) / 2 / WRITER);
        let directories = (limit / 8).clamp(1, DIRECTORIES);
        // The store keeps up to an eighth open as well.
        let taken = OTHERS + directories + directories + workers.saturating_mul(WORKER) + writers * WRITER;
        let large_files = (limit.saturating_sub(taken) / 2).clamp(1, LARGE_FILES);
        Self { workers, writers, directories, large_files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_change_nothing_and_few_are_shared() {
        let of = |limit| {
            let OpenFiles { workers, writers, directories, large_files } = OpenFiles::of(limit, 16, WRITERS);
            [workers, writers, directories, large_files]
        };
        assert_eq!(of(usize::MAX), [16, WRITERS, DIRECTORIES, LARGE_FILES]);
        assert_eq!(of(1024), [16, 64, DIRECTORIES, LARGE_FILES]);
        assert_eq!(of(300), [16, 3, DIRECTORIES, 69]);
        assert_eq!(of(64), [6, 0, 8, 4]);
        assert_eq!(of(0), [1, 0, 1, 1]);
        assert_eq!(OpenFiles::of(usize::MAX, 16, 1000).writers, 1000);
    }
}
