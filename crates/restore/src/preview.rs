//! What a restore would do, found out without writing anything.
//!
//! It walks as the restore does and decides as the restore does, reads what the target has where only its
//! bytes can tell, and creates nothing, not even for a moment.

mod extras;
mod walk;

use std::borrow::Cow;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::destination::staging;
use crate::destination::target::find;
use crate::outcome::{is_full, keep};
use crate::{Error, Notes, Options, Portion, Problem, Result};
use walk::DryRun;

/// What would happen to one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The target does not have it: it is written.
    Write,
    /// The target has something else by its name, which it replaces.
    Replace,
    /// The target has a large file that differs, which is changed where it does.
    Change,
    /// The target has it already. Owner, mode and time are put right where they differ.
    Keep,
    /// What the target has is as new or newer, and stays as it is: [`Options::newer`].
    Leave,
    /// The snapshot does not have it: it is deleted, with all below it.
    Delete,
}

/// One entry and what would happen to it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Its path below the target, empty for the target itself.
    pub path: String,
    /// What would happen to it.
    pub action: Action,
    /// Whether it is a directory of the snapshot.
    pub directory: bool,
    /// The bytes of a file of the snapshot.
    pub bytes: u64,
}

/// What would happen in all.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Preview {
    /// Files and links that would be written, replacing something or not.
    pub written: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Directories that would be made.
    pub directories: u64,
    /// Files and links that would be kept.
    pub kept: u64,
    /// Files and links that would stay because the snapshot's are not newer.
    pub left_as_new: u64,
    /// Entries that would be deleted, each with all below it.
    pub deleted: u64,
    /// What would not be deleted, as [`Outcome::mounts_kept`](crate::Outcome::mounts_kept) has it.
    pub mounts_kept: Vec<String>,
    /// Where nothing would be deleted, as [`Outcome::restores_kept`](crate::Outcome::restores_kept) has it.
    pub restores_kept: Vec<String>,
    /// What would not be deleted, as [`Outcome::extras_kept`](crate::Outcome::extras_kept) has it.
    pub extras_kept: u64,
    /// What was not chosen, as [`Outcome::left_out`](crate::Outcome::left_out) has it.
    pub left_out: u64,
    /// How many bytes must be free so that everything can be written before anything is replaced.
    pub room: u64,
    /// How many bytes must be free at least: each file that replaces another frees the older one's bytes
    /// before the next is written, as the restore does where room is short. What is deleted frees nothing
    /// before the end.
    pub least_room: u64,
    /// How many bytes are free now, where that is known.
    pub free: Option<u64>,
    /// How many inodes must be free at least, counted as for [`Self::least_room`].
    pub least_inodes: u64,
    /// How many inodes are free now, where the file system states that.
    pub free_inodes: Option<u64>,
    /// Entries that would be written whose names have `\` or `:`, where a share or FUSE file system may take these
    /// for something else: the restore tries that, and refuses such names then.
    pub doubtful_names: u64,
    /// What could not be restored, as far as that can be known without reading the repository's files.
    pub problem_count: u64,
    /// Those of them that lie below directories which the target's file system cannot hold, and have no problem of
    /// their own.
    pub unfit_below: u64,
    /// Those of them that could not be deleted, as [`Outcome::undeleted`](crate::Outcome::undeleted) has it.
    pub undeleted: u64,
    /// The first 10,000 of them; fewer where their paths are very long.
    pub problems: Vec<Problem>,
    /// Names and owners that could not be restored exactly, with special bits.
    ///
    /// That is foreseen as far as can be without trying.
    pub notes: Notes,
}

impl Preview {
    /// Returns whether there may be problems that [`Self::problems`] does not have. [`Self::problem_count`] does not
    /// tell that: it counts what lies below a directory as well, which has no problem of its own.
    pub fn may_lack_problems(&self) -> bool {
        is_full(&self.problems)
    }

    /// Adds what another restore into the same target would do after this one.
    pub fn add(&mut self, other: Self) {
        self.written += other.written;
        self.bytes += other.bytes;
        self.directories += other.directories;
        self.kept += other.kept;
        self.left_as_new += other.left_as_new;
        self.deleted += other.deleted;
        self.mounts_kept.extend(other.mounts_kept);
        self.restores_kept.extend(other.restores_kept);
        self.extras_kept += other.extras_kept;
        self.left_out += other.left_out;
        self.room = self.room.saturating_add(other.room);
        self.least_room = self.least_room.saturating_add(other.least_room);
        self.free = self.free.or(other.free);
        self.least_inodes = self.least_inodes.saturating_add(other.least_inodes);
        self.free_inodes = self.free_inodes.or(other.free_inodes);
        self.doubtful_names += other.doubtful_names;
        self.problem_count += other.problem_count;
        self.unfit_below = self.unfit_below.saturating_add(other.unfit_below);
        self.undeleted += other.undeleted;
        keep(&mut self.problems, other.problems);
        self.notes.add(other.notes);
    }
}

/// Foresees what [`restore`](crate::restore()) would do with the same arguments, entry by entry.
///
/// # Errors
/// As for [`restore`](crate::restore()), as far as nothing has to be written for them.
pub fn preview(
    entry: &Entry,
    target: impl AsRef<Path>,
    options: &Options,
    visit: impl FnMut(&Change),
) -> Result<Preview> {
    foresee(entry, target.as_ref(), options, true, visit)
}

/// Compares an entry of a snapshot with a directory of the local system, which is only read.
///
/// What differs is told as what a restore would change: [`Action::Write`] is what the directory lacks,
/// [`Action::Delete`] what the snapshot lacks, with [`Options::delete_extra`]. [`Options::existing`] says whether
/// sizes and times are compared, or bytes.
///
/// # Errors
/// As for [`preview`], but the directory need not be writable.
pub fn compare(
    entry: &Entry,
    directory: impl AsRef<Path>,
    options: &Options,
    visit: impl FnMut(&Change),
) -> Result<Preview> {
    foresee(entry, directory.as_ref(), options, false, visit)
}

/// Foresees what a restore would do; `writes` says whether the target must be writable.
fn foresee(
    entry: &Entry,
    target: &Path,
    options: &Options,
    writes: bool,
    visit: impl FnMut(&Change),
) -> Result<Preview> {
    let (path, name) = find(entry, target)?;
    let error = |what, source| Error::Target { path: path.clone(), what, source, unfinished: None };
    let handle = if path.is_dir() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&path, flags, Mode::empty());
        let opened = opened.map_err(|errno| error("cannot be opened", errno.into()))?;
        if writes {
            may_write(&path, true).map_err(|source| error("cannot be written", source))?;
            let busy = staging::is_busy(opened.as_fd(), entry.object(), name.is_some());
            if busy.map_err(|source| error("cannot be written", source))? {
                return Err(Error::Busy { target: path });
            }
        }
        Some(Arc::new(opened))
    } else {
        let parent = path.ancestors().skip(1).find(|path| path.as_os_str().is_empty() || path.exists());
        let parent = parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if writes {
            may_write(parent, false).map_err(|source| error("cannot be created", source))?;
        }
        None
    };
    let guessed = u64::from(writes && is_guessed(entry, options));
    let options = &of_kind(entry, options);
    let mut dry_run = DryRun::new(options, (&path, handle), visit);
    match name {
        Some(name) => dry_run.single(entry, &name),
        None => dry_run.directories(entry),
    }
    let mut preview = dry_run.end();
    preview.notes.guessed = guessed;
    Ok(preview)
}

/// Returns options for an entry: of what is no directory, everything is chosen, and attributes that are a guess
/// are left.
pub(crate) fn of_kind<'o>(entry: &Entry, options: &'o Options) -> Cow<'o, Options> {
    let is_directory = entry.kind() == EntryKind::Directory;
    let mut own = Cow::Borrowed(options);
    if !is_directory && options.chosen.is_some() {
        own.to_mut().chosen = None;
    }
    if entry.is_guessed() {
        let own = own.to_mut();
        if is_directory {
            own.root_attributes = false;
        } else {
            (own.skip_owners, own.skip_permissions, own.skip_times) = (true, true, true);
        }
    }
    own
}

/// Returns whether the root's attributes are a guess and would be set by these options if they were none.
pub(crate) fn is_guessed(entry: &Entry, options: &Options) -> bool {
    let skips_all = options.skip_owners && options.skip_permissions && options.skip_times;
    // Shards leave the root to the finish.
    let leaves = skips_all
        || matches!(options.portion, Portion::Shard(_))
        || entry.kind() == EntryKind::Directory && !options.root_attributes;
    entry.is_guessed() && !leaves
}

/// Asks the system whether entries can be made in a directory. The owner of the target needs no right: the
/// restore gives it.
fn may_write(directory: &Path, is_target: bool) -> io::Result<()> {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    match rustix::fs::accessat(CWD, directory, access, AtFlags::EACCESS) {
        Err(Errno::ACCESS) if is_target && owns(directory) => Ok(()),
        // What the system cannot answer is found out by writing.
        Err(errno @ (Errno::ACCESS | Errno::ROFS | Errno::NOTDIR)) => Err(errno.into()),
        _ => Ok(()),
    }
}

fn owns(directory: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    fs::metadata(directory).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user)
}

/// Returns whether a target has all that is chosen of a directory, with all its bytes. It stops at the first
/// thing that it has not.
pub(crate) fn is_there(entry: &Entry, target: &Path, options: &Options) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(target, flags, Mode::empty());
    let handle = opened.map_err(|errno| Error::Target {
        path: target.into(),
        what: "cannot be opened",
        source: errno.into(),
        unfinished: None,
    })?;
    let Options { owners, chosen, .. } = options.clone();
    let options = Options { owners, chosen, ..Options::default() };
    let mut dry_run = DryRun::new(&options, (target, Some(Arc::new(handle))), |_: &Change| ());
    dry_run.until_different = true;
    dry_run.directories(entry);
    let Preview { written, directories, problem_count, .. } = dry_run.end();
    Ok(written == 0 && directories == 0 && problem_count == 0)
}

#[cfg(test)]
mod tests;
