//! A store that is as far away, and as narrow, as a test wants it.

use std::io;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use kopia_format::BlobId;

use crate::{BlobBytes, BlobInfo, BlobStore, Error, ReadProfile, Result};

/// How many blobs one answer to a listing names: as many as S3's.
const PAGE: usize = 1000;

/// How long reads wait for others at most ([`DelayedStore::gather`]).
const GATHERING: Duration = Duration::from_secs(60);

/// A wrapper that lets every call take a round trip and its bytes their time, as a network does, and counts.
///
/// It is read as a [network](ReadProfile::NETWORK) is, unless it is told otherwise. Calls are not delayed by
/// each other, but for the link that all share; listings take a round trip for each 1000 blobs.
///
/// ```
/// use std::time::Duration;
///
/// use kopia_storage::testing::DelayedStore;
/// use kopia_storage::{BlobStore, MemoryStore};
///
/// let store = DelayedStore::new(MemoryStore::new(), Duration::from_millis(1));
/// store.list("x")?;
/// store.list("n")?;
/// assert_eq!((store.traffic().requests, store.traffic().rounds), (2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DelayedStore<S> {
    inner: S,
    round_trip: Duration,
    link: Option<u64>,
    connection: Option<u64>,
    allowed: usize,
    profile: ReadProfile,
    state: Mutex<State>,
    /// Where reads wait for others.
    gathered: Condvar,
}

/// What passed between a [`DelayedStore`] and its users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Calls, refused ones included, and pages of listings.
    pub requests: u64,
    /// The longest chain of requests, each of which began after the one before it had ended: what latency
    /// costs.
    pub rounds: u64,
    /// Bytes of blobs.
    pub bytes: u64,
    /// How many requests were under way at once at most.
    pub most_in_flight: usize,
    /// Requests that were refused because too many were under way.
    pub refused: u64,
}

#[derive(Debug)]
struct State {
    traffic: Traffic,
    in_flight: usize,
    /// The longest chain of requests that have ended.
    ended: u64,
    /// When the shared link has carried all that was sent so far.
    link_free: Instant,
    /// What the names of blobs begin with whose reads wait, and until how many requests are under way.
    awaited: Option<(String, usize)>,
}

impl State {
    /// Returns whether reads of a blob wait for others.
    fn holds(&self, id: &BlobId) -> bool {
        self.awaited.as_ref().is_some_and(|(prefix, _)| id.as_str().starts_with(prefix.as_str()))
    }
}

/// A request under way.
struct Request<'a> {
    state: &'a Mutex<State>,
    start: Instant,
    /// Its place in the longest chain that it ends.
    round: u64,
}

impl<S: BlobStore> DelayedStore<S> {
    /// Wraps `inner`, with so long a way to it and back, and as much bandwidth as there is.
    pub fn new(inner: S, round_trip: Duration) -> Self {
        let state = State {
            traffic: Traffic::default(),
            in_flight: 0,
            ended: 0,
            link_free: Instant::now(),
            awaited: None,
        };
        Self {
            inner,
            round_trip,
            link: None,
            connection: None,
            allowed: usize::MAX,
            profile: ReadProfile::NETWORK,
            state: Mutex::new(state),
            gathered: Condvar::new(),
        }
    }

    /// Lets all reads share so many bytes a second.
    #[must_use]
    pub fn link(self, bytes: u64) -> Self {
        Self { link: Some(bytes), ..self }
    }

    /// Lets one read have no more than so many bytes a second, as the window of a connection does.
    #[must_use]
    pub fn connection(self, bytes: u64) -> Self {
        Self { connection: Some(bytes), ..self }
    }

    /// Refuses requests for now ([`ErrorKind::TryAgain`](crate::ErrorKind::TryAgain)) while so many are under
    /// way.
    #[must_use]
    pub fn allows(self, requests: usize) -> Self {
        Self { allowed: requests, ..self }
    }

    /// Has it read in another way than networks are.
    #[must_use]
    pub fn profiled(self, profile: ReadProfile) -> Self {
        Self { profile, ..self }
    }

    /// Returns the store inside.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Returns what passed so far.
    pub fn traffic(&self) -> Traffic {
        lock(&self.state).traffic
    }

    /// Returns what passed so far, and begins anew.
    pub fn take(&self) -> Traffic {
        let mut state = lock(&self.state);
        state.ended = 0;
        std::mem::take(&mut state.traffic)
    }

    /// Answers no read of a blob whose name begins with `prefix` before so many requests have been under way
    /// at once: what is asked at once is then seen to be, however late a busy machine starts its threads.
    ///
    /// Where they do not come, reads go on after a minute.
    pub fn gather(&self, prefix: &str, requests: usize) {
        lock(&self.state).awaited = Some((prefix.into(), requests));
    }

    /// Returns how many requests are under way.
    pub fn in_flight(&self) -> usize {
        lock(&self.state).in_flight
    }

    /// Sends a request; `refuse` makes the error of one too many.
    fn send(&self, refuse: impl FnOnce(io::Error) -> Error) -> Result<Request<'_>> {
        let mut state = lock(&self.state);
        state.in_flight += 1;
        state.traffic.requests += 1;
        state.traffic.most_in_flight = state.traffic.most_in_flight.max(state.in_flight);
        let refused = state.in_flight > self.allowed;
        state.traffic.refused += u64::from(refused);
        if state.awaited.as_ref().is_some_and(|(_, requests)| state.in_flight >= *requests) {
            state.awaited = None;
            self.gathered.notify_all();
        }
        let request = Request { state: &self.state, start: Instant::now(), round: state.ended + 1 };
        drop(state);
        if !refused {
            return Ok(request);
        }
        thread::sleep(self.round_trip);
        let busy = io::Error::new(io::ErrorKind::ResourceBusy, "too many requests are under way");
        Err(refuse(busy))
    }

    /// Waits for those that a read of this blob is to be under way with, if any.
    fn wait_for_others(&self, id: &BlobId) {
        let held = |state: &mut State| state.holds(id);
        let waited = self.gathered.wait_timeout_while(lock(&self.state), GATHERING, held);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.holds(id) {
            // They do not come.
            state.awaited = None;
            self.gathered.notify_all();
        }
    }

    /// Waits until the answer to a request is there, with so many bytes.
    fn receive(&self, request: Request<'_>, bytes: usize) {
        let sent = request.start + self.round_trip;
        let mut state = lock(&self.state);
        state.traffic.bytes += bytes as u64;
        let mut there = sent + transfer(bytes, self.connection);
        if self.link.is_some() {
            state.link_free = state.link_free.max(sent) + transfer(bytes, self.link);
            there = there.max(state.link_free);
        }
        drop(state);
        thread::sleep(there.saturating_duration_since(Instant::now()));
    }

    fn read_delayed<T>(
        &self,
        id: &BlobId,
        offset: u64,
        read: impl FnOnce() -> Result<T>,
        length: impl FnOnce(&T) -> usize,
    ) -> Result<T> {
        let request = self.send(|source| {
            let (blob, place) = (id.clone(), self.location());
            Error::Read { blob, place, offset, source }
        })?;
        self.wait_for_others(id);
        let read = read();
        self.receive(request, read.as_ref().map_or(0, length));
        read
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let mut state = lock(self.state);
        state.in_flight -= 1;
        state.ended = state.ended.max(self.round);
        state.traffic.rounds = state.traffic.rounds.max(self.round);
    }
}

fn transfer(bytes: usize, per_second: Option<u64>) -> Duration {
    let seconds = per_second.map_or(0.0, |per_second| bytes as f64 / per_second.max(1) as f64);
    Duration::from_secs_f64(seconds)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[deny(clippy::missing_trait_methods, reason = "a wrapper forwards everything")]
impl<S: BlobStore> BlobStore for DelayedStore<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn directory(&self) -> Option<PathBuf> {
        self.inner.directory()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let listed = self.inner.list(prefix);
        let pages = listed.as_ref().map_or(1, |listed| listed.len().div_ceil(PAGE).max(1));
        for _ in 0..pages {
            let request = self.send(|source| Error::List { place: self.location(), source })?;
            self.receive(request, 0);
        }
        listed
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.read_delayed(id, 0, || self.inner.length(id), |_| 0)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.read_delayed(id, 0, || self.inner.read(id), Vec::len)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        let read = || self.inner.read_range(id, offset, length, buffer);
        self.read_delayed(id, offset, read, |bytes| bytes.len())
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        // Stores far away have no copies, and know that without asking.
        self.inner.read_copy(id, number, offset, length)
    }

    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
        self.inner.will_need(id, offset, length);
    }

    fn cold(&self) -> Option<&dyn crate::ColdStorage> {
        self.inner.cold()
    }

    fn profile(&self) -> ReadProfile {
        self.profile
    }
}

#[cfg(test)]
mod tests;
