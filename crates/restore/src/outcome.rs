//! What a restore did, and what it could not do.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kopia_format::directory::Refused;
use kopia_format::stub::Stub;

use crate::Observer;
use crate::destination::unset::Unset;

/// How many problems an [`Outcome`] keeps, and about how many bytes of paths; observers are told of all.
pub(crate) const KEPT: usize = 10_000;
pub(crate) const KEPT_BYTES: usize = 16 << 20;

/// How many files that stand for others an [`Outcome`] keeps.
const STUBS: usize = 100;

/// How many lost ranges of one file a message names.
const SHOWN: usize = 5;

/// The end of a restore that ran to the end.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// Files that were written with all their bytes. One that could not be moved to its place is a problem as well.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Bytes of these files, whether they were written or reused.
    pub bytes: u64,
    /// Files and links that the target had already, with all their bytes.
    pub kept: u64,
    /// Bytes that were there already and right: of files that were kept, of pieces of files that were not, and of what an
    /// interrupted restore had written.
    pub bytes_kept: u64,
    /// Those of [`Self::bytes_kept`] that are in [`Self::bytes`] as well, because their file had to be completed.
    pub bytes_reused: u64,
    /// Whether the restore went on from where an interrupted one had stopped.
    pub resumed: bool,
    /// Entries that the snapshot does not have and that were deleted; a folder with all below it is one.
    pub deleted: u64,
    /// What is mounted in the target or a subvolume of its own, is no part of the snapshot, and was therefore not deleted.
    pub mounts_kept: Vec<String>,
    /// Directories of the target that another restore is at work in, and in which therefore nothing was deleted.
    pub restores_kept: Vec<String>,
    /// Entries that the snapshot does not have and that were not deleted, because not all of the snapshot was restored.
    pub extras_kept: u64,
    /// Whether the shards that were to be finished had been finished before, so that everything was there.
    pub already_finished: bool,
    /// Entries that are missing, doubled or incomplete, and those that should have been deleted and could not be. Nothing else
    /// counts as a problem.
    pub problem_count: u64,
    /// Those of them that the snapshot does not have: they could not be deleted, or not even listed.
    pub undeleted: u64,
    /// The first 10,000 of them; fewer where their paths are very long.
    pub problems: Vec<Problem>,
    /// Attributes that could not be set.
    pub notes: Notes,
    /// Files that stand for others, which the snapshot does not have: `kopia snapshot fix` could not read them, or
    /// `kopia restore --shallow` did not restore them before they were backed up. They are restored as they are.
    pub stub_count: u64,
    /// The first 100 of them.
    pub stubs: Vec<FoundStub>,
}

/// A file that stands for another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundStub {
    /// Its path below the root of the restore.
    pub path: String,
    /// What it stands for.
    pub stub: Stub,
}

/// Attributes that could not be set although the entries are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Notes {
    /// Entries whose owner or group could not be set.
    pub owners: u64,
    /// Entries that lost setuid, setgid or sticky bits, because their owner could not be set or the file system has none.
    pub special_bits: u64,
    /// Entries whose permissions could not be set.
    pub modes: u64,
    /// Entries whose time could not be set, or that the file system cannot hold.
    pub times: u64,
    /// Entries whose names were not UTF-8 when they were backed up: U+FFFD stands for what kopia did not keep.
    pub names: u64,
}

/// An attribute of an entry that is not as in the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attribute {
    /// Owner or group.
    Owner,
    /// Setuid, setgid or sticky bits, which are lost.
    SpecialBits,
    /// Permissions.
    Mode,
    /// Modification time.
    Time,
    /// The name was not UTF-8 when it was backed up.
    Name,
}

/// One entry that is missing, doubled or incomplete.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Its path below the root of the restore, empty for the root.
    pub path: String,
    /// What is wrong.
    pub cause: Cause,
    /// What could be saved of a file that is not whole, if that was asked for.
    pub salvaged: Option<Salvaged>,
}

/// A file of which pieces are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// Where it lies below the target.
    pub path: String,
    /// Which of its bytes are lost and zero, in order.
    pub lost: Vec<Range<u64>>,
}

/// Why an entry is missing, doubled or incomplete.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Cause {
    /// The repository does not have its bytes; the error names blob and offset.
    Repository(Arc<kopia_repository::Error>),
    /// The target did not take it.
    Target(Arc<io::Error>),
    /// The entry itself cannot be restored.
    Entry(String),
    /// The entry has no place of its own below the target: its name says none, or that of another entry.
    Refused(Box<Refused>),
    /// The target's file system cannot hold it: its name, its size, a link, or two names that are one there.
    Unfit(String),
    /// The target has it already, and [`Existing::Error`](crate::Existing::Error) leaves that alone.
    Exists,
}

impl Outcome {
    /// Returns how many bytes all files have that are there now: those that were restored, and those that were kept.
    pub fn bytes_there(&self) -> u64 {
        (self.bytes + self.bytes_kept).saturating_sub(self.bytes_reused)
    }
}

impl Notes {
    /// Says whether every attribute was set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "." } else { &self.path };
        // A name may hold line breaks and escapes, which must not reach a terminal as they are.
        let quoted = format!("{path:?}");
        let plain = quoted.len() == path.len() + 2;
        write!(f, "{}: {}", if plain { path } else { &quoted }, self.cause)?;
        match &self.salvaged {
            Some(salvaged) => write!(f, "; {salvaged}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Salvaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: u64 = self.lost.iter().map(|range| range.end - range.start).sum();
        write!(f, "the rest is in {:?}, with {bytes} bytes of zeros at", self.path)?;
        for (number, range) in self.lost.iter().take(SHOWN).enumerate() {
            write!(f, "{} {}..{}", if number == 0 { "" } else { "," }, range.start, range.end)?;
        }
        match self.lost.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more places"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(error) => {
                error.fmt(f)?;
                // What the system said to a store, for example that a permission is missing.
                let mut source = std::error::Error::source(&**error);
                while let Some(cause) = source {
                    write!(f, ": {cause}")?;
                    source = cause.source();
                }
                Ok(())
            }
            Self::Target(error) => error.fmt(f),
            Self::Entry(why) | Self::Unfit(why) => why.fmt(f),
            Self::Refused(refused) => refused.reason().fmt(f),
            Self::Exists => f.write_str("it exists already"),
        }
    }
}

impl From<kopia_repository::Error> for Cause {
    fn from(error: kopia_repository::Error) -> Self {
        Self::Repository(Arc::new(error))
    }
}

impl From<Refused> for Cause {
    fn from(refused: Refused) -> Self {
        Self::Refused(Box::new(refused))
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Target(Arc::new(error))
    }
}

/// Counts while threads work.
pub(crate) struct Tally<'a> {
    observer: &'a dyn Observer,
    files: AtomicU64,
    folders: AtomicU64,
    symlinks: AtomicU64,
    bytes: AtomicU64,
    kept: AtomicU64,
    bytes_kept: AtomicU64,
    bytes_reused: AtomicU64,
    resumed: AtomicBool,
    deleted: AtomicU64,
    mounts_kept: Mutex<Vec<String>>,
    restores_kept: Mutex<Vec<String>>,
    extras_kept: AtomicU64,
    /// Problems with what the snapshot does not have, in [`Self::problem_count`] as well.
    extra_problems: AtomicU64,
    owners: AtomicU64,
    special_bits: AtomicU64,
    modes: AtomicU64,
    times: AtomicU64,
    names: AtomicU64,
    stub_count: AtomicU64,
    stubs: Mutex<Vec<FoundStub>>,
    problem_count: AtomicU64,
    /// Those that are kept, and how many bytes their paths have.
    problems: Mutex<(Vec<Problem>, usize)>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(observer: &'a dyn Observer) -> Self {
        Self {
            observer,
            files: AtomicU64::default(),
            folders: AtomicU64::default(),
            symlinks: AtomicU64::default(),
            bytes: AtomicU64::default(),
            kept: AtomicU64::default(),
            bytes_kept: AtomicU64::default(),
            bytes_reused: AtomicU64::default(),
            resumed: AtomicBool::default(),
            deleted: AtomicU64::default(),
            mounts_kept: Mutex::default(),
            restores_kept: Mutex::default(),
            extras_kept: AtomicU64::default(),
            extra_problems: AtomicU64::default(),
            owners: AtomicU64::default(),
            special_bits: AtomicU64::default(),
            modes: AtomicU64::default(),
            times: AtomicU64::default(),
            names: AtomicU64::default(),
            stub_count: AtomicU64::default(),
            stubs: Mutex::default(),
            problem_count: AtomicU64::default(),
            problems: Mutex::default(),
        }
    }

    /// Says whether whoever watches wants no more.
    pub(crate) fn wants_no_more(&self) -> bool {
        self.observer.stop()
    }

    /// Returns the first problem, if there is one.
    pub(crate) fn first_problem(&self) -> Option<Problem> {
        // Asked for every file: the counter is cheaper than the lock.
        if self.problem_count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).0.first().cloned()
    }

    /// Counts a file, of which so many bytes were there before.
    pub(crate) fn file(&self, length: u64, reused: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.share(length, reused);
        self.observer.entry();
    }

    /// Counts bytes of a file of which this process writes a part; so many of them were there before.
    pub(crate) fn share(&self, bytes: u64, reused: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes_kept.fetch_add(reused, Ordering::Relaxed);
        self.bytes_reused.fetch_add(reused, Ordering::Relaxed);
    }

    /// Notes that the restore goes on from where an interrupted one stopped.
    pub(crate) fn resumed(&self) {
        self.resumed.store(true, Ordering::Relaxed);
        self.observer.resumed();
    }

    pub(crate) fn folder(&self) {
        self.folders.fetch_add(1, Ordering::Relaxed);
        self.observer.entry();
    }

    pub(crate) fn symlink(&self) {
        self.symlinks.fetch_add(1, Ordering::Relaxed);
        self.observer.entry();
    }

    /// Returns the bytes of files that were written or there already.
    pub(crate) fn bytes_there(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed).saturating_add(self.bytes_kept.load(Ordering::Relaxed))
    }

    /// Says that bytes were written, of files that may still fail.
    pub(crate) fn written(&self, count: u64) {
        self.observer.bytes(count);
    }

    /// Counts a file or link that the target had already.
    pub(crate) fn kept(&self, bytes: u64) {
        self.kept.fetch_add(1, Ordering::Relaxed);
        self.bytes_kept.fetch_add(bytes, Ordering::Relaxed);
        self.observer.entry();
    }

    /// Says that bytes were there already, of files that may still fail.
    pub(crate) fn found(&self, count: u64) {
        self.observer.bytes(count);
    }

    /// Counts an entry that was deleted with all below it.
    pub(crate) fn deleted(&self, path: &str) {
        self.deleted.fetch_add(1, Ordering::Relaxed);
        self.observer.deleted(path);
    }

    /// Notes a file that stands for another.
    pub(crate) fn stub(&self, path: String, stub: Stub) {
        self.stub_count.fetch_add(1, Ordering::Relaxed);
        let mut stubs = self.stubs.lock().unwrap_or_else(PoisonError::into_inner);
        if stubs.len() < STUBS {
            stubs.push(FoundStub { path, stub });
        }
    }

    /// Notes a mount that was not deleted.
    pub(crate) fn mount_kept(&self, path: String) {
        self.mounts_kept.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }

    /// Notes a directory in which nothing was deleted, because another restore is at work there.
    pub(crate) fn restore_kept(&self, path: String) {
        self.restores_kept.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }

    /// Counts what was not deleted because not all of the snapshot was restored.
    pub(crate) fn extras_kept(&self, count: u64) {
        self.extras_kept.fetch_add(count, Ordering::Relaxed);
    }

    /// As [`Self::problem`], of an entry with which so many others are lost.
    pub(crate) fn lost(&self, path: String, cause: impl Into<Cause>, below: u64) {
        self.problem(path, cause);
        self.problem_count.fetch_add(below, Ordering::Relaxed);
    }

    /// Returns whether everything that the snapshot has is restored so far.
    pub(crate) fn is_whole(&self) -> bool {
        self.problem_count.load(Ordering::Relaxed) == self.extra_problems.load(Ordering::Relaxed)
    }

    /// As [`Self::problem`], of what the snapshot does not have.
    pub(crate) fn extra_problem(&self, path: String, cause: impl Into<Cause>) {
        self.extra_problems.fetch_add(1, Ordering::Relaxed);
        self.problem(path, cause);
    }

    /// Counts an attribute that is not as in the snapshot.
    pub(crate) fn note(&self, path: &str, attribute: Attribute) {
        let counter = match attribute {
            Attribute::Owner => &self.owners,
            Attribute::SpecialBits => &self.special_bits,
            Attribute::Mode => &self.modes,
            Attribute::Time => &self.times,
            Attribute::Name => &self.names,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.observer.attribute(path, attribute);
    }

    /// Counts what could not be set of an entry.
    pub(crate) fn unset(&self, unset: Unset, path: impl FnOnce() -> String) {
        // Most entries have everything, and no path need be put together.
        if unset != Unset::default() {
            let path = path();
            unset.attributes().for_each(|attribute| self.note(&path, attribute));
        }
    }

    pub(crate) fn problem(&self, path: String, cause: impl Into<Cause>) {
        self.salvaged(path, cause, None);
    }

    /// As [`Self::problem`], of a file that was saved in part.
    pub(crate) fn salvaged(&self, path: String, cause: impl Into<Cause>, salvaged: Option<Salvaged>) {
        let problem = Problem { path, cause: cause.into(), salvaged };
        self.observer.problem(&problem);
        let mut kept = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let (problems, bytes) = &mut *kept;
        if problems.len() < KEPT && *bytes < KEPT_BYTES {
            *bytes += problem.path.len();
            problems.push(problem);
        }
        drop(kept);
        self.problem_count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn finish(self) -> Outcome {
        let (mut problems, _) = self.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        let sorted = |paths: Mutex<Vec<String>>| {
            let mut paths = paths.into_inner().unwrap_or_else(PoisonError::into_inner);
            paths.sort();
            paths
        };
        let stubs = self.stubs.into_inner().unwrap_or_else(PoisonError::into_inner);
        Outcome {
            files: self.files.into_inner(),
            folders: self.folders.into_inner(),
            symlinks: self.symlinks.into_inner(),
            bytes: self.bytes.into_inner(),
            kept: self.kept.into_inner(),
            bytes_kept: self.bytes_kept.into_inner(),
            bytes_reused: self.bytes_reused.into_inner(),
            resumed: self.resumed.into_inner(),
            deleted: self.deleted.into_inner(),
            mounts_kept: sorted(self.mounts_kept),
            restores_kept: sorted(self.restores_kept),
            extras_kept: self.extras_kept.into_inner(),
            already_finished: false,
            stub_count: self.stub_count.into_inner(),
            stubs,
            problem_count: self.problem_count.into_inner(),
            undeleted: self.extra_problems.into_inner(),
            problems,
            notes: Notes {
                owners: self.owners.into_inner(),
                special_bits: self.special_bits.into_inner(),
                modes: self.modes.into_inner(),
                times: self.times.into_inner(),
                names: self.names.into_inner(),
            },
        }
    }
}
