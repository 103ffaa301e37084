//! How the files that this process may have open are shared out: 64 in some containers, 1024 and more
//! elsewhere.

use rustix::process::{Resource, getrlimit};

/// What standard streams, signals, the target, the directory that is being planned and the like take.
const OTHERS: usize = 16;

/// What one worker has open at a time, besides directories that it keeps: a pack, the target's directory, a
/// file and one on the way.
const WORKER: usize = 4;

/// The most that is of use.
const DIRECTORIES: usize = 32;
const LARGE_FILES: usize = 128;

/// How many of each kind may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenFiles {
    /// Threads that write.
    pub(crate) workers: usize,
    /// Directories of the staging tree that all workers keep open together; each keeps one, however many
    /// there are.
    pub(crate) directories: usize,
    /// Files that are written in pieces. Each may take two, as what was there before is read meanwhile.
    pub(crate) large_files: usize,
}

impl OpenFiles {
    /// Shares out what the system allows among so many workers, or fewer.
    pub(crate) fn of_process(workers: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
        Self::of(limit.unwrap_or(usize::MAX), workers)
    }

    fn of(limit: usize, workers: usize) -> Self {
        let workers = workers.min(limit.saturating_sub(OTHERS) / (2 * WORKER)).max(1);
        let directories = (limit / 8).clamp(1, DIRECTORIES);
        // The store keeps up to an eighth open as well.
        let taken = OTHERS + directories + directories + workers.saturating_mul(WORKER);
        let large_files = (limit.saturating_sub(taken) / 2).clamp(1, LARGE_FILES);
        Self { workers, directories, large_files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_change_nothing_and_few_are_shared() {
        for limit in [1024, usize::MAX] {
            assert_eq!(
                OpenFiles::of(limit, 16),
                OpenFiles { workers: 16, directories: DIRECTORIES, large_files: LARGE_FILES }
            );
        }
        assert_eq!(OpenFiles::of(64, 16), OpenFiles { workers: 6, directories: 8, large_files: 4 });
        assert_eq!(OpenFiles::of(0, 16), OpenFiles { workers: 1, directories: 1, large_files: 1 });
    }
}
