//! Finds the index blobs that count and merges them into one table.
//!
//! Which ones count depends on the format, which only the key opens. So [`Feed`] reads what probably counts while the key is
//! derived; [`load`] then takes what it guessed right and has the rest read.

mod feed;
mod listing;
mod live;
mod merge;
mod recover;
mod rescan;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod unreadable;

use std::sync::atomic::AtomicBool;
use std::thread::Scope;

use kopia_format::compaction::{self, CompactionLog};
use kopia_format::{BlobId, epoch};
use kopia_storage::{BlobInfo, BlobStore};
use rayon::prelude::*;

use crate::index::table::{PackNames, Table};
use crate::sealing::Sealing;
use crate::{Error, Result};

pub(crate) use feed::{BUDGET, Feed};
pub(crate) use listing::{Listing, is_hashed};
pub(crate) use live::{LiveIndex, Source};
use merge::Opener;
pub(crate) use recover::own_index;
pub use unreadable::Unreadable;
use unreadable::UnreadableLog;
pub(crate) use unreadable::UnreadableParts;

/// How often everything is tried anew because a blob vanished: maintenance may run beside us.
pub(crate) const ATTEMPTS: usize = 5;

/// How indexes are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Whether index blobs are managed in epochs.
    pub(crate) epochs: bool,
    /// Whether index blobs that cannot be read are losses, and what packs say of themselves is added.
    pub(crate) degraded: bool,
    /// Whether contents that were deleted long ago are kept, too.
    pub(crate) deleted: bool,
}

/// The merged table and what it was made from.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) table: Table,
    pub(crate) blobs: usize,
    /// What could not be read, where that was allowed.
    pub(crate) lost: UnreadableParts,
    /// Contents that were deleted by then (seconds since 1970) may be gone from the index while their packs are still
    /// there; nothing if no index blob was ever compacted.
    pub(crate) dropped_until: Option<i64>,
    /// What was there to be read.
    listing: Listing,
    /// The packs that were asked as well, as a hash of their names.
    packs: Option<u64>,
    /// Whether somebody who missed something had the blobs listed again.
    confirmed: AtomicBool,
}

/// How long kopia keeps what was deleted, at least, before an index blob is written without it, in seconds. Repositories
/// with epochs say themselves how far that has come.
const KEPT_AFTER_DELETION: i64 = 24 * 60 * 60;

/// Reads all index blobs that count, in parallel, and merges them. If one vanishes meanwhile, lists anew.
///
/// Packs that are `known` keep their numbers; the names of others are returned, in the order of theirs.
/// Readers are started in `scope`, and end once the feed is closed.
pub(crate) fn load<'scope>(
    feed: &'scope Feed<'_>,
    scope: &'scope Scope<'scope, '_>,
    sealing: &Sealing,
    (rules, known): (Rules, &PackNames),
    mut listing: Listing,
) -> Result<(Indexes, Vec<BlobId>)> {
    for _ in 1..ATTEMPTS {
        let losses = rules.degraded.then(|| UnreadableLog::new(false));
        let loaded = load_once(feed, scope, sealing, (rules, known), &listing, losses);
        // A list that was made while blobs came and went may lack both the old and the new.
        let may_lack = match &loaded {
            Err(Error::Storage(error)) => error.is_not_found(),
            Ok(loaded) => loaded.blobs == 0,
            Err(_) => false,
        };
        if !may_lack {
            return loaded?.with(feed.store(), listing);
        }
        let anew = Listing::read(feed.store())?;
        if anew == listing {
            break;
        }
        tracing::debug!("an index blob vanished; listed anew");
        listing = anew;
    }
    let losses = rules.degraded.then(|| UnreadableLog::new(true));
    load_once(feed, scope, sealing, (rules, known), &listing, losses)?.with(feed.store(), listing)
}

/// What was read at one go.
struct Loaded {
    table: Table,
    new_packs: Vec<BlobId>,
    blobs: usize,
    lost: UnreadableParts,
    packs: Option<u64>,
    dropped_until: Option<i64>,
}

impl Loaded {
    /// Refuses what kopia never leaves behind: it writes an index blob, and a pack that this names, when it creates a
    /// repository.
    fn with(self, store: &dyn BlobStore, listing: Listing) -> Result<(Indexes, Vec<BlobId>)> {
        let Self { table, new_packs, blobs, lost, packs, dropped_until } = self;
        let lacks = match (blobs, packs) {
            (0, None) => Some("index blobs"),
            (0, Some(_)) if table.pack_count() == 0 => Some("index blobs and no packs"),
            _ => None,
        };
        if let Some(lacks) = lacks {
            return Err(Error::Incomplete { location: store.location(), lacks });
        }
        let confirmed = AtomicBool::new(false);
        Ok((Indexes { table, blobs, lost, dropped_until, listing, packs, confirmed }, new_packs))
    }
}

fn load_once<'scope>(
    feed: &'scope Feed<'_>,
    scope: &'scope Scope<'scope, '_>,
    sealing: &Sealing,
    (rules, known): (Rules, &PackNames),
    listing: &Listing,
    losses: Option<UnreadableLog>,
) -> Result<Loaded> {
    let (blobs, watermark) = if rules.epochs {
        let active = epoch::active_set(&listing::ids(&listing.epochs));
        if let Some(losses) = &losses {
            let left_out = active.incomplete.iter();
            left_out.for_each(|blob| losses.add(Unreadable::IncompleteSet(blob.clone())));
        }
        (listing::infos(&listing.epochs, active.blobs), active.deletion_watermark)
    } else {
        let logs = read_logs(feed, sealing, &listing.logs, losses.as_ref())?;
        let active = compaction::active_set(&listing::ids(&listing.plain), &logs);
        (listing::infos(&listing.plain, active), None)
    };
    let count = blobs.len();
    if let (0, Some(losses)) = (count, &losses) {
        losses.add(Unreadable::NoIndexBlobs);
    }
    let builder = merge::merge(feed, scope, sealing, known, blobs, losses.as_ref())?;
    let mut packs = None;
    if let Some(losses) = &losses {
        packs = Some(recover::add_packs(feed.store(), sealing, &builder, losses));
    }
    let lost = losses.map(UnreadableLog::into_sorted).unwrap_or_default();
    let (table, new_packs) = builder.finish(watermark.filter(|_| !rules.deleted));
    let dropped_until = match watermark {
        None if !rules.epochs && !listing.logs.is_empty() => Some(table.newest() - KEPT_AFTER_DELETION),
        watermark => watermark,
    };
    Ok(Loaded { table, new_packs, blobs: count, lost, packs, dropped_until })
}

/// Opens the compaction logs: those that were read already, and the rest.
fn read_logs(
    feed: &Feed<'_>,
    sealing: &Sealing,
    logs: &[BlobInfo],
    losses: Option<&UnreadableLog>,
) -> Result<Vec<CompactionLog>> {
    let mut early = feed.extract(logs);
    let read = |log: &BlobInfo, early: Option<kopia_storage::Result<Vec<u8>>>| {
        let stored = match early {
            Some(result) => result?,
            None => feed.store().read(&log.id)?,
        };
        let mut opener = Opener::new(sealing);
        let bytes = opener.open(&log.id, stored)?;
        CompactionLog::parse(bytes).map_err(|error| Error::blob(&log.id, error))
    };
    let logs = logs.par_iter().zip(early.par_iter_mut()).filter_map(|(log, early)| {
        match (read(log, early.take()), losses) {
            (Err(error), Some(losses)) => {
                let part = |error| Unreadable::CompactionLog(log.id.clone(), error);
                losses.take(error, part).err().map(Err)
            }
            (result, _) => Some(result),
        }
    });
    logs.collect()
}
