//! A restore from its first step to its last.

#[cfg(test)]
mod tests;

use std::os::fd::AsFd;
use std::path::Path;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use kopia_repository::cold::{ColdBlobs, ColdPacks};
use kopia_repository::object::Extents;
use kopia_repository::usage::PackRead;

use crate::destination::markers::{self, DoneMarkers};
use crate::destination::merge::{Merge, Publisher};
use crate::destination::metadata::Metadata;
use crate::destination::metadata::probe::ProbedDefaults;
use crate::destination::staging::{Staging, pending, remove_markers};
use crate::destination::target::Target;
use crate::execute::{Shared, Worker};
use crate::kept::Keeping;
use crate::on_panic::AbortOnPanic;
use crate::plan::Planner;
use crate::plan::figures::{self, Figures};
use crate::preview;
use crate::shard::Incomplete;
use crate::tally::Tally;
use crate::{Attribute, Durability, Error, Existing, Observer, Options, Outcome, Portion, Result};

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

fn run(plan: &Plan, target: &Path, observer: &dyn Observer) -> Result<Outcome> {
    let Plan { entry, options, is_guessed } = plan;
    let target = Target::open(entry, target)?;
    // What had to be changed so that its owner may write in it is put right; a new directory stays closed to
    // others as long as something unfinished lies in it.
    let settle = || {
        if !target.is_new() {
            target.settle_mode();
        }
    };
    let begun = begin(entry, &target, options).inspect_err(|_| settle())?;
    let Begun { staging, lock, incomplete, already_finished } = begun;
    let mut options = options.clone();
    if already_finished {
        // All its bytes have been compared.
        options.existing = Existing::Skip;
    }
    let options = &options;
    let keeping = if options.keep_replaced {
        let begun = Keeping::begin(&target, staging.key());
        Some(begun.inspect_err(|_| {
            give_up(&target, &staging);
            settle();
            // What was made for it may have lain in the target.
            target.settle_time();
            target.remove_new();
        })?)
    } else {
        None
    };
    let tally = Tally::new(observer);
    let shared = Shared::new(entry.repository(), options, &tally, &target, &staging, incomplete);
    let shared = shared.map_err(|source| target.error("cannot be written", source));
    let mut shared = shared.inspect_err(|_| {
        settle();
        if keeping.is_some() {
            // As above; its removal, which comes next, leaves the time that is found.
            target.settle_time();
        }
    })?;
    shared.kept = keeping.as_ref();
    let shared = shared;
    // Others may write in the target of shards. The mode of one that was opened up is put back at the end only.
    if options.portion == Portion::Whole && (!target.settle_time() || target.opened_up_from().is_some()) {
        pending::note_target(&target, &staging);
    }
    target.set_usual_mode(shared.defaults.directory_mode());
    if options.portion == Portion::Whole && staging.is_left() {
        tally.resumed();
    }

    let end_early = || {
        settle();
        if options.portion == Portion::Whole {
            pending::take_back_target(&target, &staging);
        }
    };
    let merge = match work(&shared, entry) {
        Ok(merge) => merge,
        Err(mut error) => {
            // What was done stays: the next restore takes it up, once a volume is enlarged or comes back.
            match &mut error {
                Error::Target { unfinished, .. } => *unfinished = Some(staging.path(&target)),
                Error::Stopped { .. } | Error::Problem { .. } | Error::NoRoom { .. } => {}
                _ => give_up(&target, &staging),
            }
            shared.close_again();
            end_early();
            return Err(error);
        }
    };

    if let Portion::Shard(shard) = options.portion {
        // Others may still write in the target, so its mode stays.
        markers::write_done_marker(&target, &staging, shard, shared.incomplete.take())?;
        drop((shared, lock));
        return Ok(tally.finish());
    }
    let removed = put_in_place(entry, &shared, &merge).inspect_err(|_| end_early())?;
    drop(shared);
    // Else the next restore of the same would go on in it, and an undo take back both.
    let kept_in = keeping.and_then(Keeping::finish);
    removed?;
    if *is_guessed {
        let name = target.name.as_deref().unwrap_or_default();
        tally.note(&String::from_utf8_lossy(name), Attribute::Guessed);
    }
    let mut outcome = tally.finish();
    outcome.already_finished = already_finished;
    outcome.kept_in = kept_in;
    Ok(outcome)
}

/// Moves what was staged to its place, and finishes the target. Returns what the system says of the removal of
/// the unfinished folder then: what stays of it, such as a file that is open elsewhere, changes nothing else.
fn put_in_place(entry: &Entry, shared: &Shared<'_>, merge: &Merge) -> Result<Result<()>> {
    let Shared { options, target, staging, tally, .. } = *shared;
    // Nothing has been moved into folders that were opened up.
    let close_again = |_: &Error| shared.close_again();
    // With `newer` that is known already.
    if !options.newer {
        pending::note_all(target, staging, &merge.existing, &merge.moved);
    }
    if options.sync != Durability::None {
        target.sync().inspect_err(close_again)?;
    }
    let has_attributes = entry.kind() == EntryKind::Directory && !entry.is_implied();
    let root_attributes = options.root_attributes && has_attributes;
    if let Some(kept) = shared.kept {
        let noted = kept.directories(&merge.existing);
        let noted = noted.map_err(|source| Error::Target {
            path: target.path.clone(),
            what: "what is replaced cannot be kept",
            source,
            unfinished: Some(staging.path(target)),
        });
        noted.inspect_err(close_again)?;
    }
    let metadata = Metadata::new(shared.defaults, options);
    let mut publisher = Publisher {
        target,
        staging,
        tally,
        metadata,
        root_attributes,
        delete_extra: options.delete_extra,
        chosen: options.chosen.as_ref(),
        refuse_existing: options.existing == Existing::Error,
        newer: options.newer,
        kept: shared.kept,
        no_room: None,
        cut_short: None,
    };
    publisher.run(merge);
    if let Some(source) = publisher.no_room.take() {
        // What has no name yet stays staged.
        let (unfinished, target) = (staging.path(target), target.path.clone());
        return Err(Error::NoRoom {
            target,
            missing: None,
            mixed: Vec::new(),
            in_place_helps: false,
            source,
            unfinished,
        });
    }
    if let Some((directory, source)) = publisher.cut_short.take() {
        let (mut path, below) = (target.path.clone(), directory.path_of(""));
        if !below.is_empty() {
            path.push(below);
        }
        let unfinished = Some(staging.path(target));
        return Err(Error::Target { path, what: "cannot be written any more", source, unfinished });
    }
    let removed = staging.remove(target);
    if options.is_finish() && removed.is_ok() {
        // What they stand for is in its place, and stays there.
        target.sync()?;
        remove_markers(target.directory.as_fd(), staging.name())
            .map_err(|source| target.error("the markers of the shards cannot be removed", source))?;
    }
    publisher.finish_root(merge);
    if removed.is_err() {
        // What is in its place has come to its end, and is not to be taken for what a killed run left.
        pending::forget(staging);
    }
    if options.sync != Durability::None {
        target.sync()?;
    }
    Ok(removed)
}

/// What a restore needs before it can work.
struct Begun {
    staging: Staging,
    lock: Option<markers::Lock>,
    incomplete: Incomplete,
    /// Whether a finish found that there is nothing to be finished any more.
    already_finished: bool,
}

/// Opens the staging directory, and looks at what shards have left beside it.
fn begin(entry: &Entry, target: &Target, options: &Options) -> Result<Begun> {
    let open = || Staging::open(target, entry.object(), options);
    let staging = open().inspect_err(|_| target.remove_new())?;
    target.open_up_if_closed();
    if options.portion == Portion::Whole {
        // Once more when all is there that belongs to a restore.
        target.settle_time();
    }
    let mut begun = Begun { staging, lock: None, incomplete: Incomplete::default(), already_finished: false };
    match options.portion {
        Portion::Whole => {}
        Portion::Shard(shard) => {
            begun.lock = Some(markers::Lock::take(target, &begun.staging, shard)?);
            markers::remove_done_marker(target, &begun.staging, shard)?;
        }
        Portion::Finish(of) => match markers::read_done_markers(target, &begun.staging, of) {
            Ok(DoneMarkers { incomplete, mode }) => {
                target.set_mode_after(mode);
                begun.incomplete = incomplete;
            }
            // The last that a finish takes away is the markers, and it may be killed before it can say that
            // it is through.
            Err(Error::Shards { .. }) if preview::is_there(entry, &target.path, options).unwrap_or(false) => {
                begun.already_finished = true;
                if begun.staging.is_left() {
                    // Shards that ran once more wrote what nobody needs.
                    begun.staging.remove(target)?;
                    begun.staging = open()?;
                }
            }
            Err(error) => {
                give_up(target, &begun.staging);
                target.remove_new();
                return Err(error);
            }
        },
    }
    Ok(begun)
}

/// Leaves a target as it was, where nothing was done in it.
fn give_up(target: &Target, staging: &Staging) {
    if let Ok(defaults) = ProbedDefaults::probe(staging.handle()) {
        target.set_usual_mode(defaults.directory_mode());
    }
    staging.remove_new(target);
    if !staging.is_left() {
        target.settle_mode();
        target.settle_time();
    }
}

/// Plans on this thread and works on others, until everything is staged or nothing more can be.
fn work(shared: &Shared<'_>, root: &Entry) -> Result<Merge> {
    let workers = shared.open_files.workers;
    let merge = std::thread::scope(|scope| {
        let _guard = AbortOnPanic(|| shared.abort());
        // Workers come first: where threads are few, they are what is needed.
        let readers = shared.fetcher.expect_readers();
        for number in 0..workers {
            let work = || Worker::decode(shared, scope);
            match std::thread::Builder::new().spawn_scoped(scope, work) {
                // Fewer do as well, where the number of threads is limited.
                Err(source) if number == 0 => return Err(Error::Threads { source }),
                Err(_) => break,
                Ok(_) => {}
            }
        }
        shared.fetcher.start_readers(scope, shared.open_files.readers);
        drop(readers);
        let merge = Planner::new(shared.for_planner(), root).run(root);
        shared.fetcher.close();
        Ok(merge)
    })?;
    let Some(error) = shared.fatal() else { return Ok(merge) };
    if merge.may_tag {
        // The tag may not have come to its turn, or was taken away to make room.
        shared.staging.tag();
    }
    Err(error)
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
