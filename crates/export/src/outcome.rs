//! What an export did, and what it could not do.

use std::fmt;
use std::ops::Range;

use kopia_format::stub::Stub;
use kopia_repository::Defect;

/// How many problems an [`Outcome`] keeps, and about how many bytes of paths; observers are told of all.
const KEPT: usize = 10_000;
const KEPT_BYTES: usize = 16 << 20;

/// How many lost ranges of one file a message names.
const SHOWN: usize = 5;

/// How many files that stand for others an [`Outcome`] keeps.
const STUBS: usize = 100;

/// The end of an export that ran to the end: the archive is whole, and has all that could be had.
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use]
pub struct Outcome {
    /// Files in the archive, those with lost bytes included.
    pub files: u64,
    /// Directories in the archive; the root is one.
    pub directories: u64,
    /// Symbolic links in the archive.
    pub symlinks: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Bytes of files that were read twice, as the files do not fit into the window.
    pub checked: u64,
    /// Entries that were not chosen, with all below them as far as their number is known.
    pub left_out: u64,
    /// Bytes that were written: of the archive itself.
    pub archive_bytes: u64,
    /// Entries that are missing, doubled or incomplete. Nothing else counts as a problem.
    pub problem_count: u64,
    /// The first 10,000 of them; fewer where their paths are very long.
    pub problems: Vec<Problem>,
    /// Entries whose names were not UTF-8 when they were backed up: U+FFFD stands for what kopia did not
    /// keep.
    pub names: u64,
    /// Entries of a zip whose names have `\` or `:`. Unix has them as they are; programs on Windows take the
    /// one for what divides names, and the other for the end of a drive, or for a stream.
    pub foreign_names: u64,
    /// Files that stand for others, which the snapshot does not have: `kopia snapshot fix` could not read
    /// them, or `kopia restore --shallow` did not restore them before they were backed up.
    pub stub_count: u64,
    /// The first 100 of them.
    pub stubs: Vec<FoundStub>,
    /// How many bytes the paths of the problems have.
    kept_bytes: usize,
}

/// A file that stands for another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundStub {
    /// Its path below the root of the export.
    pub path: String,
    /// What it stands for.
    pub stub: Stub,
}

/// One entry that is missing, doubled or incomplete.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Problem {
    /// Its path below the root of the export, empty for the root.
    pub path: String,
    /// What is wrong.
    pub defect: Defect,
    /// Which bytes of the file are zeros because they are lost, in order; empty if it is left out, or has all
    /// its bytes.
    pub lost: Vec<Range<u64>>,
}

impl Outcome {
    /// Keeps a problem, with which so many others are lost.
    pub(crate) fn add(&mut self, problem: Problem, below: u64) {
        self.problem_count = self.problem_count.saturating_add(1).saturating_add(below);
        if self.problems.len() < KEPT && self.kept_bytes < KEPT_BYTES {
            self.kept_bytes += problem.path.len();
            self.problems.push(problem);
        }
    }

    /// Notes a file that stands for another.
    pub(crate) fn add_stub(&mut self, path: &str, stub: &Stub) {
        self.stub_count += 1;
        if self.stubs.len() < STUBS {
            self.stubs.push(FoundStub { path: path.into(), stub: stub.clone() });
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "." } else { &self.path };
        // A name may hold line breaks and escapes, which must not reach a terminal as they are.
        let quoted = format!("{path:?}");
        let plain = quoted.len() == path.len() + 2;
        write!(f, "{}: {}", if plain { path } else { &quoted }, self.defect)?;
        if self.lost.is_empty() {
            return Ok(());
        }
        let bytes: u64 = self.lost.iter().map(|range| range.end - range.start).sum();
        write!(f, "; it has {bytes} bytes of zeros at")?;
        for (number, range) in self.lost.iter().take(SHOWN).enumerate() {
            write!(f, "{} {}..{}", if number == 0 { "" } else { "," }, range.start, range.end)?;
        }
        match self.lost.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more places"),
        }
    }
}
