//! The threads of a repository: one for each core, and more where reads take long.
//!
//! The pool belongs to the repository: a library that configured rayon's global pool would decide for the
//! whole program, or fail where the program already did.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kopia_storage::{ReadAhead, ReadProfile};
use rayon::prelude::*;

use crate::{Error, Result};

/// A pool with a thread for every core that this process may use: CPU affinity and the cgroup's quota count.
#[derive(Debug)]
pub(crate) struct Cores(rayon::ThreadPool);

impl Cores {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::Threads`] if the system refuses one.
    pub(crate) fn start() -> Result<Self> {
        let count = thread::available_parallelism().map_or(1, NonZero::get);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
        pool.map(Self).map_err(|error| Error::Threads { why: error.to_string() })
    }

    /// Returns the number of threads.
    pub(crate) fn count(&self) -> usize {
        self.0.current_num_threads()
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
        let next = AtomicUsize::new(0);
        let take = || {
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(item);
            }
        };
        thread::scope(|scope| {
            for _ in 1..profile.parallel_reads.min(items.len()) {
                // Fewer threads do the same work, where their number is limited.
                if thread::Builder::new().spawn_scoped(scope, take).is_err() {
                    break;
                }
            }
            take();
        });
    }
}

/// Works on a pool of its own, from a thread of its own.
///
/// All threads of the repository's pool may wait for the one that reads indexes, so it must not need them. A
/// pool thread that waited here would take up other work of its pool, which could in turn wait for it.
pub(crate) fn apart<R: Send>(work: impl FnOnce(&Cores) -> Result<R> + Send) -> Result<R> {
    let work = || work(&Cores::start()?);
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, work);
        let thread = thread.map_err(|error| Error::Threads { why: error.to_string() })?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
