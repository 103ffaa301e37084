//! Reads blobs ahead of those who open them.
//!
//! Threads of their own read, as they mostly wait for a disk or a network. They begin before the key is
//! known, with what probably counts, and never hold more than a budget of bytes that nobody has merged yet.

mod queue;
mod ranges;
#[cfg(test)]
mod tests;

use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread::{self, Scope};

use kopia_storage::{BlobInfo, BlobStore, ReadAhead};

pub(super) use queue::Blob;
pub(crate) use queue::Budget;
use queue::Queue;

use crate::lock::{lock, wait};
use crate::parallel::reads_at_once;

/// How many bytes may be read and not yet merged, by all repositories that are being opened: as many as
/// scrypt takes, so that reading ahead does not set the peak of a small process. One that holds nothing may
/// read one blob all the same.
///
/// Budgets of 1 to 128 MiB opened ten million contents, or 30,000 index blobs, in the same time on 2 cores,
/// warm or cold; of 30,000 small blobs the budget stays in the peak (377 MiB with 1, 435 with 64, 489 with
/// 128). More cores want several blobs at once: one of half a million contents has 17 MB.
pub(crate) static BUDGET: Budget = Budget::new(64 << 20);

/// How many reads are under way at once at most, whatever the store would like; where each takes long, as
/// many as it likes.
const MOST_READERS: usize = 8;

/// Blobs on their way from the store to those who open them.
pub(crate) struct Feed<'a> {
    store: &'a dyn BlobStore,
    queue: Mutex<Queue>,
    /// There may be something to read: for readers.
    room: Condvar,
    /// There may be something to take, or nothing more will come: for takers.
    ready: Condvar,
}

/// Blobs that were taken; they leave the budget when this is dropped.
pub(crate) struct Taken<'a, 'b> {
    feed: &'a Feed<'b>,
    blobs: Vec<Blob>,
    bytes: u64,
}

/// Closes the feed when dropped, so that no reader waits endlessly.
pub(crate) struct Closing<'a, 'b>(&'a Feed<'b>);

impl<'a> Feed<'a> {
    /// Starts with nothing to read.
    pub(crate) fn new(store: &'a dyn BlobStore, budget: &'static Budget) -> Self {
        // Where each read takes long, what is read in a row waits in a row.
        let batched = store.profile().ahead == ReadAhead::Hints;
        let queue = Mutex::new(Queue::new(budget, batched));
        Self { store, queue, room: Condvar::new(), ready: Condvar::new() }
    }

    pub(crate) fn store(&self) -> &'a dyn BlobStore {
        self.store
    }

    /// Closes the feed at the end of a block, however that is left.
    pub(crate) fn closing(&self) -> Closing<'_, 'a> {
        Closing(self)
    }

    /// Has these read ahead, as far as the budget goes. No blob is taken before [`Self::choose`].
    pub(crate) fn guess(&self, blobs: Vec<BlobInfo>) {
        self.lock().guess(blobs);
        self.room.notify_all();
    }

    /// Sets the blobs that are to be taken. Those that were read, or are being read, are not read again.
    pub(super) fn choose(&self, blobs: Vec<BlobInfo>) {
        self.lock().choose(blobs);
        self.room.notify_all();
        self.ready.notify_all();
    }

    /// Takes these out of what was guessed: for each what was read, or `None` if its reading had not begun.
    pub(super) fn extract(&self, blobs: &[BlobInfo]) -> Vec<Option<kopia_storage::Result<Vec<u8>>>> {
        let mut queue = self.lock();
        queue.forget(blobs);
        while blobs.iter().any(|blob| queue.is_reading(&blob.id)) {
            queue = wait(&self.ready, queue);
        }
        let result = blobs.iter().map(|blob| queue.extract(&blob.id)).collect();
        drop(queue);
        self.room.notify_all();
        result
    }

    /// Waits for blobs; `None` once all are taken, or after [`Self::stop`].
    pub(super) fn take(&self) -> Option<Taken<'_, 'a>> {
        let mut queue = self.lock();
        loop {
            if let Some((blobs, bytes)) = queue.take() {
                return Some(Taken { feed: self, blobs, bytes });
            }
            if queue.is_done() {
                return None;
            }
            if queue.readers == 0 {
                // No thread could be had.
                let (next, some) = self.read_batch(queue);
                queue = if some { next } else { wait(&self.ready, next) };
            } else {
                queue = wait(&self.ready, queue);
            }
        }
    }

    /// Gives up what was chosen: nothing more of it is read or taken.
    pub(super) fn stop(&self) {
        self.choose(Vec::new());
    }

    /// Starts as many readers as there is work for.
    ///
    /// The store and the system may allow fewer.
    pub(crate) fn start_readers<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let profile = self.store.profile();
        let limit = match profile.ahead {
            ReadAhead::Hints => profile.parallel_reads.clamp(1, MOST_READERS),
            ReadAhead::Threads => reads_at_once(profile),
        };
        let mut queue = self.lock();
        while queue.readers < limit.min(queue.wanted()) {
            if thread::Builder::new().spawn_scoped(scope, || self.read_on()).is_err() {
                break;
            }
            queue.readers += 1;
        }
    }

    /// Reads until the feed is closed.
    fn read_on(&self) {
        // Should a store panic, nobody shall wait for what it was reading.
        let _closing = self.closing();
        let mut queue = self.lock();
        while !queue.closed {
            let (next, some) = self.read_batch(queue);
            queue = if some { next } else { wait(&self.room, next) };
        }
    }

    /// Reads some blobs, if there are any and they fit into the budget.
    fn read_batch<'q>(&'q self, mut queue: MutexGuard<'q, Queue>) -> (MutexGuard<'q, Queue>, bool) {
        let batch = queue.next();
        if batch.is_empty() {
            return (queue, false);
        }
        drop(queue);
        // There may be room for another reader.
        self.room.notify_one();
        let read = |blob: BlobInfo| Blob { bytes: ranges::read(self.store, &blob), listed: blob };
        let blobs = batch.into_iter().take_while(|_| !self.lock().closed).map(read).collect();
        let mut queue = self.lock();
        queue.arrive(blobs);
        self.ready.notify_all();
        (queue, true)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

impl Taken<'_, '_> {
    /// Returns the blobs, once.
    pub(super) fn blobs(&mut self) -> impl Iterator<Item = Blob> + use<> {
        std::mem::take(&mut self.blobs).into_iter()
    }
}

impl Drop for Taken<'_, '_> {
    fn drop(&mut self) {
        self.blobs.clear();
        self.feed.lock().release(self.bytes);
        self.feed.room.notify_one();
        self.feed.ready.notify_all();
    }
}

impl Drop for Closing<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().close();
        self.0.room.notify_all();
        self.0.ready.notify_all();
    }
}
