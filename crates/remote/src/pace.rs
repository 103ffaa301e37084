//! How much is asked of a server at once, and how fast.
//!
//! Two things slow readers down: limits that people set, for cost or for others on the same line, and a
//! server that says it is too busy. All threads of a store share one pace.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kopia_connection::Limits;

/// How many requests are under way at most where nobody set a limit. Readers rarely have as many threads.
const MOST_IN_FLIGHT: usize = 64;

/// After the requests in flight were halved, how long they are not halved again: those under way knew nothing
/// of it.
const BETWEEN_HALVINGS: Duration = Duration::from_millis(500);

/// What a request counts as, for limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Reads a blob or its length.
    Read,
    /// Lists blobs.
    List,
    /// Something else, which has no limit: signing in, asking for a region.
    Other,
}

/// The pace of a store.
#[derive(Debug)]
pub(crate) struct Pace {
    gate: Gate,
    reads: Option<Bucket>,
    lists: Option<Bucket>,
    bytes: Option<Bucket>,
}

impl Pace {
    pub(crate) fn new(limits: &Limits, limit_download: Option<f64>) -> Self {
        let lower = match (limit_download, limits.download_bytes_per_second) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            gate: Gate::new(limits.concurrent_reads.unwrap_or(MOST_IN_FLIGHT)),
            reads: limits.reads_per_second.and_then(Bucket::new),
            lists: limits.lists_per_second.and_then(Bucket::new),
            bytes: lower.and_then(Bucket::new),
        }
    }

    /// Waits until a request may be made. It is under way until the pass is dropped.
    pub(crate) fn enter(&self, kind: Kind) -> Option<Pass<'_>> {
        let bucket = match kind {
            Kind::Read => &self.reads,
            Kind::List => &self.lists,
            Kind::Other => return None,
        };
        bucket.iter().for_each(|bucket| bucket.take(1.0));
        Some(self.gate.enter())
    }

    /// Waits for as long as so many bytes take.
    pub(crate) fn received(&self, bytes: usize) {
        self.bytes.iter().for_each(|bucket| bucket.take(bytes as f64));
    }

    /// Has fewer requests under way, because the server is too busy.
    pub(crate) fn too_busy(&self) {
        self.gate.halve();
    }

    /// Has a few more requests under way, because one was served.
    pub(crate) fn served(&self) {
        self.gate.grow();
    }
}

/// Lets so many requests be under way.
#[derive(Debug)]
struct Gate {
    most: f64,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    limit: f64,
    in_flight: usize,
    halved: Option<Instant>,
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Pass<'a>(&'a Gate);

impl Gate {
    fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        let state = Mutex::new(State { limit: most, in_flight: 0, halved: None });
        Self { most, state, freed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Pass<'_> {
        let full = |state: &mut State| state.in_flight + 1 > state.limit as usize;
        let mut state = self.freed.wait_while(self.state(), full).unwrap_or_else(PoisonError::into_inner);
        state.in_flight += 1;
        Pass(self)
    }

    fn halve(&self) {
        let mut state = self.state();
        if state.halved.is_some_and(|halved| halved.elapsed() < BETWEEN_HALVINGS) {
            return;
        }
        state.halved = Some(Instant::now());
        state.limit = (state.limit.min(state.in_flight as f64) / 2.0).max(1.0);
    }

    /// One more after as many as may be under way were served.
    fn grow(&self) {
        let mut state = self.state();
        state.limit = (state.limit + 1.0 / state.limit).min(self.most);
        drop(state);
        self.freed.notify_one();
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.freed.notify_one();
    }
}

/// Lets so much through per second. What is taken is paid for by waiting, in the order of asking.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    paid_until: Mutex<Instant>,
}

impl Bucket {
    /// Makes one, unless the limit is none.
    fn new(per_second: f64) -> Option<Self> {
        let limited = per_second.is_finite() && per_second > 0.0;
        limited.then(|| Self { per_second, paid_until: Mutex::new(Instant::now()) })
    }

    fn take(&self, amount: f64) {
        let now = Instant::now();
        let mut paid_until = self.paid_until.lock().unwrap_or_else(PoisonError::into_inner);
        let start = (*paid_until).max(now);
        // A limit of next to nothing must not overflow: a day is as good as for ever.
        let cost = Duration::from_secs_f64((amount / self.per_second).min(86_400.0));
        *paid_until = start + cost;
        drop(paid_until);
        std::thread::sleep(start + cost - now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_gets_half_as_many_requests_and_slowly_more_again() {
        let gate = Gate::new(16);
        let passes: Vec<_> = (0..16).map(|_| gate.enter()).collect();
        gate.halve();
        gate.halve();
        assert_eq!(gate.state().limit, 8.0, "two answers of one moment count once");
        for _ in 0..8 {
            gate.grow();
        }
        let limit = gate.state().limit;
        assert!((8.5..9.1).contains(&limit), "{limit}");
        (0..1000).for_each(|_| gate.grow());
        assert_eq!(gate.state().limit, 16.0);
        drop(passes);
        assert_eq!(gate.state().in_flight, 0);
    }

    #[test]
    fn one_request_is_always_let_through() {
        let gate = Gate::new(0);
        gate.halve();
        drop(gate.enter());
        drop(gate.enter());
    }

    #[test]
    fn limits_hold_over_all_threads() {
        let limits = {
            let mut limits = Limits::default();
            limits.download_bytes_per_second = Some(1e6);
            limits
        };
        let pace = Pace::new(&limits, Some(2e5));
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| pace.received(1000)));
            }
        });
        let taken = started.elapsed();
        assert!((Duration::from_millis(100)..Duration::from_secs(60)).contains(&taken), "{taken:?}");
    }
}
