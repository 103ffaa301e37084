//! The threads of a repository: one for each core, and more where reads take long.
//!
//! The pool belongs to the repository: a library that configured rayon's global pool would decide for the
//! whole program, or fail where the program already did.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kopia_storage::{ReadAhead, ReadProfile};
use rayon::prelude::*;

use crate::lock::{into_inner, lock};
use crate::{Error, Result};

/// A pool with a thread for every core that this process may use: CPU affinity and the cgroup's quota count.
#[derive(Debug)]
pub(crate) struct Cores(rayon::ThreadPool);

impl Cores {
    /// Starts so many threads, or one for each core.
    ///
    /// # Errors
    /// [`Error::Threads`] if the system refuses one.
    pub(crate) fn start(count: Option<NonZero<usize>>) -> Result<Self> {
        let count = count.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
        pool.map(Self).map_err(|error| Error::Threads { why: error.to_string() })
    }

    /// Returns the number of threads.
    pub(crate) fn count(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Returns whether this thread is one of them.
    pub(crate) fn is_inside(&self) -> bool {
        self.0.current_thread_index().is_some()
    }

    /// Runs `work` on the pool, so that rayon's parallel iterators in it use these threads.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }

    /// Works on many items at once, as many as a store of this profile likes to have read.
    pub(crate) fn for_each<T: Sync>(
        &self,
        profile: ReadProfile,
        items: &[T],
        work: impl Fn(&T) + Sync + Send,
    ) {
        if items.len() < 2 {
            return items.iter().for_each(work);
        }
        if profile.ahead == ReadAhead::Hints {
            return self.run(|| items.par_iter().for_each(work));
        }
        by_threads(profile.parallel_reads, items, work);
    }
}

/// Works on many items by so many threads, this one included, and waits for all.
///
/// For work that waits: what computes belongs on [`Cores`].
pub(crate) fn by_threads<T: Sync>(threads: usize, items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let take = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            // Fewer threads do the same work, where their number is limited.
            if thread::Builder::new().spawn_scoped(scope, take).is_err() {
                break;
            }
        }
        take();
    });
}

/// As [`by_threads`], and returns what comes of each item.
pub(crate) fn map_by_threads<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let slots: Vec<_> = items.iter().map(|item| (item, Mutex::new(None))).collect();
    by_threads(threads, &slots, |(item, slot)| *lock(slot) = Some(work(item)));
    slots.into_iter().filter_map(|(_, slot)| into_inner(slot)).collect()
}

/// Returns how many reads one step waits for at once; a single one where the bytes are near.
pub(crate) fn reads_at_once(profile: ReadProfile) -> usize {
    let profile = profile.within_open_files();
    match profile.ahead {
        ReadAhead::Hints => 1,
        ReadAhead::Threads => profile.most_reads.max(profile.parallel_reads),
    }
}

/// Works on a pool of its own, from a thread of its own.
///
/// All threads of the repository's pool may wait for the one that reads indexes, so it must not need them. A
/// pool thread that waited here would take up other work of its pool, which could in turn wait for it.
pub(crate) fn apart<R: Send>(work: impl FnOnce(&Cores) -> Result<R> + Send) -> Result<R> {
    let work = || work(&Cores::start(None)?);
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, work);
        let thread = thread.map_err(|error| Error::Threads { why: error.to_string() })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_threads_as_asked_for() {
        assert_eq!(Cores::start(NonZero::new(3)).unwrap().count(), 3);
    }

    #[test]
    fn a_single_item_is_worked_on_right_here_and_several_by_the_pool() {
        let cores = Cores::start(NonZero::new(2)).unwrap();
        for count in [1, 2, 3] {
            let worked = AtomicUsize::new(0);
            cores.for_each(ReadProfile::MEMORY, &vec![(); count], |_| {
                assert_eq!(cores.is_inside(), count > 1, "{count}");
                worked.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(worked.into_inner(), count);
        }
    }
}
