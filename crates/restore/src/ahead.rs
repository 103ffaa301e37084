//! Reads ahead of the workers, for stores whose reads take long: networks and disks that spin.
//!
//! Threads take parts from the queue, read what they need and put it where workers take it from. Many reads are under way
//! at once, but all that is read and not yet written stays within a budget of bytes. Where bytes are in memory or nearly
//! so, workers read for themselves: handing bytes from one thread to another gains nothing there.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use kopia_repository::Repository;
use kopia_storage::BlobBytes;

use crate::plan::batch::{Batch, Part};
use crate::queue::Queue;

/// A part of a batch, perhaps with its bytes.
pub(crate) struct Task {
    pub(crate) batch: Arc<Batch>,
    pub(crate) number: usize,
    /// What was read ahead; nothing if it is still to be read, or could not be.
    pub(crate) bytes: Option<BlobBytes>,
    /// How many bytes of the budget it holds.
    pub(crate) held: u64,
}

/// Where tasks come from.
pub(crate) struct Ahead {
    queue: Queue<Batch>,
    budget: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Threads that read ahead and are not at the end.
    readers: usize,
    /// Whether there ever was one; if not, workers take from the queue.
    started: bool,
    ready: VecDeque<Task>,
    /// Bytes that are read, or being read, and not yet worked on.
    held: u64,
    aborted: bool,
    /// Memory to read into again.
    buffers: Vec<Vec<u8>>,
}

impl Ahead {
    /// Starts with an empty queue and a budget in bytes.
    pub(crate) fn new(budget: u64) -> Self {
        let (state, changed) = Default::default();
        Self { queue: Queue::new(), budget, state, changed }
    }

    /// The queue that the planner fills.
    pub(crate) fn queue(&self) -> &Queue<Batch> {
        &self.queue
    }

    /// Starts threads that read ahead, before there are workers.
    pub(crate) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        repository: &'scope Repository,
        readers: usize,
    ) {
        for _ in 0..readers {
            self.lock().readers += 1;
            let read = || self.read(repository);
            // Fewer do as well, where the number of threads is limited; with none, workers read for themselves.
            if std::thread::Builder::new().spawn_scoped(scope, read).is_err() {
                self.lock().readers -= 1;
                return;
            }
            self.lock().started = true;
        }
    }

    /// Reads ahead until nothing is left to read.
    fn read(&self, repository: &Repository) {
        let _leave = Leave(self);
        while let Some((batch, number)) = self.queue.take() {
            let mut task = Task { batch, number, bytes: None, held: 0 };
            if let Part::Read(read) = task.batch.part(number) {
                task.held = read.length() as u64;
                let Some(buffer) = self.wait_for_room(task.held) else { return };
                // What fails is read again content by content, so that only what is damaged is lost.
                task.bytes = repository.read_pack(read, buffer).ok();
            }
            self.lock().ready.push_back(task);
            self.changed.notify_all();
        }
    }

    /// Takes the next task, waiting for one; `None` when nothing is left to do.
    pub(crate) fn take(&self) -> Option<Task> {
        let mut state = self.lock();
        while state.started {
            if let Some(task) = state.ready.pop_front() {
                return Some(task);
            }
            if state.readers == 0 || state.aborted {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        let (batch, number) = self.queue.take()?;
        Some(Task { batch, number, bytes: None, held: 0 })
    }

    /// Gives back what a task held, once it is worked on.
    pub(crate) fn done(&self, held: u64, buffer: Vec<u8>) {
        let mut state = self.lock();
        state.held -= held;
        if state.buffers.len() < state.readers {
            state.buffers.push(buffer);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Throws away what waits; nobody waits any longer.
    pub(crate) fn abort(&self) {
        self.queue.abort();
        let mut state = self.lock();
        state.aborted = true;
        state.ready.clear();
        self.changed.notify_all();
    }

    /// Waits until so many bytes fit into the budget, and returns memory for them; one read may exceed it by itself.
    fn wait_for_room(&self, length: u64) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if state.aborted {
                return None;
            }
            if state.held == 0 || state.held + length <= self.budget {
                state.held += length;
                return Some(state.buffers.pop().unwrap_or_default());
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes that a reader ends, even by a panic: workers must not wait for it.
struct Leave<'a>(&'a Ahead);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abort();
        }
        self.0.lock().readers -= 1;
        self.0.changed.notify_all();
    }
}
