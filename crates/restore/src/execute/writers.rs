//! Writing for those who decode, where the target lets one wait.
//!
//! Decoding needs cores, writing to a network file system needs many requests under way. On a local disk
//! those who decode write for themselves: nothing is copied, and nothing handed from thread to thread. Where
//! they find that they wait most of their time ([`gauge`]), they queue what they have decoded instead, and
//! threads of their own write it; how many, measured speed decides ([`ramp`]). What is queued is bounded, and
//! so are the bytes in memory for it, from when something is queued until it is written ([`queue`]). Where
//! there is no room, those who decode write for themselves again, and so decode no more than can be written:
//! nobody waits for room.

mod gauge;
mod queue;
mod ramp;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

pub(super) use gauge::Gauge;

use self::queue::Queue;
use self::ramp::Ramp;
use crate::destination::directory::Directory;
use crate::lock;
use crate::plan::batch::{Batch, ContentRef};
use crate::plan::checks::StepDone;
use crate::plan::items::{Chore, Item};

/// How many bytes of a write take about as long as what a file needs besides: network file systems cut
/// longer ones.
const UNIT: f64 = 128.0 * 1024.0;

/// What a writer does.
pub(super) enum Work {
    /// Writes a decoded content to where it belongs.
    Content(ContentRef, Arc<[u8]>),
    /// Does the chore of this number.
    Chore(usize),
    /// Looks whether this is in the target already.
    Check(usize),
}

/// A part of a step. The step is done once all its parts are.
pub(super) struct Task {
    pub(super) batch: Arc<Batch>,
    pub(super) work: Work,
    /// Held until the task is done.
    pub(super) _step: Arc<StepDone>,
}

impl Task {
    /// Returns what the system changes for one caller at a time: a directory or a large file.
    fn lane(&self) -> usize {
        let of_directory = |directory: &Arc<Directory>| Arc::as_ptr(directory).addr();
        let of_item = |item: &Item| match item {
            Item::Small(entry) => of_directory(&entry.directory),
            Item::Large(file) => Arc::as_ptr(file).addr(),
        };
        match &self.work {
            Work::Content(used, _) => of_item(&self.batch.items[used.item]),
            Work::Check(number) => of_item(&self.batch.checks[*number].item),
            Work::Chore(number) => match &self.batch.chores[*number] {
                Chore::Write(entry) => of_directory(&entry.directory),
                Chore::FinishFile(file) => Arc::as_ptr(file).addr(),
                Chore::FinishDirectory(directory)
                | Chore::Discard(directory, _)
                | Chore::OpenUp(directory, _) => of_directory(directory),
                Chore::Tag | Chore::Publish | Chore::Flush => 0,
            },
        }
    }

    /// Returns how many bytes it writes.
    fn bytes(&self) -> usize {
        match &self.work {
            Work::Content(_, bytes) => bytes.len(),
            Work::Chore(_) | Work::Check(_) => 0,
        }
    }

    /// Returns how many bytes are in memory for it until it is done: those that it writes, or reads to compare
    /// them.
    fn held(&self) -> usize {
        match &self.work {
            Work::Content(..) | Work::Chore(_) => self.bytes(),
            Work::Check(number) => usize::try_from(self.batch.checks[*number].length()).unwrap_or(usize::MAX),
        }
    }
}

/// What a writer has done.
#[derive(Clone, Copy)]
pub(super) struct Done {
    /// The lane that it was taken from.
    lane: usize,
    /// How many bytes it held.
    held: usize,
    /// How much of the target's time it took.
    units: f64,
}

impl Done {
    /// Notes a task that was taken from a lane, and so many units that were written for others meanwhile.
    pub(super) fn new(lane: usize, task: &Task, units_of_others: f64) -> Self {
        Self { lane, held: task.held(), units: units(task.bytes()) + units_of_others }
    }
}

/// Returns how much of the target's time a write of so many bytes takes, compared with others.
pub(super) fn units(bytes: usize) -> f64 {
    1.0 + bytes as f64 / UNIT
}

/// The threads that write, and what waits for them.
pub(crate) struct Writers {
    /// Whether anything may be queued: looked at for each file, so without the lock.
    are_on: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    queue: Queue<Task>,
    ramp: Ramp,
    /// Writers that have a task.
    writing: usize,
    /// Threads that were started, and whether the system lets no more be.
    threads: usize,
    no_more_threads: bool,
    /// Those who decode and may still queue something.
    decoders: usize,
    aborted: bool,
}

impl State {
    /// Returns whether one more writer may take a task. Once they are turned off, all see to it that the rest
    /// is written soon.
    fn may_write(&self) -> bool {
        let limit = self.ramp.limit();
        limit == 0 || self.writing < limit
    }

    /// Returns whether something that holds so many bytes may be queued.
    fn has_room(&mut self, bytes: usize) -> bool {
        if self.ramp.limit() == 0 || self.aborted || !Queue::<Task>::fits(bytes) {
            return false;
        }
        let has_room = self.queue.has_room(bytes);
        if !has_room {
            self.ramp.was_refused();
        }
        has_room
    }
}

impl Writers {
    /// Starts without any; there may be `most`, or there are `fixed` from the start.
    pub(super) fn new(most: usize, fixed: Option<usize>) -> Self {
        let fixed = fixed.map(|fixed| fixed.min(most));
        let state = State {
            queue: Queue::new(),
            ramp: Ramp::new(most, fixed, Instant::now()),
            writing: 0,
            threads: 0,
            no_more_threads: false,
            decoders: 0,
            aborted: false,
        };
        Self {
            are_on: AtomicBool::new(fixed.is_some_and(|fixed| fixed > 0)),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Returns whether something may be queued.
    pub(super) fn are_on(&self) -> bool {
        self.are_on.load(Ordering::Relaxed)
    }

    /// Returns whether something that holds so many bytes may be queued, for those who would have to copy them
    /// first. Others may be faster to queue theirs.
    pub(super) fn have_room(&self, bytes: usize) -> bool {
        self.lock().has_room(bytes)
    }

    /// Notes one who decodes, until what is returned is dropped.
    pub(super) fn decoder(&self) -> Decoding<'_> {
        self.lock().decoders += 1;
        Decoding(self)
    }

    /// Has writers tried: those who decode wait for the target, and one of them writes so many units a
    /// second.
    pub(super) fn wanted(&self, speed: f64) {
        let mut state = self.lock();
        let workers = state.decoders.max(1);
        state.ramp.start(workers, speed * workers as f64, Instant::now());
        self.note(&state);
    }

    /// Queues a task, unless there is no room: then it comes back. `start` starts a thread that writes, and
    /// says whether it could.
    pub(super) fn offer(&self, task: Task, start: impl Fn() -> bool) -> Option<Task> {
        let (lane, held) = (task.lane(), task.held());
        let mut state = self.lock();
        if !state.has_room(held) {
            return Some(task);
        }
        while state.threads < state.ramp.limit() && !state.no_more_threads {
            if start() {
                state.threads += 1;
            } else {
                state.no_more_threads = true;
            }
        }
        if state.threads == 0 {
            return Some(task);
        }
        state.queue.push(lane, task, held);
        drop(state);
        self.changed.notify_one();
        None
    }

    /// Notes what one who decodes has written itself while there were writers.
    pub(super) fn wrote(&self, units: f64) {
        self.lock().wrote(units);
    }

    /// Takes the next task, waiting for one; `None` when nothing is left to do. `done` is the last one, whose
    /// memory was given back.
    pub(super) fn take(&self, done: Option<Done>) -> Option<(usize, Task)> {
        let mut state = self.lock();
        if let Some(Done { lane, held, units }) = done {
            state.writing -= 1;
            state.queue.done(lane, held);
            let before = state.ramp.limit();
            state.wrote(units);
            self.note(&state);
            if state.ramp.limit() > before || state.ramp.limit() == 0 {
                self.changed.notify_all();
            }
        }
        loop {
            if state.aborted || (state.queue.is_empty() && state.decoders == 0) {
                return None;
            }
            if state.may_write()
                && let Some(taken) = state.queue.take(done.map(|done| done.lane))
            {
                state.writing += 1;
                return Some(taken);
            }
            state = lock::wait(&self.changed, state);
        }
    }

    /// Throws away what waits; no thread waits any longer.
    pub(super) fn abort(&self) {
        let mut state = self.lock();
        state.aborted = true;
        state.queue.clear();
        self.changed.notify_all();
    }

    fn note(&self, state: &State) {
        self.are_on.store(state.ramp.limit() > 0, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock::lock(&self.state)
    }
}

impl State {
    fn wrote(&mut self, units: f64) {
        let more_waits = !self.queue.is_empty();
        self.ramp.wrote(units, more_waits, Instant::now());
    }
}

/// One who decodes. Writers do not wait for it once it ends, even by a panic.
pub(super) struct Decoding<'w>(&'w Writers);

impl Drop for Decoding<'_> {
    fn drop(&mut self) {
        self.0.lock().decoders -= 1;
        self.0.changed.notify_all();
    }
}
