//! What a restore did, and what it could not do.

use crate::reason::Reason;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use kopia_format::stub::Stub;

/// How many problems an [`Outcome`] keeps, and about how many bytes of paths; observers are told of all.
pub(crate) const KEPT: usize = 10_000;
pub(crate) const KEPT_BYTES: usize = 16 << 20;
/// How many files that stand for others it keeps.
pub(crate) const KEPT_STUBS: usize = 100;

/// How many lost ranges of one file a message names.
const SHOWN: usize = 5;

/// The end of a restore that ran to the end.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// Files that were written with all their bytes and are in their place.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Bytes of these files, whether they were written or reused.
    pub bytes: u64,
    /// Files and links that the target had already, with all their bytes.
    pub kept: u64,
    /// Files and links of the target that stayed because the snapshot's are not newer.
    ///
    /// Their bytes were not compared: [`Options::newer`](crate::Options::newer).
    pub left_as_new: u64,
    /// Bytes that were there already and right: of files that were kept, of pieces of files that were not,
    /// and of what an interrupted restore had written.
    pub bytes_kept: u64,
    /// Those of [`Self::bytes_kept`] that are in [`Self::bytes`] as well, because their file had to be
    /// completed.
    pub bytes_reused: u64,
    /// Where what was replaced and deleted is kept; nothing if nothing was changed, or it was not to be kept.
    ///
    /// That is asked for by [`Options::keep_replaced`](crate::Options::keep_replaced).
    pub kept_in: Option<PathBuf>,
    /// Whether the restore went on from where an interrupted one had stopped.
    pub resumed: bool,
    /// Entries that the snapshot does not have and that were deleted; a directory with all below it is one.
    pub deleted: u64,
    /// What is mounted in the target, and was therefore not deleted.
    ///
    /// A subvolume counts as mounted.
    pub mounts_kept: Vec<String>,
    /// Directories of the target that another restore is at work in, and in which therefore nothing was
    /// deleted; and those in extra directories in which a restore keeps what it replaced
    /// ([`KeptFolder`](crate::KeptFolder)).
    pub restores_kept: Vec<String>,
    /// Entries that the snapshot does not have and that were not deleted, because not all of the snapshot was
    /// restored.
    pub extras_kept: u64,
    /// Entries of the snapshot that were not chosen, with all below them as far as their number is known.
    pub left_out: u64,
    /// Whether the shards that were to be finished had been finished before, so that everything was there.
    pub already_finished: bool,
    /// Entries that are missing, doubled or incomplete, and those that should have been deleted and could not
    /// be. Nothing else counts as a problem.
    pub problem_count: u64,
    /// Those of them that the snapshot does not have: they could not be deleted, or not even listed.
    pub undeleted: u64,
    /// The first 10,000 of them; fewer where their paths are very long.
    pub problems: Vec<Problem>,
    /// Attributes that could not be set.
    pub notes: Notes,
    /// Files that stand for others, which the snapshot does not have: `kopia snapshot fix` could not read
    /// them, or `kopia restore --shallow` did not restore them before they were backed up. They are restored
    /// as they are.
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
    /// Entries that lost setuid, setgid or sticky bits.
    ///
    /// Their owner could not be set, or the file system has no such bits.
    pub special_bits: u64,
    /// Entries whose permissions could not be set.
    pub modes: u64,
    /// Entries whose time could not be set, or that the file system cannot hold.
    pub times: u64,
    /// Entries whose names were not UTF-8 when they were backed up: U+FFFD stands for what kopia did not
    /// keep.
    pub names: u64,
    /// Roots of snapshots of which a server tells neither owner nor permissions nor time.
    ///
    /// They keep those that they have in the target: [`Entry::is_guessed`](kopia_repository::Entry::is_guessed).
    pub guessed: u64,
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
    /// Owner, permissions and time of a root, of which a server tells none: see [`Notes::guessed`].
    Guessed,
}

/// Which attributes of an entry could not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub(crate) struct Unset {
    pub(crate) owner: bool,
    pub(crate) special_bits: bool,
    pub(crate) mode: bool,
    pub(crate) time: bool,
}

impl Unset {
    /// Lists them.
    pub(crate) fn attributes(self) -> impl Iterator<Item = Attribute> {
        let all = [
            (self.owner, Attribute::Owner),
            (self.special_bits, Attribute::SpecialBits),
            (self.mode, Attribute::Mode),
            (self.time, Attribute::Time),
        ];
        all.into_iter().filter_map(|(unset, attribute)| unset.then_some(attribute))
    }
}

/// One entry that is missing, doubled or incomplete.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Its path below the root of the restore, empty for the root.
    pub path: String,
    /// What is wrong.
    pub reason: Reason,
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

impl Outcome {
    /// Adds what another restore did, such as that of another folder into the same target.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.directories += other.directories;
        self.symlinks += other.symlinks;
        self.bytes += other.bytes;
        self.kept += other.kept;
        self.left_as_new += other.left_as_new;
        self.bytes_kept += other.bytes_kept;
        self.bytes_reused += other.bytes_reused;
        self.resumed |= other.resumed;
        self.deleted += other.deleted;
        self.kept_in = self.kept_in.take().or(other.kept_in);
        self.mounts_kept.extend(other.mounts_kept);
        self.restores_kept.extend(other.restores_kept);
        self.extras_kept += other.extras_kept;
        self.left_out += other.left_out;
        self.already_finished &= other.already_finished;
        self.problem_count += other.problem_count;
        self.undeleted += other.undeleted;
        keep(&mut self.problems, other.problems);
        self.notes.add(other.notes);
        self.stub_count += other.stub_count;
        self.stubs.extend(other.stubs);
        self.stubs.truncate(KEPT_STUBS);
    }

    /// Returns how many bytes all files have that are there now: those that were restored, and those that
    /// were kept.
    pub fn bytes_there(&self) -> u64 {
        (self.bytes + self.bytes_kept).saturating_sub(self.bytes_reused)
    }
}

impl Salvaged {
    /// Says where the rest of a file is, and which of its bytes are lost.
    pub fn new(path: impl Into<String>, lost: Vec<Range<u64>>) -> Self {
        Self { path: path.into(), lost }
    }
}

/// Returns whether no more problems are kept than these.
pub(crate) fn is_full(problems: &[Problem]) -> bool {
    problems.len() >= KEPT || bytes_of(problems) >= KEPT_BYTES
}

/// Returns how many bytes the paths of problems have.
fn bytes_of(problems: &[Problem]) -> usize {
    problems.iter().map(|problem| problem.path.len()).sum()
}

/// Keeps as many more problems as there is room for.
pub(crate) fn keep(problems: &mut Vec<Problem>, more: Vec<Problem>) {
    let mut bytes = bytes_of(problems);
    for problem in more {
        if problems.len() >= KEPT || bytes >= KEPT_BYTES {
            break;
        }
        bytes += problem.path.len();
        problems.push(problem);
    }
}

impl Notes {
    /// Adds those of another restore.
    pub(crate) fn add(&mut self, other: Self) {
        self.owners += other.owners;
        self.special_bits += other.special_bits;
        self.modes += other.modes;
        self.times += other.times;
        self.names += other.names;
        self.guessed += other.guessed;
    }

    /// Returns whether every attribute was set.
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
        write!(f, "{}: {}", if plain { path } else { &quoted }, self.reason)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_problems_are_kept_as_their_number_and_their_paths_allow() {
        for (length, most) in [(1, KEPT), (KEPT_BYTES / 4, 4)] {
            let problem = Problem { path: "x".repeat(length), reason: Reason::NotEmpty, salvaged: None };
            let mut problems = vec![problem.clone(); most - 1];
            assert!(!is_full(&problems), "{length}");
            keep(&mut problems, vec![problem; 2]);
            assert_eq!((problems.len(), is_full(&problems)), (most, true), "{length}");
        }
    }

    #[test]
    fn bytes_that_were_reused_count_once() {
        let outcome = Outcome { bytes: 700, bytes_kept: 50, bytes_reused: 20, ..Outcome::default() };
        assert_eq!(outcome.bytes_there(), 730);
    }

    #[test]
    fn no_more_than_five_places_of_a_file_are_named() {
        let said = |places: u64| {
            let lost = (0..places).map(|at| at * 10..at * 10 + 4).collect();
            Salvaged::new("f.partial", lost).to_string()
        };
        let five = "0..4, 10..14, 20..24, 30..34, 40..44";
        let rest = "the rest is in \"f.partial\", with";
        assert_eq!(said(1), format!("{rest} 4 bytes of zeros at 0..4"));
        assert_eq!(said(5), format!("{rest} 20 bytes of zeros at {five}"));
        assert_eq!(said(7), format!("{rest} 28 bytes of zeros at {five} and 2 more places"));
    }

    #[test]
    fn the_path_of_a_problem_is_quoted_where_it_has_to_be() {
        let said = |path: &str, salvaged| {
            Problem { path: path.into(), reason: Reason::NotEmpty, salvaged }.to_string()
        };
        let reason = Reason::NotEmpty.to_string();
        assert_eq!(said("a b/c", None), format!("a b/c: {reason}"));
        assert_eq!(said("", None), format!(".: {reason}"));
        assert_eq!(said("a\nb", None), format!("\"a\\nb\": {reason}"));
        let salvaged = Salvaged::new("p", std::iter::once(1..3).collect());
        assert_eq!(said("p", Some(salvaged.clone())), format!("p: {reason}; {salvaged}"));
    }
}
