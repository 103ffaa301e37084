//! Fetches contents ahead of those who decode them, where a read takes long: networks and disks that spin.
//!
//! Threads take steps from the queue, read what they need and put it where workers take it from. Many reads
//! are under way at once, but all that is read and not yet worked on stays within a budget of bytes, entries
//! included. Where bytes are in memory or nearly so, workers read for themselves and announce what comes
//! later: handing bytes from one thread to another gains nothing there.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::Scope;

use kopia_storage::{ReadAhead, ReadProfile};

use super::queue::{Queue, Steps};
use super::schedule::ReadStep;
use super::{Contents, Fetched};
use crate::lock::{lock, wait};

/// What an entry that waits counts for in the budget, in bytes: its name, attributes and location.
const ENTRY: u64 = 256;

/// How many buffers are kept to be read into again.
const KEPT: usize = 64;

/// The shortest buffer; others are as long as the next power of two, so that steps use each other's. Memory
/// that is given back and taken again in many threads and other lengths would double what is in use.
const BLOCK: u64 = 256 << 10;

/// How many steps ahead of itself a worker announces scattered ones. Cold random reads of 4 to 64 KiB came
/// 3.5 times as fast with 128 announced as with none.
const ANNOUNCED: usize = 128;

/// A step of a batch, perhaps with its bytes.
pub struct Task<B> {
    /// The batch.
    pub batch: Arc<B>,
    /// The number of the step.
    pub number: usize,
    /// What was read ahead, if anything was.
    pub fetched: Option<Fetched>,
    /// How many bytes of the budget it holds.
    held: u64,
}

/// Hands steps to workers, with bytes that were read ahead where that pays.
pub struct Fetcher<'c, B> {
    contents: &'c Contents,
    /// Whether threads of their own read ahead; otherwise workers announce what they will read.
    threads: bool,
    queue: Queue<B>,
    budget: u64,
    /// Held by the reader that takes a step and waits for room for it: steps are read in their order, and a
    /// large one is not passed by small ones again and again.
    turn: Mutex<()>,
    state: Mutex<State<B>>,
    /// Where workers wait for a step that is read, or for the last reader to end.
    ready: Condvar,
    /// Where the reader whose turn it is waits for room.
    room: Condvar,
}

struct State<B> {
    /// Threads that read ahead and are not at the end.
    readers: usize,
    /// Whether there ever was one; if not, workers take from the queue.
    started: bool,
    ready: VecDeque<Task<B>>,
    /// Bytes that are read, or being read, and not yet worked on.
    held: u64,
    aborted: bool,
    /// Memory to read into again, and how many bytes that is.
    buffers: Vec<Vec<u8>>,
    idle: u64,
}

impl<'c, B: Steps> Fetcher<'c, B> {
    /// Starts with an empty queue and a budget in bytes.
    pub(super) fn new(contents: &'c Contents, budget: u64) -> Self {
        let state = State {
            readers: 0,
            started: false,
            ready: VecDeque::new(),
            held: 0,
            aborted: false,
            buffers: Vec::new(),
            idle: 0,
        };
        Self {
            contents,
            threads: contents.profile().ahead == ReadAhead::Threads,
            queue: Queue::new(),
            budget,
            turn: Mutex::default(),
            state: Mutex::new(state),
            ready: Condvar::new(),
            room: Condvar::new(),
        }
    }

    /// Adds a batch once there is room; drops it if the queue is closed.
    pub fn push(&self, batch: B) {
        self.queue.push(batch);
    }

    /// Closes the queue: batches that wait are still worked on, no more come.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Lets workers wait for readers that are still to be started.
    ///
    /// They wait at least until what is returned is dropped.
    ///
    /// Returns nothing where workers read for themselves.
    pub fn expect_readers(&self) -> Option<Reader<'_, B>> {
        self.threads.then(|| self.expect_reader())
    }

    fn expect_reader(&self) -> Reader<'_, B> {
        let mut state = self.lock();
        state.readers += 1;
        state.started = true;
        Reader(self)
    }

    /// Returns how many threads are to read ahead for so many workers; none where that does not pay. Each has a
    /// pack or a connection open.
    pub fn readers(&self, workers: usize) -> usize {
        if !self.threads {
            return 0;
        }
        let ReadProfile { parallel_reads, most_reads, .. } = self.contents.profile();
        // More threads than may read wait for their turn: how many may, the link decides.
        most_reads.max(parallel_reads.min(2 * workers.max(8)))
    }

    /// Starts so many threads that read ahead, as [`Self::readers`] says or fewer; none where that does not pay.
    pub fn start_readers<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, readers: usize) {
        if self.threads {
            self.start_some_readers(scope, readers);
        }
    }

    /// Starts so many threads that read ahead, as far as the system lets it.
    pub(super) fn start_some_readers<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, most: usize) {
        let mut count = 0;
        for _ in 0..most {
            let reader = self.expect_reader();
            // Fewer threads do the same work, where their number is limited.
            if std::thread::Builder::new().spawn_scoped(scope, move || self.read(reader)).is_err() {
                break;
            }
            count += 1;
        }
        // With none, workers read for themselves.
        self.lock().started = count > 0;
        self.ready.notify_all();
    }

    /// Reads ahead until nothing is left to read.
    fn read(&self, _reader: Reader<'_, B>) {
        while let Some((batch, number, buffer, held)) = self.next() {
            let step = batch.reads().get(number);
            let fetched = step.map(|step| self.contents.fetch(step, buffer));
            self.lock().ready.push_back(Task { batch, number, fetched, held });
            self.ready.notify_one();
        }
    }

    /// Takes the next step, once there is room for it; with memory to read into, and what it holds of the
    /// budget.
    fn next(&self) -> Option<(Arc<B>, usize, Vec<u8>, u64)> {
        let _turn = lock(&self.turn);
        let (batch, number) = self.queue.take()?;
        let length = batch.reads().get(number).map_or(0, ReadStep::length_ahead);
        let entries = batch.entries(number) as u64 * ENTRY;
        let (buffer, held) = self.wait_for_room(length as u64, entries)?;
        Some((batch, number, buffer, held))
    }

    /// Takes the next task, waiting for one; `None` when nothing is left to do.
    pub fn take(&self) -> Option<Task<B>> {
        let mut state = self.lock();
        while state.started {
            if let Some(task) = state.ready.pop_front() {
                return Some(task);
            }
            if state.readers == 0 || state.aborted {
                return None;
            }
            state = wait(&self.ready, state);
        }
        drop(state);
        let (batch, number) = self.queue.take()?;
        if !self.threads {
            to_announce(batch.reads(), number).for_each(|step| self.contents.announce(step));
        }
        Some(Task { batch, number, fetched: None, held: 0 })
    }

    /// Gives back what a task held, once it is worked on; its memory is used again.
    pub fn done(&self, task: &Task<B>, buffer: &mut Vec<u8>) {
        if task.held == 0 {
            return;
        }
        let buffer = std::mem::take(buffer);
        let mut state = self.lock();
        state.held -= task.held;
        // One that grew for a single huge content would stay that large.
        let capacity = buffer.capacity() as u64;
        let fits = state.idle + capacity <= self.budget && state.buffers.len() < KEPT;
        if (1..=self.budget / 4).contains(&capacity) && fits {
            state.idle += capacity;
            state.buffers.push(buffer);
        }
        drop(state);
        self.room.notify_one();
    }

    /// Throws away what waits; no thread waits any longer.
    pub fn abort(&self) {
        self.queue.abort();
        let mut state = self.lock();
        state.aborted = true;
        state.ready.clear();
        self.ready.notify_all();
        self.room.notify_all();
    }

    /// Aborts should the thread panic before what is returned is dropped.
    pub(super) fn abort_on_panic(&self) -> AbortOnPanic<'_, B> {
        AbortOnPanic(self)
    }

    /// Waits until so many bytes fit into the budget.
    ///
    /// Returns memory to read into, and what all that holds of the budget; one step may exceed it by itself.
    fn wait_for_room(&self, length: u64, more: u64) -> Option<(Vec<u8>, u64)> {
        let mut state = self.lock();
        loop {
            if state.aborted {
                return None;
            }
            // A buffer that was used before may be larger than what is read into it, but not much.
            let whole = if length == 0 { 0 } else { length.next_power_of_two().max(BLOCK) };
            let fits = |buffer: &Vec<u8>| (whole..=2 * whole).contains(&(buffer.capacity() as u64));
            let place = state.buffers.iter().rposition(fits);
            let memory = place.map_or(whole, |place| state.buffers[place].capacity() as u64);
            let held = memory + more;
            if state.held == 0 || state.held + held <= self.budget {
                let buffer = match place {
                    Some(place) => {
                        let buffer = state.buffers.swap_remove(place);
                        state.idle -= buffer.capacity() as u64;
                        buffer
                    }
                    // Who reads takes memory for a huge one as bytes come.
                    None if memory > self.budget / 4 => Vec::new(),
                    None => Vec::with_capacity(memory as usize),
                };
                state.held += held;
                while state.held + state.idle > self.budget
                    && let Some(other) = state.buffers.pop()
                {
                    // It is of another length than what is read now.
                    state.idle -= other.capacity() as u64;
                }
                return Some((buffer, held));
            }
            state = wait(&self.room, state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        lock(&self.state)
    }
}

/// Returns the steps to announce when one is taken: those a good way ahead of it that do not follow on.
fn to_announce(steps: &[ReadStep], number: usize) -> impl Iterator<Item = &ReadStep> {
    let first = if number == 0 { 1 } else { number + ANNOUNCED };
    let last = (number + ANNOUNCED).min(steps.len().saturating_sub(1));
    steps.iter().take(last + 1).skip(first).filter(|step| !step.follows)
}

/// One thread that reads ahead. Workers do not wait for it once it ends, even by a panic.
pub struct Reader<'f, B: Steps>(&'f Fetcher<'f, B>);

impl<B: Steps> Drop for Reader<'_, B> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abort();
        }
        self.0.lock().readers -= 1;
        self.0.ready.notify_all();
    }
}

/// Lets no thread wait for one that panicked.
pub(super) struct AbortOnPanic<'f, B: Steps>(&'f Fetcher<'f, B>);

impl<B: Steps> Drop for AbortOnPanic<'_, B> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abort();
        }
    }
}

#[cfg(test)]
mod tests;
