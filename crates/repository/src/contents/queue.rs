//! Hands batches from those who plan to those who work.
//!
//! A batch stays at the front until its last step is taken, so workers never wait for each other between
//! batches; the planner is held up while two batches wait, which bounds memory.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::schedule::ReadStep;
use crate::lock::{lock, wait};

/// How many batches may wait, the one being worked on included.
const WAITING: usize = 2;

/// Work in steps that any thread takes one by one; the first of them read contents.
pub trait Steps: Send + Sync {
    /// Returns the steps that read, which have the first numbers.
    fn reads(&self) -> &[ReadStep];

    /// Returns the number of steps, those that read included.
    fn count(&self) -> usize;

    /// Returns how many entries wait for a step: they take memory, too.
    fn entries(&self, number: usize) -> usize;
}

/// Batches that wait for workers.
pub(super) struct Queue<B> {
    state: Mutex<State<B>>,
    changed: Condvar,
}

struct State<B> {
    waiting: VecDeque<Waiting<B>>,
    closed: bool,
}

struct Waiting<B> {
    batch: Arc<B>,
    /// How many steps it has: at least one.
    steps: usize,
    /// The first that nobody has taken.
    next: usize,
}

impl<B: Steps> Queue<B> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { waiting: VecDeque::new(), closed: false }), changed: Condvar::new() }
    }

    /// Adds a batch once there is room; drops it if the queue is closed.
    pub(super) fn push(&self, batch: B) {
        let steps = batch.count();
        let waiting = Waiting { batch: Arc::new(batch), steps, next: 0 };
        let mut state = self.lock();
        while state.waiting.len() >= WAITING && !state.closed {
            state = wait(&self.changed, state);
        }
        if !state.closed && steps > 0 {
            state.waiting.push_back(waiting);
            // Whoever is woken would wait for the lock.
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Takes the next step, waiting for one; `None` once the queue is closed and empty.
    pub(super) fn take(&self) -> Option<(Arc<B>, usize)> {
        let mut state = self.lock();
        loop {
            if let Some(front) = state.waiting.front_mut() {
                let (batch, number) = (front.batch.clone(), front.next);
                front.next += 1;
                if front.next == front.steps {
                    state.waiting.pop_front();
                    drop(state);
                    self.changed.notify_all();
                }
                return Some((batch, number));
            }
            if state.closed {
                return None;
            }
            state = wait(&self.changed, state);
        }
    }

    /// Closes the queue: batches that wait are still worked on, no more come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Throws away what waits, and closes.
    pub(super) fn abort(&self) {
        let mut state = self.lock();
        state.waiting.clear();
        state.closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    impl Steps for Vec<u32> {
        fn reads(&self) -> &[ReadStep] {
            &[]
        }

        fn count(&self) -> usize {
            self.len()
        }

        fn entries(&self, _: usize) -> usize {
            1
        }
    }

    #[test]
    fn every_step_is_taken_once() {
        let queue = Queue::<Vec<u32>>::new();
        let mut taken: Vec<u32> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut taken = Vec::new();
                        while let Some((batch, number)) = queue.take() {
                            taken.push(batch[number]);
                        }
                        taken
                    })
                })
                .collect();
            for start in (0..1000).step_by(10) {
                queue.push((start..start + 10).collect());
                queue.push(Vec::new());
            }
            queue.close();
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        taken.sort_unstable();
        assert_eq!(taken, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn few_batches_wait() {
        let (queue, pushed) = (Queue::<Vec<u32>>::new(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..20 {
                    queue.push(vec![number]);
                    pushed.fetch_add(1, Ordering::SeqCst);
                }
                queue.close();
            });
            let mut taken = 0;
            while queue.take().is_some() {
                taken += 1;
                std::thread::sleep(Duration::from_millis(1));
                assert!(pushed.load(Ordering::SeqCst) <= taken + WAITING);
            }
            assert_eq!(taken, 20);
        });
    }

    #[test]
    fn an_aborted_queue_holds_up_nobody() {
        let queue = Queue::<Vec<u32>>::new();
        queue.push(vec![1]);
        queue.push(vec![2]);
        queue.abort();
        queue.push(vec![3]);
        assert!(queue.take().is_none());
    }
}
