//! What a plan would read and restore, added up without a target.
//!
//! The planner runs as for a restore into an empty directory. Its crew does nothing but count, and drops each
//! batch, so memory does not grow with the number of files.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kopia_format::BlobId;
use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use kopia_repository::contents::Steps;

use super::Planner;
use super::batch::Batch;
use super::checks::Checks;
use super::context::{Context, Crew, read_at_least};
use super::items::{Chore, Item, LargeFile, SmallEntry};
use crate::destination::directory::Directory;
use crate::destination::folding::Folding;
use crate::tally::Tally;
use crate::{Error, Options, Problem, Result};

/// What a restore into an empty directory restores and reads.
///
/// What only a target refuses is counted as well: names that it takes for something else, and directories with
/// the names of those that keep what restores replaced. An export has them all.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Figures {
    /// Files that would be written.
    pub files: u64,
    /// Directories that would be made or filled; the root is one.
    pub directories: u64,
    /// Symbolic links that would be made.
    pub symlinks: u64,
    /// The bytes of these files, as their entries state them.
    pub bytes: u64,
    /// Packs that contents are read from; none where a server gives contents.
    pub packs: u64,
    /// Ranges of packs that are read, neighbours merged as the store wants them; where a server gives
    /// contents, the groups in which it is asked for them.
    pub ranges: u64,
    /// The bytes of these ranges: compressed, gaps between contents included, and what several batches need
    /// more than once.
    pub bytes_to_read: u64,
    /// Reads of directories and of the lists of large files; none are counted where a server gives contents.
    pub metadata_reads: u64,
    /// The bytes of these reads.
    pub metadata_bytes: u64,
    /// Entries that were not chosen, as [`Outcome::left_out`](crate::Outcome::left_out) has it.
    pub left_out: u64,
    /// Entries that cannot be restored, as far as that can be known without reading files.
    pub problem_count: u64,
    /// Those of them that are files of several pieces: what is not lost of these can be salvaged.
    pub partial_files: u64,
    /// The bytes of these files, as their entries state them.
    pub partial_bytes: u64,
    /// The first 10,000 of the problems; fewer where their paths are very long.
    pub problems: Vec<Problem>,
    /// The numbers of the packs that contents are read from, each with how many ranges and bytes.
    pub(crate) pack_reads: Vec<(u32, u64, u64)>,
    /// Blobs of directories and lists that have to be fetched from an archive first.
    pub(crate) cold: Vec<BlobId>,
}

/// Adds up what a restore of an entry reads.
///
/// # Errors
/// What ends the restore of anything, which planning alone never meets.
pub(crate) fn measure(entry: &Entry, options: &Options) -> Result<Figures> {
    let tally = Tally::new(&());
    let counter = Counter { tally: &tally, checks: Checks::default(), counts: RefCell::default() };
    let context = Context {
        repository: entry.repository(),
        options,
        tally: &tally,
        folding: Folding::default(),
        read_at_least: read_at_least(options),
        large_files: usize::MAX,
        destination: None,
        crew: &counter,
    };
    let before = entry.repository().traffic();
    Planner::new(context, entry).run(entry);
    let metadata = entry.repository().traffic() - before;
    let Counts { mut figures, packs, error } = counter.counts.into_inner();
    let outcome = tally.finish();
    (figures.metadata_reads, figures.metadata_bytes) = (metadata.reads, metadata.bytes);
    figures.packs = packs.len() as u64;
    figures.pack_reads = packs.into_iter().map(|(pack, (ranges, bytes))| (pack, ranges, bytes)).collect();
    figures.left_out = outcome.left_out;
    figures.problem_count = outcome.problem_count;
    figures.problems = outcome.problems;
    let cold = figures.problems.iter().filter_map(|problem| problem.reason.defect()?.cold_blob().cloned());
    figures.cold = cold.collect::<HashSet<_>>().into_iter().collect();
    if entry.kind() != EntryKind::Directory {
        // A single file has no directory of its own.
        figures.directories = 0;
    }
    error.map_or(Ok(figures), Err)
}

/// A crew that counts what it would do.
struct Counter<'t> {
    tally: &'t Tally<'t>,
    checks: Checks,
    counts: RefCell<Counts>,
}

#[derive(Default)]
struct Counts {
    figures: Figures,
    /// Ranges and bytes of each.
    packs: HashMap<u32, (u64, u64)>,
    error: Option<Error>,
}

impl Crew for Counter<'_> {
    fn take(&self, batch: Batch) {
        self.counts.borrow_mut().batch(&batch, self.tally);
    }

    fn checks(&self) -> &Checks {
        &self.checks
    }

    fn stopped(&self) -> bool {
        self.counts.borrow().error.is_some()
    }

    fn opens_up(&self, _: &Arc<Directory>) {}

    fn give_up(&self, error: Error) {
        self.counts.borrow_mut().error.get_or_insert(error);
    }
}

impl Counts {
    fn batch(&mut self, batch: &Batch, tally: &Tally<'_>) {
        for read in batch.reads() {
            if let Some(pack) = read.pack() {
                let (ranges, bytes) = self.packs.entry(pack).or_default();
                *ranges += 1;
                *bytes += read.length() as u64;
            }
            self.figures.ranges += 1;
            self.figures.bytes_to_read += read.length() as u64;
        }
        for item in &batch.items {
            match item {
                Item::Small(entry) => self.entry(entry),
                Item::Large(file) if file.one_done() => self.large_file(file, tally),
                Item::Large(_) => {}
            }
        }
        for chore in &batch.chores {
            match chore {
                Chore::Write(entry) => self.entry(entry),
                Chore::FinishFile(file) => self.large_file(file, tally),
                Chore::FinishDirectory(directory) => self.directory(directory),
                // There is no target that had something before.
                Chore::Discard(..) | Chore::OpenUp(..) | Chore::Tag | Chore::Publish | Chore::Flush => {}
            }
        }
    }

    fn entry(&mut self, entry: &SmallEntry) {
        if entry.symlink {
            self.figures.symlinks += 1;
        } else {
            self.file(entry);
        }
        self.child_done(&entry.directory);
    }

    fn large_file(&mut self, file: &LargeFile, tally: &Tally<'_>) {
        // Who writes a file reports its lost pieces once it has the others; the planner only notes them.
        match file.take_failed().reason {
            Some(reason) => {
                self.figures.partial_files += 1;
                self.figures.partial_bytes = self.figures.partial_bytes.saturating_add(file.entry.size);
                tally.problem(file.entry.path(), reason);
            }
            None => self.file(&file.entry),
        }
        self.child_done(&file.entry.directory);
    }

    fn file(&mut self, entry: &SmallEntry) {
        self.figures.files += 1;
        self.figures.bytes = self.figures.bytes.saturating_add(entry.size);
    }

    fn child_done(&mut self, directory: &Arc<Directory>) {
        if directory.one_done() {
            self.directory(directory);
        }
    }

    /// Counts a directory in which everything is counted, and those that waited for nothing else.
    fn directory(&mut self, directory: &Arc<Directory>) {
        let mut next = Some(directory);
        while let Some(directory) = next {
            self.figures.directories += 1;
            next = directory.parent.as_ref().filter(|parent| parent.one_done());
        }
    }
}
