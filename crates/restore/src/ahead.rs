//! Reads ahead of the workers, for stores whose reads take long: networks and disks that spin.
//!
//! Threads take parts from the queue, read what they need and put it where workers take it from. Many reads are under way
//! at once, but all that is read and not yet written stays within a budget of bytes, entries included. Where bytes are in
//! memory or nearly so, workers read for themselves: handing bytes from one thread to another gains nothing there.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use kopia_repository::Repository;
use kopia_storage::BlobBytes;

use crate::plan::batch::{Batch, Part};
use crate::queue::Queue;

/// What an entry that waits counts for in the budget, in bytes: its name, attributes and place.
const ENTRY: u64 = 256;

/// A part of a batch, perhaps with its bytes.
pub(crate) struct Task {
    pub(crate) batch: Arc<Batch>,
    pub(crate) number: usize,
    /// What was read ahead, or nothing; within, nothing if that failed.
    pub(crate) bytes: Option<Option<BlobBytes>>,
    /// How many bytes of the budget it holds.
    pub(crate) held: u64,
}

/// Where tasks come from.
pub(crate) struct Ahead {
    queue: Queue<Batch>,
    budget: u64,
    /// Held by the reader that takes a part and waits for room for it: parts are read in their order, and a large one is not
    /// passed by small ones for ever.
    turn: Mutex<()>,
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
        let (turn, state, changed) = Default::default();
        Self { queue: Queue::new(), budget, turn, state, changed }
    }

    /// The queue that the planner fills.
    pub(crate) fn queue(&self) -> &Queue<Batch> {
        &self.queue
    }

    /// Lets workers wait for readers that are still to be started; they do until what is returned is dropped, at least.
    pub(crate) fn expect_readers(&self) -> Reader<'_> {
        let mut state = self.lock();
        state.readers += 1;
        state.started = true;
        Reader(self)
    }

    /// Starts threads that read ahead.
    pub(crate) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        repository: &'scope Repository,
        readers: usize,
    ) {
        let mut count = 0;
        for _ in 0..readers {
            let reader = self.expect_readers();
            let read = move || self.read(repository, reader);
            // Fewer do as well, where the number of threads is limited.
            if std::thread::Builder::new().spawn_scoped(scope, read).is_err() {
                break;
            }
            count += 1;
        }
        // With none, workers read for themselves.
        self.lock().started = count > 0;
        self.changed.notify_all();
    }

    /// Reads ahead until nothing is left to read.
    fn read(&self, repository: &Repository, _reader: Reader<'_>) {
        while let Some((batch, number, buffer, held)) = self.next() {
            let mut task = Task { batch, number, bytes: None, held };
            if let Part::Read(read) = task.batch.part(number) {
                task.bytes = Some(repository.read_pack(read, buffer).ok());
            }
            self.lock().ready.push_back(task);
            self.changed.notify_all();
        }
    }

    /// Takes the next part, once there is room for it; with memory to read into, and what it holds of the budget.
    fn next(&self) -> Option<(Arc<Batch>, usize, Vec<u8>, u64)> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (batch, number) = self.queue.take()?;
        let (length, entries) = match batch.part(number) {
            Part::Read(read) => (read.length() as u64, read.uses.len()),
            Part::Check(checks) => (0, checks.len()),
            Part::Chores(chores) => (0, chores.len()),
        };
        let (buffer, held) = self.wait_for_room(length, entries as u64 * ENTRY)?;
        Some((batch, number, buffer, held))
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
        // One that grew for a single huge content would stay that large.
        let limit = self.budget / state.readers.max(1) as u64;
        if (1..=limit).contains(&(buffer.capacity() as u64)) && state.buffers.len() < state.readers {
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

    /// Waits until so many bytes fit into the budget, and returns memory for those that are read, and what all that holds
    /// of the budget; one part may exceed it by itself.
    fn wait_for_room(&self, length: u64, more: u64) -> Option<(Vec<u8>, u64)> {
        let mut state = self.lock();
        loop {
            if state.aborted {
                return None;
            }
            // A buffer that was used before may be larger than what is read into it.
            let memory = |buffer: &Vec<u8>| length.max(buffer.capacity() as u64);
            let buffer = if length > 0 { state.buffers.last() } else { None };
            let held = buffer.map_or(length, memory) + more;
            if state.held == 0 || state.held + held <= self.budget {
                state.held += held;
                let buffer = if length > 0 { state.buffers.pop() } else { None };
                return Some((buffer.unwrap_or_default(), held));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who reads ahead. Workers must not wait for it when it ends, even by a panic.
pub(crate) struct Reader<'a>(&'a Ahead);

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abort();
        }
        self.0.lock().readers -= 1;
        self.0.changed.notify_all();
    }
}
