//! What comes back from the workers to the planner.
//!
//! The planner hands out checks with its batches; a worker that finds other bytes than the snapshot's gives
//! the piece back, and the planner plans it as any other. Pieces of a file that is changed in place come back
//! as well, once all of them have been decoded. So the planner ends only when no part of a batch is out any
//! more.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use kopia_repository::object::Extent;

use super::items::Item;
use crate::lock;

/// A piece that has to be read from the repository.
pub(crate) type Wrong = (Item, Extent);

#[derive(Default)]
pub(crate) struct Checks {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Parts of batches that are handed out and not done.
    out: usize,
    wrong: Vec<Wrong>,
    /// Large files that were begun and are not finished.
    large_files: usize,
    aborted: bool,
}

impl Checks {
    /// Notes that parts of a batch are handed out.
    pub(crate) fn add(&self, count: usize) {
        self.lock().out += count;
    }

    /// Notes that one is done.
    pub(crate) fn done(&self) {
        let mut state = self.lock();
        state.out = state.out.saturating_sub(1);
        if state.out == 0 {
            self.changed.notify_all();
        }
    }

    /// Gives a piece back to the planner.
    pub(crate) fn give_back(&self, item: Item, extent: Extent) {
        self.lock().wrong.push((item, extent));
        self.changed.notify_all();
    }

    /// Takes what was given back so far.
    pub(crate) fn take(&self) -> Vec<Wrong> {
        std::mem::take(&mut self.lock().wrong)
    }

    /// Waits until something is given back and takes it; returns nothing once no part is out.
    pub(crate) fn wait(&self) -> Vec<Wrong> {
        let mut state = self.lock();
        while state.out > 0 && state.wrong.is_empty() && !state.aborted {
            state = lock::wait(&self.changed, state);
        }
        std::mem::take(&mut state.wrong)
    }

    /// Notes that a large file is begun.
    pub(crate) fn large_file_begun(&self) {
        self.lock().large_files += 1;
    }

    /// Notes that a large file is finished, and closed.
    pub(crate) fn large_file_done(&self) {
        let mut state = self.lock();
        state.large_files = state.large_files.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Returns whether as many large files are begun as may be open.
    pub(crate) fn are_large_files(&self, most: usize) -> bool {
        let state = self.lock();
        state.large_files >= most && !state.aborted
    }

    /// Waits where too many large files are begun, until one is finished.
    ///
    /// Takes what is given back before that.
    pub(crate) fn wait_for_large_file(&self, most: usize) -> Vec<Wrong> {
        let mut state = self.lock();
        while state.large_files >= most && state.wrong.is_empty() && !state.aborted {
            state = lock::wait(&self.changed, state);
        }
        std::mem::take(&mut state.wrong)
    }

    /// Lets nobody wait any more.
    pub(crate) fn abort(&self) {
        self.lock().aborted = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock::lock(&self.state)
    }
}

/// Tells the planner that a step is done, once nobody holds it any more.
pub(crate) struct StepDone(pub(crate) Arc<Checks>);

impl Drop for StepDone {
    fn drop(&mut self) {
        self.0.done();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_planner_waits_until_no_step_is_out() {
        let checks = Arc::new(Checks::default());
        checks.add(2);
        let steps = [(); 2].map(|()| StepDone(checks.clone()));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| checks.wait().len());
            for step in steps {
                std::thread::sleep(Duration::from_millis(20));
                assert!(!waiting.is_finished());
                drop(step);
            }
            let start = Instant::now();
            while !waiting.is_finished() && start.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let is_finished = waiting.is_finished();
            checks.abort();
            assert!(is_finished);
        });
    }

    #[test]
    fn large_files_are_counted_until_they_are_done() {
        let checks = Checks::default();
        checks.large_file_begun();
        checks.large_file_begun();
        assert!(checks.are_large_files(1) && checks.are_large_files(2) && !checks.are_large_files(3));
        assert!(checks.wait_for_large_file(3).is_empty());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| checks.wait_for_large_file(2).len());
            std::thread::sleep(Duration::from_millis(20));
            assert!(!waiting.is_finished());
            checks.large_file_done();
            assert_eq!(waiting.join().unwrap(), 0);
        });
        assert!(checks.are_large_files(1) && !checks.are_large_files(2));
        checks.abort();
        assert!(!checks.are_large_files(1) && checks.wait_for_large_file(1).is_empty());
    }
}
