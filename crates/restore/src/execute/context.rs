//! What all threads of a restore share, and how one of them ends the work of all.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use kopia_repository::Repository;
use kopia_repository::contents::{Fetcher, Steps};
use rustix::fs::{Mode, Stat};

use super::bytes::Bytes;
use super::large::Copies;
use super::writers::Writers;
use crate::destination::directory::Directory;
use crate::destination::existing::look_into;
use crate::destination::folding::Folding;
use crate::destination::metadata::probe::ProbedDefaults;
use crate::destination::reserved::Reserved;
use crate::destination::staging::{Staging, pending};
use crate::destination::target::Target;
use crate::kept::Keeping;
use crate::lock;
use crate::open_files::OpenFiles;
use crate::plan::batch::Batch;
use crate::plan::checks::Checks;
use crate::plan::context::{Context, Crew, Destination, read_at_least};
use crate::plan::room::Room;
use crate::shard::{Incomplete, IncompleteFiles};
use crate::tally::Tally;
use crate::{Error, Options};

/// What all threads of a restore share.
pub(crate) struct Shared<'a> {
    pub(crate) repository: &'a Repository,
    /// Hands out what is to be done, with what was read for it.
    pub(crate) fetcher: Fetcher<'a, Batch>,
    pub(crate) checks: Arc<Checks>,
    pub(super) writers: Writers,
    /// Memory for pieces of large files that wait for another worker.
    pub(super) copies: Copies,
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
    /// Which names the target takes for something else.
    pub(crate) reserved: Reserved,
    pub(crate) bytes: Bytes,
    /// How many bytes one read has, where there are as many side by side.
    pub(crate) read_at_least: u64,
    /// Whether the target's file system lets files share bytes, as far as is known.
    pub(super) clones: AtomicBool,
    pub(crate) incomplete: IncompleteFiles,
    /// Where what is replaced is kept, if it is to be.
    pub(crate) kept: Option<&'a Keeping>,
    /// Directories of the target that may be opened up, each after those it lies in.
    opened_up: Mutex<Vec<Arc<Directory>>>,
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
        incomplete: Incomplete,
    ) -> io::Result<Self> {
        let defaults = ProbedDefaults::probe(staging.handle())?;
        let block = rustix::fs::fstat(staging.handle())?.st_blksize;
        let bytes = Bytes::new(options, usize::try_from(block).unwrap_or_default());
        let fetcher = repository.contents().fetcher(options.read_ahead);
        let (workers, writers) = (options.workers(), options.writers.map(NonZeroUsize::get));
        let open_files = OpenFiles::of_process(workers, fetcher.readers(workers), writers);
        Ok(Self {
            repository,
            fetcher,
            checks: Arc::default(),
            writers: Writers::new(open_files.writers, writers),
            copies: Copies::new(open_files.workers),
            clones: AtomicBool::new(true),
            incomplete: IncompleteFiles::new(incomplete),
            kept: None,
            read_at_least: read_at_least(options),
            tally,
            options,
            target,
            staging,
            room: Room::new(options),
            defaults,
            folding: Folding::probe(staging.handle()),
            reserved: Reserved::probe(staging.handle(), |left| staging.note_left_by_probe(left)),
            open_files,
            bytes,
            opened_up: Mutex::default(),
            stop: AtomicBool::new(false),
            fatal: Mutex::default(),
        })
    }

    /// Returns what the planner is to know.
    pub(crate) fn for_planner(&self) -> Context<'_> {
        let OpenFiles { workers, directories, large_files, .. } = self.open_files;
        Context {
            repository: self.repository,
            options: self.options,
            tally: self.tally,
            folding: self.folding,
            read_at_least: self.read_at_least,
            large_files,
            destination: Some(Destination {
                kept: self.kept,
                target: self.target,
                staging: self.staging,
                defaults: self.defaults,
                reserved: self.reserved,
                room: &self.room,
                incomplete: &self.incomplete,
                directories: directories / (workers + 1),
            }),
            crew: self,
        }
    }

    /// Returns whether the restore was given up, or is to be.
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

    /// Gives directories that were opened up their modes again, where the restore ends before it has moved
    /// anything into them, and takes back what was noted of them.
    pub(crate) fn close_again(&self) {
        let mut closed = Vec::new();
        for directory in std::mem::take(&mut *lock::lock(&self.opened_up)).iter().rev() {
            let Some(found) = directory.found() else { continue };
            match self.close(directory, found.st_mode & 0o7777) {
                Ok(now) => closed.push((directory.path_of(""), now)),
                Err(error) => {
                    tracing::debug!(%error, directory = directory.path_of(""), "it stays opened up");
                }
            }
        }
        pending::take_back(self.staging, &closed);
    }

    /// Gives a directory of the target this mode, and returns what it is like then. Whatever was opened up can be
    /// looked into without changing it.
    fn close(&self, directory: &Arc<Directory>, mode: u32) -> io::Result<Stat> {
        let opened = look_into(self.target.directory.as_fd(), directory, true)?;
        if rustix::fs::fstat(&opened)?.st_mode & 0o7777 != mode {
            rustix::fs::fchmod(&opened, Mode::from_raw_mode(mode))?;
        }
        Ok(rustix::fs::fstat(&opened)?)
    }

    /// Ends the restore because of something that would hit every entry.
    pub(crate) fn give_up(&self, error: Error) {
        lock::lock(&self.fatal).get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
        self.abort();
    }

    /// Lets nobody wait for anybody any more.
    pub(crate) fn abort(&self) {
        self.fetcher.abort();
        self.checks.abort();
        self.writers.abort();
    }

    /// Returns why the restore was given up.
    pub(crate) fn fatal(&self) -> Option<Error> {
        lock::lock(&self.fatal).take()
    }
}

impl Crew for Shared<'_> {
    fn take(&self, batch: Batch) {
        self.checks.add(batch.count());
        self.fetcher.push(batch);
    }

    fn checks(&self) -> &Checks {
        &self.checks
    }

    fn stopped(&self) -> bool {
        self.stopped()
    }

    fn opens_up(&self, directory: &Arc<Directory>) {
        lock::lock(&self.opened_up).push(directory.clone());
    }

    fn give_up(&self, error: Error) {
        self.give_up(error);
    }
}
