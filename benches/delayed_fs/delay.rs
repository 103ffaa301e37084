//! Does work after a delay, any amount of it side by side.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How late the system may wake a thread, in nanoseconds; usually 50,000, which is much for half a millisecond.
const SLACK: u64 = 1000;

type Work = Box<dyn FnOnce() + Send>;

/// A queue of work, each piece done by the next free thread once its delay is over.
pub(crate) struct Delay {
    shared: Arc<Shared>,
}

struct Shared {
    delay: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// In the order of their times, as all have the same delay.
    waiting: VecDeque<(Instant, Work)>,
    /// Whether a thread waits for the time of the first one. The others wait for that thread.
    is_watched: bool,
    has_ended: bool,
}

impl Delay {
    /// Starts the threads, which end when this is dropped.
    pub(crate) fn new(delay: Duration, threads: usize) -> Self {
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { delay, state, changed: Condvar::new() });
        for _ in 0..threads {
            let shared = shared.clone();
            thread::spawn(move || {
                // Where it is refused, delays are a little longer.
                let _ = nix::sys::prctl::set_timerslack(SLACK);
                while let Some(work) = shared.next() {
                    work();
                }
            });
        }
        Self { shared }
    }

    /// Has work done once the delay is over.
    pub(crate) fn push(&self, work: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        let due = Instant::now() + self.shared.delay;
        state.waiting.push_back((due, Box::new(work)));
        if state.waiting.len() == 1 {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next piece of work; none if there will be no more.
    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            match state.waiting.front() {
                Some((due, _)) if *due <= now => {
                    let (_, work) = state.waiting.pop_front()?;
                    if state.has_ended {
                        self.changed.notify_all();
                    } else if !state.waiting.is_empty() {
                        self.changed.notify_one();
                    }
                    return Some(work);
                }
                Some((due, _)) if !state.is_watched => {
                    let rest = *due - now;
                    state.is_watched = true;
                    let waited = self.changed.wait_timeout(state, rest);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                    state.is_watched = false;
                }
                None if state.has_ended => return None,
                _ => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn work_is_done_in_its_order_and_not_before_its_time() {
        let delay = Delay::new(Duration::from_millis(20), 1);
        let (sender, done) = mpsc::channel();
        let clock = Instant::now();
        for number in 0..3 {
            let sender = sender.clone();
            delay.push(move || sender.send((number, Instant::now())).unwrap());
        }
        for number in 0..3 {
            let (done, when) = done.recv().unwrap();
            assert_eq!(done, number);
            assert!(when >= clock + Duration::from_millis(20));
        }
    }

    #[test]
    fn all_wait_at_the_same_time() {
        let delay = Delay::new(Duration::from_millis(500), 2);
        let (sender, done) = mpsc::channel();
        let clock = Instant::now();
        for _ in 0..1000 {
            let sender = sender.clone();
            delay.push(move || sender.send(()).unwrap());
        }
        (0..1000).for_each(|_| done.recv().unwrap());
        // One after the other they would take 500 s.
        assert!(clock.elapsed() < Duration::from_secs(100));
    }

    #[test]
    fn work_that_waits_at_the_end_is_still_done() {
        let (sender, done) = mpsc::channel();
        let delay = Delay::new(Duration::from_millis(20), 4);
        delay.push(move || sender.send(()).unwrap());
        drop(delay);
        done.recv().unwrap();
    }
}
