//! What all threads of an export share: the window, and how one of them ends the work of all.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use kopia_repository::Repository;
use kopia_repository::contents::Fetcher;

use crate::batch::{Batch, Work};
use crate::buffers::Buffers;
use crate::lock::{lock, wait};
use crate::{Observer, Options};

/// How many bytes one read has where hashes are verified: several contents are hashed side by side.
const VERIFIED_AT_ONCE: u64 = 32 << 20;

/// What all threads share.
pub(crate) struct Shared<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) options: &'a Options,
    pub(crate) observer: &'a dyn Observer,
    /// Hands out what is to be decoded, with what was read for it.
    pub(crate) fetcher: Fetcher<'a, Work>,
    pub(crate) buffers: Buffers,
    /// How many bytes were read of files that do not fit into the window, to see that they can be had.
    checked: AtomicU64,
    left_out: AtomicU64,
    /// How many bytes of the window are taken.
    held: Mutex<u64>,
    changed: Condvar,
    stop: AtomicBool,
}

impl<'a> Shared<'a> {
    pub(crate) fn new(repository: &'a Repository, options: &'a Options, observer: &'a dyn Observer) -> Self {
        Self {
            repository,
            options,
            observer,
            fetcher: repository.contents().fetcher(options.read_ahead),
            buffers: Buffers::new(options.window / 2),
            checked: AtomicU64::default(),
            left_out: AtomicU64::default(),
            held: Mutex::default(),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
        }
    }

    /// Hands a batch to the workers once the window has room for it. One alone may be larger.
    ///
    /// Nothing is handed out once the export is stopped.
    pub(crate) fn hand_out(&self, mut batch: Batch) -> Arc<Batch> {
        let at_least = if self.options.verify_hashes { VERIFIED_AT_ONCE } else { 0 };
        batch.schedule(self.repository.contents(), at_least);
        let batch = Arc::new(batch);
        let cost = batch.cost();
        let mut held = lock(&self.held);
        while *held > 0 && held.saturating_add(cost) > self.options.window && !self.is_stopped() {
            held = wait(&self.changed, held);
        }
        *held = held.saturating_add(cost);
        drop(held);
        if !self.is_stopped() {
            self.fetcher.push(Work(batch.clone()));
        }
        batch
    }

    /// Gives back what a batch takes of the window: it is written.
    pub(crate) fn release(&self, batch: &Batch) {
        let mut held = lock(&self.held);
        *held = held.saturating_sub(batch.cost());
        drop(held);
        self.changed.notify_all();
    }

    /// Notes that a step of a batch is done.
    pub(crate) fn one_done(&self, batch: &Batch) {
        if batch.one_done() {
            // Whoever is about to wait holds the lock.
            drop(lock(&self.held));
            self.changed.notify_all();
        }
    }

    /// Waits until a batch is decoded; returns false if the export was stopped.
    pub(crate) fn wait_for(&self, batch: &Batch) -> bool {
        let mut held = lock(&self.held);
        while !batch.is_done() && !self.is_stopped() {
            held = wait(&self.changed, held);
        }
        drop(held);
        !self.is_stopped()
    }

    /// Counts bytes of a file that does not fit into the window, and can be had.
    pub(crate) fn check(&self, bytes: u64) {
        self.checked.fetch_add(bytes, Ordering::Relaxed);
        self.observer.checked(bytes);
    }

    /// Returns how many bytes were counted so.
    pub(crate) fn checked(&self) -> u64 {
        self.checked.load(Ordering::Relaxed)
    }

    /// Counts entries that were not chosen.
    pub(crate) fn leave_out(&self, count: u64) {
        self.left_out.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns how many entries were not chosen.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Ends everything: no thread waits any longer, and nothing new is begun.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(lock(&self.held));
        self.changed.notify_all();
        self.fetcher.abort();
    }

    /// Returns whether nothing new is to be begun.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Lets no thread wait for one that panicked.
pub(crate) struct StopOnPanic<'s, 'a>(pub(crate) &'s Shared<'a>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}
