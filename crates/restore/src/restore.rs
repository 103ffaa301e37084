//! A restore as callers see it: what is restored and how, what it would read, and where it goes.
//!
//! Options that exclude each other and an entry that cannot be read are refused here, before anything is created. The
//! steps of the restore itself are in `run`.

mod begin;
mod run;
#[cfg(test)]
mod tests;

use std::path::Path;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use kopia_repository::cold::{ColdBlobs, ColdPacks};
use kopia_repository::object::Extents;
use kopia_repository::usage::PackRead;

use crate::plan::figures::{self, Figures};
use crate::preview;
use crate::{Error, Observer, Options, Outcome, Portion, Result};
use run::run;

/// What is restored, and how: says what would be read, and runs to a directory.
///
/// Making one reads the entry's own directory, so that what is gone is known before anything is created.
/// Nothing is written before [`Self::to_directory`].
///
/// ```
/// # use kopia_repository::Repository;
/// # use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
/// use kopia_restore::{Options, Plan};
///
/// # let place = tempfile::tempdir()?;
/// # let mut writer = RepositoryWriter::new();
/// # let file = writer.file(b"hello");
/// # let root = writer.directory(&[serde_json::json!({"name": "f", "type": "f", "size": 5, "obj": file})]);
/// # writer.snapshot("app@host:/data", serde_json::json!({"name": "data", "type": "d", "obj": root}));
/// # writer.finish_in(&place.path().join("repository"))?;
/// # let store = kopia_storage::FilesystemStore::open(place.path().join("repository"))?;
/// # let repository = Repository::open(store, &kopia_codec::key::Password::from(PASSWORD))?;
/// # let root = repository.snapshots()?.iter().next().ok_or("no snapshot")?.root()?;
/// # let target = place.path().join("restored");
/// let plan = Plan::new(&root, &Options::default())?;
/// let figures = plan.figures()?;
/// println!("{} files, {} bytes to be read from {} packs", figures.files, figures.bytes_to_read, figures.packs);
/// let outcome = plan.to_directory(&target, &())?;
/// assert_eq!(outcome.files, figures.files);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Plan {
    entry: Entry,
    options: Options,
    /// Whether the root is one of [`Notes::guessed`](crate::Notes::guessed).
    is_guessed: bool,
}

impl Plan {
    /// Plans to restore an entry and all below it.
    ///
    /// # Errors
    /// [`Error::Repository`] if the entry itself cannot be read, [`Error::NoShards`] if a single file is to
    /// be restored in shards, [`Error::KeepsNothing`] and [`Error::NewerInPlace`] for options that exclude each
    /// other.
    pub fn new(entry: &Entry, options: &Options) -> Result<Self> {
        readable(entry)?;
        if options.portion != Portion::Whole && entry.kind() != EntryKind::Directory {
            return Err(Error::NoShards);
        }
        if options.keep_replaced && (options.portion != Portion::Whole || options.in_place || options.salvage)
        {
            return Err(Error::KeepsNothing);
        }
        if options.newer && options.in_place {
            return Err(Error::NewerInPlace);
        }
        let is_guessed = preview::is_guessed(entry, options);
        let options = preview::of_kind(entry, options).into_owned();
        Ok(Self { entry: entry.clone(), options, is_guessed })
    }

    /// Adds up what a restore into an empty directory restores and reads.
    ///
    /// Reads every directory of the snapshot and the lists of all large files, but no content of a file. What
    /// a target has already is not taken into account: [`preview`](crate::preview()) does that.
    ///
    /// # Errors
    /// What would end the restore. Entries that cannot be read are in [`Figures::problems`].
    pub fn figures(&self) -> Result<Figures> {
        figures::measure(&self.entry, &self.options)
    }

    /// Finds what has to be fetched from an archive before all of it can be restored.
    ///
    /// Where nothing lies in the store's archive, or it has none, this takes a listing at most. Otherwise it
    /// plans as [`Self::figures`] does. What holds directories comes first; once that can be read, another
    /// call finds the packs of files.
    ///
    /// # Errors
    /// As for [`Self::figures`], and that the store cannot list its archive.
    pub fn cold(&self) -> Result<ColdBlobs> {
        let listed = match self.entry.kind() {
            EntryKind::Directory => Some(self.entry.repository().cold_packs()?),
            // Of a single file, its own packs are soon known and looked for.
            EntryKind::File | EntryKind::Symlink => None,
        };
        let nothing = listed.as_ref().is_some_and(ColdPacks::is_empty);
        let figures = if nothing { Figures::default() } else { self.figures()? };
        self.cold_among(&figures, listed.as_ref())
    }

    /// As [`Self::cold`], of what has been planned already.
    ///
    /// # Errors
    /// That the store cannot list its archive.
    pub fn cold_of(&self, figures: &Figures) -> Result<ColdBlobs> {
        self.cold_among(figures, None)
    }

    /// Lists the packs that hold the bytes of files, sorted by name, with what is read of each, as `figures`
    /// counted them. What holds directories is listed by
    /// [`metadata_packs`](kopia_repository::usage::metadata_packs). Where a server gives contents there are none.
    ///
    /// # Errors
    /// [`Error::Repository`] if the indexes cannot be read.
    pub fn packs(&self, figures: &Figures) -> Result<Vec<PackRead>> {
        let mut packs = Vec::new();
        for &(pack, ranges, bytes) in &figures.pack_reads {
            let name = self.entry.repository().pack_name(pack)?;
            packs.extend(name.map(|name| PackRead::new(name, ranges, bytes)));
        }
        packs.sort_unstable_by(|one, other| one.blob.cmp(&other.blob));
        Ok(packs)
    }

    fn cold_among(&self, figures: &Figures, listed: Option<&ColdPacks>) -> Result<ColdBlobs> {
        let repository = self.entry.repository();
        if figures.cold.is_empty() {
            let packs: Vec<u32> = figures.pack_reads.iter().map(|(pack, ..)| *pack).collect();
            return Ok(repository.cold_among(&packs, listed)?);
        }
        Ok(repository.cold_metadata(&figures.cold)?)
    }

    /// Restores to a directory, telling an observer what happens.
    ///
    /// A directory's entries go into `target`, which gets its attributes as well. A file or link becomes
    /// `target`, or goes into it by its own name if `target` is a directory or ends in `/` or `/.`. What is
    /// missing of `target` is created. A file that is there already is kept if all its bytes are right, and
    /// otherwise replaced, never followed or written through, unless [`Options`] say otherwise; what the
    /// snapshot does not have is left alone, unless they say that too.
    ///
    /// Until everything is written it lies in the directory `.kopia-rs-restore-…` of the target; only what
    /// replaces something gets to its place before that, once it is whole and if there is too little room for
    /// both.
    ///
    /// # Errors
    /// [`crate::Error`] if nothing could be restored, or if the target failed in a way that would hit every
    /// entry. The directory of what is unfinished stays then. One that a killed restore left is taken up by
    /// the next of the same entry, which compares it by hash, and removed by one of another. What concerns
    /// single entries is in the outcome's problems.
    pub fn to_directory(&self, target: impl AsRef<Path>, observer: &dyn Observer) -> Result<Outcome> {
        run(self, target.as_ref(), observer)
    }
}

/// Restores an entry and all below it to a directory, as [`Plan::to_directory`] does.
///
/// # Errors
/// As for [`Plan::new`] and [`Plan::to_directory`].
pub fn restore(entry: &Entry, target: impl AsRef<Path>, options: &Options) -> Result<Outcome> {
    restore_observed(entry, target, options, &())
}

/// As [`restore`], telling an observer what happens.
///
/// # Errors
/// As for [`restore`].
pub fn restore_observed(
    entry: &Entry,
    target: impl AsRef<Path>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Outcome> {
    Plan::new(entry, options)?.to_directory(target, observer)
}

/// Reads the root before anything is created: a root that is gone leaves nothing to restore.
fn readable(entry: &Entry) -> Result<()> {
    for extent in Extents::new(entry.repository(), entry.object()) {
        let extent = extent?;
        if entry.kind() == EntryKind::Directory {
            entry.repository().read_extent(&extent)?;
        }
    }
    Ok(())
}
