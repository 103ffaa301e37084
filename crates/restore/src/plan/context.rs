//! What the planner knows, and whom it hands its batches to.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use kopia_repository::{Entry, Repository};

use super::batch::Batch;
use super::checks::Checks;
use super::room::Room;
use crate::destination::Side;
use crate::destination::directory::{Directory, DirectoryKind};
use crate::destination::folding::Folding;
use crate::destination::handles;
use crate::destination::metadata::Attributes;
use crate::destination::metadata::keep::Creator;
use crate::destination::metadata::probe::ProbedDefaults;
use crate::destination::reserved::Reserved;
use crate::destination::staging::Staging;
use crate::destination::target::Target;
use crate::kept::Keeping;
use crate::shard::IncompleteFiles;
use crate::tally::Tally;
use crate::{Error, Options};

/// How many bytes one read has at least where hashes are verified.
///
/// There may be fewer side by side.
const VERIFIED_AT_ONCE: u64 = 8 << 20;

/// What the planner knows before it begins.
pub(crate) struct Context<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) options: &'a Options,
    pub(crate) tally: &'a Tally<'a>,
    /// Which names are one in the target.
    pub(crate) folding: Folding,
    /// How many bytes one read has, where there are as many side by side.
    pub(crate) read_at_least: u64,
    /// How many files that are written in pieces may be open.
    pub(crate) large_files: usize,
    /// Where entries go; nowhere if it is only to be known what would be read.
    pub(crate) destination: Option<Destination<'a>>,
    pub(crate) crew: &'a dyn Crew,
}

/// The directory that entries go to, and what was there before. The planner only looks at it.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    pub(crate) target: &'a Target,
    pub(crate) staging: &'a Staging,
    pub(crate) defaults: ProbedDefaults,
    /// Which names the target takes for something else.
    pub(crate) reserved: Reserved,
    pub(crate) room: &'a Room,
    /// Where what is replaced is kept, if it is to be.
    pub(crate) kept: Option<&'a Keeping>,
    /// What the shards that are to be finished could not write whole.
    pub(crate) incomplete: &'a IncompleteFiles,
    /// How many directories of the staging tree the planner may keep open.
    pub(crate) directories: usize,
}

impl Destination<'_> {
    /// Returns the path of the unfinished directory, for messages only.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.staging.path(self.target)
    }
}

/// Works on what the planner hands over.
pub(crate) trait Crew {
    /// Takes a batch once there is room for it.
    ///
    /// It is worked on side by side with the planner.
    fn take(&self, batch: Batch);

    /// Returns what the crew gives back, and when it is through.
    fn checks(&self) -> &Checks;

    /// Returns whether the planner is to stop.
    fn stopped(&self) -> bool;

    /// Notes that a directory of the target will be opened up as soon as something in it is looked at. Those
    /// that it lies in come first.
    fn opens_up(&self, directory: &Arc<Directory>);

    /// Ends everything because of something that would hit every entry.
    fn give_up(&self, error: Error);
}

impl Context<'_> {
    /// Returns whether the planner is to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.crew.stopped()
    }

    /// Ends the restore because of what the system says of the target; what is staged stays for the next run.
    pub(crate) fn give_up_target(&self, what: &'static str, error: &io::Error) {
        if let Some(destination) = &self.destination {
            self.give_up_at(destination.target.path.clone(), what, error);
        }
    }

    /// As [`Self::give_up_target`], because of something in a directory, or of that itself for an empty name.
    pub(crate) fn give_up(
        &self,
        side: Side,
        directory: &Directory,
        name: &[u8],
        (what, error): (&'static str, &io::Error),
    ) {
        if let Some(destination) = &self.destination {
            let mut path = match side {
                Side::Target => destination.target.path.clone(),
                Side::Staging => destination.unfinished(),
            };
            for below in [directory.path_of("").as_bytes(), name] {
                // Nothing would add a slash.
                if !below.is_empty() {
                    path.push(OsStr::from_bytes(below));
                }
            }
            self.give_up_at(path, what, error);
        }
    }

    fn give_up_at(&self, path: PathBuf, what: &'static str, error: &io::Error) {
        let unfinished = self.destination.as_ref().map(Destination::unfinished);
        self.crew.give_up(Error::Target { path, what, source: handles::copy(error), unfinished });
    }

    /// Returns whether more than what is closed to this process for good would be lost, or get to its place without
    /// having been compared, if the restore went on without what is staged in a directory, of which the system says
    /// this.
    pub(crate) fn loses_staged(&self, directory: &Directory, error: &io::Error) -> bool {
        let is_closed = error.kind() == io::ErrorKind::PermissionDenied;
        !is_closed || directory.kind == DirectoryKind::Inner || self.options.is_finish()
    }

    /// Returns what a directory in `parent` gets that nothing but the name of an entry asks for.
    pub(crate) fn of_directory(&self, entry: &Entry, parent: &Directory) -> Attributes {
        let described = || Attributes::of(entry, self.options);
        let above = parent.parent.as_ref().map(|_| &parent.attributes);
        self.destination.map_or_else(described, |destination| {
            destination.defaults.of_directory(entry, &self.options.owners, above)
        })
    }

    /// Returns whose files become that are made in the target.
    pub(crate) fn creator(&self) -> Creator {
        self.destination.map_or_else(Creator::of_process, |destination| destination.defaults.creator)
    }

    /// Notes that a file or directory is not known to be whole.
    ///
    /// A directory's path ends in `/`.
    ///
    /// Shards alone keep this in mind, for the finish.
    pub(crate) fn note_incomplete(&self, path: String, why: String) {
        if let Some(destination) = &self.destination {
            destination.incomplete.add(path, why);
        }
    }
}

/// Returns how many bytes one read has, where there are as many side by side.
pub(crate) fn read_at_least(options: &Options) -> u64 {
    // Several of the largest contents at once, so that their hashes are computed side by side.
    if options.verify_hashes { VERIFIED_AT_ONCE } else { 0 }
}
