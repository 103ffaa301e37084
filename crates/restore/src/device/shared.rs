//! What all threads of a restore to a device share, and how one of them ends the work of all.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kopia_repository::contents::Fetcher;
use kopia_repository::{Entry, Repository};

use super::batch::Batch;
use super::disk::Device;
use super::outcome::{DeviceOutcome, KEPT};
use super::pieces::Zeroing;
use super::{DeviceOptions, LostRange};
use crate::execute::Bytes;
use crate::lock::lock;
use crate::reason::Reason;
use crate::{Error, Observer, Options, Problem};

/// What all threads share.
pub(super) struct Shared<'a> {
    pub(super) repository: &'a Repository,
    pub(super) device: &'a Device,
    pub(super) options: &'a Options,
    pub(super) how: DeviceOptions,
    pub(super) observer: &'a dyn Observer,
    /// The path of the file, for problems.
    pub(super) name: &'a str,
    /// How many bytes of the file belong on the device.
    pub(super) size: u64,
    /// How many bytes its entry says that the file has.
    pub(super) stated: u64,
    /// Hands out what is to be decoded, with what was read for it.
    pub(super) fetcher: Fetcher<'a, Batch>,
    pub(super) bytes: Bytes,
    pub(super) zeroing: Zeroing,
    pub(super) written: AtomicU64,
    pub(super) zeroed: AtomicU64,
    pub(super) kept: AtomicU64,
    /// Whether the file has something else than zeros beyond the device's part.
    pub(super) goes_on: AtomicBool,
    outcome: Mutex<DeviceOutcome>,
    stop: AtomicBool,
    fatal: Mutex<Option<Error>>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        (entry, size): (&'a Entry, u64),
        device: &'a Device,
        (options, how): (&'a Options, DeviceOptions),
        observer: &'a dyn Observer,
    ) -> Self {
        let repository = entry.repository();
        Self {
            repository,
            device,
            options,
            how,
            observer,
            name: entry.name(),
            size,
            stated: entry.size(),
            fetcher: repository.contents().fetcher(options.read_ahead),
            bytes: Bytes::new(options, 0),
            zeroing: Zeroing::default(),
            written: AtomicU64::default(),
            zeroed: AtomicU64::default(),
            kept: AtomicU64::default(),
            goes_on: AtomicBool::new(false),
            outcome: Mutex::default(),
            stop: AtomicBool::new(false),
            fatal: Mutex::default(),
        }
    }

    /// Notes that bytes of the file cannot be had; what lies beyond the device's part is none of them.
    pub(super) fn lose(&self, range: Range<u64>, reason: Reason) {
        let range = range.start..range.end.min(self.size);
        if range.is_empty() {
            return;
        }
        let zeroed = self.options.salvage;
        let told = Reason::Lost { reason: reason.clone().into(), range: range.clone(), zeroed };
        let problem = Problem { path: self.name.into(), reason: told, salvaged: None };
        self.observer.problem(&problem);
        lock(&self.outcome).lose(range, reason);
        if self.options.fail_fast {
            self.give_up(Error::Problem { problem: problem.into(), unfinished: self.device.path().into() });
        }
    }

    /// Returns the ranges that are lost so far, in order.
    pub(super) fn lost(&self) -> Vec<LostRange> {
        let mut outcome = lock(&self.outcome);
        outcome.settle();
        outcome.lost.clone()
    }

    /// Returns whether the restore was given up, or is to be.
    pub(super) fn is_stopped(&self) -> bool {
        if !self.stop.load(Ordering::Relaxed) && self.observer.stop() {
            self.give_up(Error::Stopped { unfinished: self.device.path().into() });
        }
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the restore; the first reason is kept.
    pub(super) fn give_up(&self, error: Error) {
        lock(&self.fatal).get_or_insert(error);
        self.abort();
    }

    /// Lets nobody wait for anybody any more.
    pub(super) fn abort(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.fetcher.abort();
    }

    /// Returns why the restore was given up.
    pub(super) fn fatal(&self) -> Option<Error> {
        lock(&self.fatal).take()
    }

    /// Adds up what was done.
    pub(super) fn finish(self, verified: Option<u64>) -> DeviceOutcome {
        let mut outcome = lock(&self.outcome);
        let mut outcome = std::mem::take(&mut *outcome);
        outcome.settle();
        outcome.lost.truncate(KEPT);
        outcome.size = self.size;
        outcome.device_size = self.device.size();
        outcome.written = self.written.into_inner();
        outcome.zeroed = self.zeroed.into_inner();
        outcome.kept = self.kept.into_inner();
        outcome.goes_on = self.goes_on.into_inner();
        outcome.verified = verified;
        outcome
    }
}
