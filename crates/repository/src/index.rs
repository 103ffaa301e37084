//! Finds the index blobs that count and merges them into one table.
//!
//! Which ones count depends on the format, which only the key opens. So [`Feed`] reads what probably counts
//! while the key is derived; [`Loader`] then takes what was guessed right and has the rest read.
//!
//! | room | what |
//! |---|---|
//! | `listing` | the blobs that may hold indexes |
//! | `feed` | reads them ahead of need |
//! | `merge`, `table` | opens them and merges them into one sorted table |
//! | `recover` | index entries from the packs themselves |
//! | `unreadable` | what a degraded repository had to leave out |
//! | `location` | where a content is read from |
//! | `live`, `rescan` | the table as of now, and when to read it again |

mod feed;
mod listing;
mod live;
mod location;
mod merge;
mod recover;
mod rescan;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod unreadable;

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::thread::Scope;

use kopia_format::compaction::{self, CompactionLog};
use kopia_format::{BlobId, epoch};
use kopia_storage::{BlobInfo, BlobStore};
use rayon::prelude::*;

use crate::lock::lock;
use crate::parallel::{Cores, map_by_threads, reads_at_once};
use crate::sealing::Sealing;
use crate::{Error, Result};
use table::{PackNames, Table};

pub(crate) use feed::{BUDGET, Feed};
pub(crate) use listing::{Listing, is_hashed};
pub(crate) use live::{IndexSource, LiveIndex};
pub use location::ContentLocation;
pub(crate) use merge::Opener;
pub(crate) use recover::own_index;
pub use unreadable::Unreadable;
use unreadable::UnreadableLog;
pub(crate) use unreadable::UnreadableParts;

/// Attempts before giving up when concurrent maintenance deletes blobs under us.
pub(crate) const ATTEMPTS: usize = 5;

/// How indexes are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Whether index blobs are managed in epochs.
    pub(crate) epochs: bool,
    /// Whether index blobs that cannot be read are left out, and what packs say of themselves is added.
    pub(crate) degraded: bool,
    /// Whether contents that were deleted long ago are kept.
    pub(crate) deleted: bool,
}

/// The merged table and what it was made from.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) table: Table,
    pub(crate) blobs: usize,
    /// What could not be read, where that was allowed.
    pub(crate) unreadable: UnreadableParts,
    /// Up to when deleted contents may be gone by now, in seconds since 1970.
    ///
    /// They may be gone from the index while their packs are still there; nothing if no index blob was ever
    /// compacted.
    pub(crate) dropped_until: Option<i64>,
    /// The blobs that were listed.
    listing: Listing,
    /// A hash of the names of the packs whose own indexes were read.
    packs: Option<u64>,
    /// Whether blobs were listed again because a lookup missed something.
    confirmed: AtomicBool,
}

/// How long kopia keeps deleted entries in indexes at least, in seconds.
///
/// Repositories with epochs say themselves how far that has come.
const KEPT_AFTER_DELETION: i64 = 24 * 60 * 60;

/// Reads all index blobs that count, in parallel, and merges them.
pub(crate) struct Loader<'a, 'scope, 'env> {
    /// Where blobs come from.
    pub(crate) feed: &'scope Feed<'scope>,
    /// Where its readers are started; they end once the feed is closed.
    pub(crate) scope: &'scope Scope<'scope, 'env>,
    pub(crate) sealing: &'a Sealing,
    pub(crate) cores: &'a Cores,
    pub(crate) rules: Rules,
    /// Packs that are known already and keep their numbers.
    pub(crate) known: &'a PackNames,
    /// Where the table is kept in a file, if not in memory.
    pub(crate) directory: Option<&'a Path>,
}

/// The result of one attempt.
struct Loaded {
    table: Table,
    new_packs: Vec<BlobId>,
    blobs: usize,
    unreadable: UnreadableParts,
    packs: Option<u64>,
    dropped_until: Option<i64>,
}

impl Loader<'_, '_, '_> {
    /// Loads what was listed; if a blob vanished since, lists again.
    ///
    /// Besides the indexes, returns the names of packs that were not known, in the order of their numbers.
    ///
    /// # Errors
    /// [`Error::Incomplete`], and those of a blob that cannot be read.
    pub(crate) fn load(&self, mut listing: Listing) -> Result<(Indexes, Vec<BlobId>)> {
        let store = self.feed.store();
        for _ in 1..ATTEMPTS {
            let log = self.rules.degraded.then(|| UnreadableLog::new(false));
            let loaded = self.load_once(&listing, log);
            // A list that was made while blobs came and went may lack both the old and the new.
            let may_lack = match &loaded {
                Err(Error::Storage(error)) => error.is_not_found(),
                Ok(loaded) => loaded.blobs == 0 || loaded.unreadable.lacks_epochs(),
                Err(_) => false,
            };
            if !may_lack {
                return loaded?.with(store, listing);
            }
            let again = Listing::read(store)?;
            if again == listing {
                break;
            }
            tracing::debug!("an index blob vanished; listed again");
            listing = again;
        }
        let log = self.rules.degraded.then(|| UnreadableLog::new(true));
        self.load_once(&listing, log)?.with(store, listing)
    }

    fn load_once(&self, listing: &Listing, log: Option<UnreadableLog>) -> Result<Loaded> {
        let Rules { epochs, deleted, .. } = self.rules;
        let mut missing = Vec::new();
        let (blobs, watermark) = if epochs {
            let active = epoch::active_set(&listing::ids(&listing.epochs));
            if let Some(log) = &log {
                let left_out = active.incomplete.iter();
                left_out.for_each(|blob| log.add(Unreadable::IncompleteSet(blob.clone())));
            }
            missing = active.missing;
            (listing::infos(&listing.epochs, active.blobs), active.deletion_watermark)
        } else {
            let logs = self.read_logs(&listing.logs, log.as_ref())?;
            let active = compaction::active_set(&listing::ids(&listing.plain), &logs);
            (listing::infos(&listing.plain, active), None)
        };
        let count = blobs.len();
        if let (0, Some(log)) = (count, &log) {
            log.add(Unreadable::NoIndexBlobs);
        }
        let builder = merge::merge(self, blobs, log.as_ref())?;
        let packs = log.as_ref().map(|log| recover::add_packs(self, &builder, log));
        // Known by names alone, and read over by kopia: said also where nothing else may be left out.
        let log = log.unwrap_or_else(|| UnreadableLog::new(false));
        if count > 0 {
            missing.into_iter().for_each(|(first, last)| log.add(Unreadable::MissingEpochs(first, last)));
        }
        let unreadable = log.into_sorted();
        let finished = self.cores.run(|| builder.finish(watermark.filter(|_| !deleted)));
        let (table, new_packs) = finished.map_err(|error| self.file_error(error))?;
        let dropped_until = match watermark {
            None if !epochs && !listing.logs.is_empty() => Some(table.newest() - KEPT_AFTER_DELETION),
            watermark => watermark,
        };
        Ok(Loaded { table, new_packs, blobs: count, unreadable, packs, dropped_until })
    }

    /// Makes the error of the file that the table is kept in.
    fn file_error(&self, source: io::Error) -> Error {
        Error::IndexFile { directory: self.directory.unwrap_or(Path::new("")).to_owned(), source }
    }

    /// Opens the compaction logs: those that were read already, and the rest.
    fn read_logs(&self, logs: &[BlobInfo], log: Option<&UnreadableLog>) -> Result<Vec<CompactionLog>> {
        let early = self.feed.extract(logs).into_iter().map(Mutex::new);
        let logs: Vec<_> = logs.iter().zip(early).collect();
        let read = |blob: &BlobInfo, early: &Mutex<Option<kopia_storage::Result<Vec<u8>>>>| {
            let stored = match lock(early).take() {
                Some(result) => result?,
                None => self.feed.store().read(&blob.id)?,
            };
            let mut opener = Opener::new(self.sealing);
            let bytes = opener.open(&blob.id, stored)?;
            CompactionLog::parse(bytes).map_err(|error| Error::blob(&blob.id, error))
        };
        let read_or_log = |(blob, early): &(&BlobInfo, Mutex<_>)| match (read(blob, early), log) {
            (Err(error), Some(log)) => {
                log.take(error, |error| Unreadable::CompactionLog(blob.id.clone(), error)).err().map(Err)
            }
            (result, _) => Some(result),
        };
        match reads_at_once(self.feed.store().profile()) {
            1 => self.cores.run(|| logs.par_iter().filter_map(read_or_log).collect()),
            threads => map_by_threads(threads, &logs, read_or_log).into_iter().flatten().collect(),
        }
    }
}

impl Indexes {
    /// Returns the epoch that is written, where there are epochs.
    pub(crate) fn write_epoch(&self) -> u64 {
        epoch::active_set(&listing::ids(&self.listing.epochs)).write_epoch
    }

    /// Returns the index blobs that count, by name: where there are no epochs, compaction logs are read to know which,
    /// but for those with errors that are left out.
    pub(crate) fn active(
        &self,
        store: &dyn BlobStore,
        sealing: &Sealing,
        epochs: bool,
        is_left_out: &dyn Fn(&Error) -> bool,
    ) -> Result<Vec<BlobInfo>> {
        let Listing { epochs: of_epochs, plain, logs } = &self.listing;
        if epochs {
            return Ok(listing::infos(of_epochs, epoch::active_set(&listing::ids(of_epochs)).blobs));
        }
        let mut opener = Opener::new(sealing);
        let mut read = |blob: &BlobInfo| {
            let bytes = opener.open(&blob.id, store.read(&blob.id)?)?;
            CompactionLog::parse(bytes).map_err(|error| Error::blob(&blob.id, error))
        };
        let logs = logs.iter().map(&mut read).filter(|log| !log.as_ref().is_err_and(is_left_out));
        let logs = logs.collect::<Result<Vec<_>>>()?;
        Ok(listing::infos(plain, compaction::active_set(&listing::ids(plain), &logs)))
    }
}

impl Loaded {
    /// Refuses what kopia never leaves behind: it writes an index blob, and a pack that this names, when it
    /// creates a repository.
    fn with(self, store: &dyn BlobStore, listing: Listing) -> Result<(Indexes, Vec<BlobId>)> {
        let Self { table, new_packs, blobs, unreadable, packs, dropped_until } = self;
        let lacks = match (blobs, packs) {
            (0, None) => Some("index blobs"),
            (0, Some(_)) if table.pack_count() == 0 => Some("index blobs and no packs"),
            _ => None,
        };
        if let Some(lacks) = lacks {
            return Err(Error::Incomplete { location: store.location(), lacks });
        }
        let confirmed = AtomicBool::new(false);
        Ok((Indexes { table, blobs, unreadable, dropped_until, listing, packs, confirmed }, new_packs))
    }
}
