//! What all threads of a restore share, and how one of them ends the work of all.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kopia_repository::Repository;
use kopia_repository::contents::schedule::Limits;
use kopia_storage::ReadAhead;

use super::bytes::Bytes;
use crate::ahead::Ahead;
use crate::checks::Checks;
use crate::destination::folder::Folder;
use crate::destination::metadata::probe::ProbedDefaults;
use crate::destination::naming::Folding;
use crate::destination::staging::Staging;
use crate::destination::target::Target;
use crate::open_files::OpenFiles;
use crate::room::Room;
use crate::shard::Torn;
use crate::tally::Tally;
use crate::{Error, Options};

/// How many bytes one read has at least where hashes are verified, if there are as many side by side.
const VERIFIED_AT_ONCE: u64 = 8 << 20;

/// What all threads of a restore share.
pub(crate) struct Shared<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) ahead: Ahead,
    pub(crate) checks: Checks,
    pub(crate) tally: &'a Tally<'a>,
    pub(crate) options: &'a Options,
    pub(crate) target: &'a Target,
    pub(crate) staging: &'a Staging,
    pub(crate) room: Room,
    pub(crate) defaults: ProbedDefaults,
    /// How many files may be open.
    pub(crate) open_files: OpenFiles,
    /// Which names are one in the target.
    pub(crate) folding: Folding,
    pub(crate) bytes: Bytes,
    /// How reads are merged.
    pub(crate) limits: Limits,
    /// Whether workers tell the store what they will read.
    pub(super) announce: bool,
    /// Whether the target's file system lets files share bytes, as far as is known.
    pub(super) clones: AtomicBool,
    /// Files that are not whole: of this shard, or of all where the restore is finished.
    torn: Mutex<Torn>,
    stop: AtomicBool,
    fatal: Mutex<Option<Error>>,
}

impl<'a> Shared<'a> {
    pub(crate) fn new(
        repository: &'a Repository,
        options: &'a Options,
        tally: &'a Tally<'a>,
        target: &'a Target,
        staging: &'a Staging,
        torn: Torn,
    ) -> io::Result<Self> {
        let defaults = ProbedDefaults::probe(staging.handle())?;
        let block = rustix::fs::fstat(staging.handle())?.st_blksize;
        let bytes = Bytes::new(options, usize::try_from(block).unwrap_or_default());
        let profile = repository.store().profile();
        let announce = profile.ahead == ReadAhead::Hints;
        let mut limits = Limits::from(profile);
        if options.verify_hashes {
            // Several of the largest contents at once, so that their hashes are computed side by side.
            limits.bytes = limits.bytes.max(VERIFIED_AT_ONCE);
        }
        let (stop, fatal) = Default::default();
        Ok(Self {
            repository,
            ahead: Ahead::new(options.read_ahead),
            checks: Checks::default(),
            announce,
            clones: AtomicBool::new(true),
            torn: Mutex::new(torn),
            limits,
            tally,
            options,
            target,
            staging,
            room: Room::new(options),
            defaults,
            folding: Folding::probe(staging.handle()),
            open_files: OpenFiles::of_process(options.workers()),
            bytes,
            stop,
            fatal,
        })
    }

    /// Says whether the restore was given up, or is to be.
    pub(crate) fn stopped(&self) -> bool {
        if !self.stop.load(Ordering::Relaxed) {
            let unfinished = || self.staging.path(self.target);
            if self.tally.wants_no_more() {
                self.give_up(Error::Stopped { unfinished: unfinished() });
            } else if self.options.fail_fast
                && let Some(problem) = self.tally.first_problem()
            {
                self.give_up(Error::Problem { problem: Box::new(problem), unfinished: unfinished() });
            }
        }
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the restore because of something that would hit every entry.
    pub(crate) fn give_up(&self, error: Error) {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
        self.abort();
    }

    /// Notes that a file is not whole although some of it is there or, with `/` at the end of its path, that it is not known
    /// what all of a directory is.
    pub(crate) fn tear(&self, path: String, why: String) {
        self.torn.lock().unwrap_or_else(PoisonError::into_inner).insert(path, why);
    }

    /// Returns whether a shard could not write a file whole, or not read a directory that it lies in.
    pub(crate) fn is_torn(&self, folder: &Arc<Folder>, name: &str) -> bool {
        let torn = self.torn.lock().unwrap_or_else(PoisonError::into_inner);
        !torn.is_empty()
            && (torn.contains_key(&folder.path_of(name))
                || folder.ancestors().any(|folder| torn.contains_key(&(folder.path_of("") + "/"))))
    }

    /// Returns the files that are not whole.
    pub(crate) fn take_torn(&self) -> Torn {
        std::mem::take(&mut *self.torn.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets nobody wait for anybody any more.
    fn abort(&self) {
        self.ahead.abort();
        self.checks.abort();
    }

    /// Returns why the restore was given up.
    pub(crate) fn fatal(&self) -> Option<Error> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Lets nobody wait for a thread that panicked.
pub(crate) struct AbortOnPanic<'a>(pub(crate) &'a Shared<'a>);

impl Drop for AbortOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abort();
        }
    }
}
