//! Proves what can be read: every content of the index, or of one snapshot, and every object made of them.
//!
//! First the directories are walked: each must parse, and every content that a directory, file or link needs
//! must be in the index. Then contents are read pack by pack, each range once; every one must open,
//! decompress, and have its length and its hash. What objects name by its compressed bytes (`Z`) must unpack,
//! too, to as many bytes as their entries or lists say. Where something is wrong, the trees are walked once more to
//! say which paths of which snapshots it costs.
//!
//! `kopia snapshot verify` and `kopia content verify` (`snapshot/snapshotfs/snapshot_verifier.go`,
//! `repo/content/content_manager_iterate.go`) ask the same questions apart from each other.

mod affected;
mod cold;
mod contents;
mod headed;
mod history;
mod part;
mod rotation;
mod walk;

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use kopia_format::stub::Stub;
use kopia_format::{BlobId, ContentId, ObjectId};

use crate::choice::Chosen;
use crate::tree::Walk;
use crate::unindexed::{Packs, UnindexedPack};
use crate::{Defect, Entry, Error, Repository, Result, Snapshot, Snapshots};

pub use history::{History, HistoryError};
pub use part::Part;
pub use rotation::{Rotated, Rotation, Standing};
use walk::Survey;

/// How many damaged contents and lost entries a [`Report`] keeps; observers are told of all.
const KEPT: usize = 10_000;

/// About how many bytes of paths a [`Report`] keeps.
const KEPT_BYTES: usize = 16 << 20;

/// What is verified.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Only contents of this part of the packs. Directories are walked in every part.
    pub part: Part,
    /// Where a percentage of the packs begins, in their order.
    ///
    /// 0 is at the first one, 0.5 in the middle. A program that verifies now and then should take another one
    /// each time, such as a random one, or some packs are never read.
    pub start: f64,
    /// Packs are read in turn, those that were read longest ago first; `part` and `start` mean nothing then.
    ///
    /// For [`Repository::verify`] alone: of what one entry needs, a pack may hold only a part.
    pub rotation: Option<Rotation>,
    /// What is verified of a directory, and the contents that it needs; everything by default. It must have
    /// been made among the entries that are verified, and is for [`Repository::verify_entry`] and
    /// [`Repository::verify_entries`] alone.
    pub chosen: Option<Chosen>,
}

impl Options {
    /// Returns whether all packs are read, neither a part of them nor some in turn.
    pub fn is_whole(&self) -> bool {
        self.part == Part::default() && self.rotation.is_none()
    }
}

/// One of several entries that are verified together, for [`Repository::verify_entries`].
#[derive(Debug, Clone)]
pub struct Subject {
    /// The snapshot that it belongs to, if it does, for the report.
    pub snapshot: Option<Snapshot>,
    /// The entry, with all below it.
    pub entry: Entry,
    /// What its paths begin with in the report, such as its own path below the root; empty for nothing.
    pub path: String,
}

impl Subject {
    /// Verifies an entry with paths that begin at it.
    fn new(snapshot: Option<&Snapshot>, entry: &Entry) -> Self {
        Self { snapshot: snapshot.cloned(), entry: entry.clone(), path: String::new() }
    }
}

/// Is told what happens, from many threads at once.
pub trait Observer: Sync {
    /// So many stored bytes of contents are to be read.
    fn total(&self, bytes: u64) {
        let _ = bytes;
    }

    /// A content of so many stored bytes was looked at.
    fn content(&self, bytes: u64) {
        let _ = bytes;
    }

    /// A content cannot be read.
    fn damage(&self, damage: &Damage) {
        let _ = damage;
    }

    /// An entry of a snapshot cannot be restored as it was. See [`Report::untold_count`] for those that are
    /// counted only.
    fn affected(&self, entry: &AffectedEntry) {
        let _ = entry;
    }
}

/// Watches nothing.
impl Observer for () {}

/// What was verified, and what is wrong.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Packs whose contents were read, of those that hold any that are wanted.
    pub packs: Coverage,
    /// Contents that were read, of those that are wanted. Contents marked deleted are not, unless a snapshot
    /// needs them.
    pub contents: Coverage,
    /// Stored bytes of contents that were read, of those that are wanted.
    pub stored_bytes: Coverage,
    /// Plain bytes that were hashed.
    pub plain_bytes: u64,
    /// Different directories that were walked.
    pub directories: u64,
    /// Different files and links in them.
    pub files: u64,
    /// The sizes of these together, in bytes, as their entries say.
    pub file_bytes: u64,
    /// Entries that were not chosen, with all below them as far as their number is known. Where a directory lies in
    /// several places and the same of it is chosen, they count once.
    pub left_out: u64,
    /// Contents that what was walked needs although they are marked deleted.
    ///
    /// A snapshot that was taken while kopia's garbage collection ran may need such. The next collection takes
    /// the mark back; kopia removes what is still marked after that.
    pub needed_deleted_count: u64,
    /// Contents that cannot be read.
    pub damage_count: u64,
    /// 10,000 of them at most, by pack and offset.
    pub damage: Vec<Damage>,
    /// Entries that cannot be restored as they were, once for each snapshot and path. `u64::MAX` stands for all
    /// numbers that are larger as well.
    pub affected_count: u64,
    /// How many of them are counted only, and told to nobody.
    ///
    /// A directory may lie in many places. Each entry is told at least once. A directory is searched some 10,000
    /// times for its further paths, unless some 260,000 entries of it were told by then, and all of them together
    /// some four million times, until some four million entries were told or 270 million looked at; with more, these
    /// are counted. At least one entry is told of each snapshot that has any. The newest snapshots come first.
    pub untold_count: u64,
    /// The first 10,000 of them.
    pub affected: Vec<AffectedEntry>,
    /// Files that stand for others, which is no damage of what is there.
    ///
    /// `kopia snapshot fix` could not read these, or `kopia restore --shallow` did not restore them.
    pub stub_count: u64,
    /// The first 100 of them, by the names that they have in their directories.
    pub stubs: Vec<(String, Stub)>,
    /// Packs that no index entry names, if everything was verified.
    ///
    /// There are some in sound repositories, too ([`UnindexedPack::is_expected`]); but an index blob that is
    /// missing altogether shows in nothing else.
    pub unindexed: Vec<UnindexedPack>,
    /// Why packs that no index names could not be searched for.
    ///
    /// Nothing if they were, or not everything was to be verified.
    pub unsearched: Option<Error>,
    /// Why parts of the list of snapshots cannot be read, if everything was verified.
    pub unlisted: Vec<Arc<Error>>,
    /// What is known of all packs where they are read in turn, and what the next run has to know.
    pub rotated: Option<Rotated>,
}

/// How much of something was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Coverage {
    /// What was looked at.
    pub verified: u64,
    /// What there is.
    pub of: u64,
}

/// A content that cannot be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Damage {
    /// The content.
    pub content: ContentId,
    /// Its pack.
    pub pack: BlobId,
    /// Where it lies there, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub error: Error,
}

/// An entry that cannot be restored as it was.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AffectedEntry {
    /// The snapshot that has it; nothing where an object was named.
    pub snapshot: Option<Snapshot>,
    /// Its path below the root, empty for the root.
    pub path: String,
    /// The object that it names: it has what is left of it.
    pub object: Option<ObjectId>,
    /// What is wrong.
    pub reason: Defect,
}

impl Report {
    /// Returns whether nothing is wrong with what was looked at.
    ///
    /// No index blob may seem to be missing either.
    pub fn is_sound(&self) -> bool {
        self.damage_count == 0
            && self.affected_count == 0
            && self.unlisted.is_empty()
            && self.unsearched.is_none()
            && self.unexpected().next().is_none()
    }

    /// Returns the packs that an index blob should name that is missing.
    pub fn unexpected(&self) -> impl Iterator<Item = &UnindexedPack> {
        self.unindexed.iter().filter(|pack| !pack.is_expected())
    }
}

impl Repository {
    /// Verifies all contents of the index, and all snapshots that are not deleted. Of contents that are marked
    /// deleted, those are verified that such a snapshot needs.
    ///
    /// Packs that no index entry names say what they hold.
    ///
    /// # Errors
    /// As for [`Repository::snapshots`], unless the list can be read in part, and
    /// [`kopia_storage::Error::NoBlobs`] behind a server. Everything else that is wrong is in the report.
    pub fn verify(&self, options: &Options, observer: &dyn Observer) -> Result<Report> {
        self.indexes()?;
        let snapshots = self.list_snapshots(true)?;
        let (mut roots, mut rootless) = (Vec::new(), Vec::new());
        // What is told first is not cut short.
        let mut newest_first: Vec<_> = promised(&snapshots).collect();
        newest_first.sort_by_key(|snapshot| Reverse(snapshot.order()));
        for snapshot in newest_first {
            match snapshot.root() {
                Ok(root) => roots.push(Subject::new(Some(snapshot), &root)),
                Err(error) => rootless.push(AffectedEntry {
                    snapshot: Some(snapshot.clone()),
                    path: String::new(),
                    object: None,
                    reason: error.into(),
                }),
            }
        }
        let mut report = verify(self, (&roots, rootless), None, options, observer);
        report.unlisted = snapshots.lost().to_vec();
        match self.unindexed_packs(Packs::All) {
            Ok(packs) => report.unindexed = packs,
            Err(error) => report.unsearched = Some(error),
        }
        Ok(report)
    }

    /// Verifies an entry and all below it, and the contents that they need.
    ///
    /// `snapshot` is the one that the entry belongs to, for the report.
    ///
    /// # Errors
    /// [`kopia_storage::Error::NoBlobs`] behind a server, which has no packs to be read.
    pub fn verify_entry(
        &self,
        snapshot: Option<&Snapshot>,
        entry: &Entry,
        options: &Options,
        observer: &dyn Observer,
    ) -> Result<Report> {
        self.verify_entries(&[Subject::new(snapshot, entry)], options, observer)
    }

    /// Verifies several entries, all below them, and the contents that they need, each content once.
    ///
    /// # Errors
    /// As for [`Repository::verify_entry`].
    pub fn verify_entries(
        &self,
        subjects: &[Subject],
        options: &Options,
        observer: &dyn Observer,
    ) -> Result<Report> {
        self.indexes()?;
        Ok(verify(self, (subjects, Vec::new()), Some(HashSet::new()), options, observer))
    }
}

/// Returns the snapshots that everybody may restore: of deleted ones nothing is promised.
fn promised(snapshots: &Snapshots) -> impl Iterator<Item = &Snapshot> {
    snapshots.iter().filter(|snapshot| !snapshot.is_deleted())
}

/// Verifies some entries and what lies below them, and the contents that they need.
///
/// Without a set for what is needed, all contents are verified that are not marked deleted or that they need.
/// `lost` are entries that are lost anyway.
fn verify(
    repository: &Repository,
    (subjects, lost): (&[Subject], Vec<AffectedEntry>),
    needed: Option<HashSet<ContentId>>,
    options: &Options,
    observer: &dyn Observer,
) -> Report {
    let mut survey = Survey::new(repository, needed);
    let chosen = options.chosen.as_ref();
    survey.run(subjects.iter().map(|subject| &subject.entry), chosen);
    let mut report = Report { directories: survey.directories, files: survey.files, ..Report::default() };
    report.file_bytes = survey.file_bytes;
    report.left_out = survey.left_out;
    report.needed_deleted_count = survey.marked.len() as u64;
    report.stub_count = survey.stub_count;
    report.stubs = std::mem::take(&mut survey.stubs);
    let damaged = contents::verify(&survey, options, observer, &mut report);
    let mut kept_bytes = 0;
    let mut tell = |entry: AffectedEntry| {
        observer.affected(&entry);
        report.affected_count += 1;
        if report.affected.len() < KEPT && kept_bytes < KEPT_BYTES {
            kept_bytes += entry.path.len();
            report.affected.push(entry);
        }
    };
    lost.into_iter().for_each(&mut tell);
    if !damaged.is_empty() || survey.any_suspect {
        let walk = Walk::new(repository).choosing(chosen);
        let untold = affected::list(repository, subjects, walk, &damaged, &survey.suspects, &mut tell);
        report.untold_count = untold;
        report.affected_count = report.affected_count.saturating_add(untold);
    }
    report
}
