//! Finds the index blobs that count and merges them into one table.
//!
//! Which ones count depends on the format, which only the key opens. So [`Feed`] reads what probably counts while the key is
//! derived; [`load`] then takes what it guessed right and has the rest read.

mod feed;
mod listing;
mod living;
mod looks;
mod losses;
mod merge;
mod recover;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::thread::Scope;

use kopia_format::compaction::{self, CompactionLog};
use kopia_format::{BlobId, epoch};
use kopia_storage::BlobInfo;
use rayon::prelude::*;

use crate::sealing::Sealing;
use crate::table::{PackNames, Table};
use crate::{Error, Result};

pub(crate) use feed::{BUDGET, Feed};
pub(crate) use listing::Listing;
pub(crate) use living::{Living, Source};
use losses::Losses;
pub(crate) use losses::Lost;
use merge::Opener;
pub(crate) use recover::own_index;

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
    pub(crate) lost: Lost,
    /// What was there to be read.
    listing: Listing,
    /// The packs that were asked as well, as a hash of their names.
    packs: Option<u64>,
    /// Whether somebody who missed something had the blobs listed again.
    confirmed: AtomicBool,
}

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
        let losses = rules.degraded.then(|| Losses::new(false));
        match load_once(feed, scope, sealing, (rules, known), &listing, losses) {
            Err(Error::Storage(error)) if error.is_not_found() => {
                let anew = Listing::read(feed.store())?;
                if anew == listing {
                    break;
                }
                tracing::debug!(%error, "an index blob vanished; listed anew");
                listing = anew;
            }
            loaded => return Ok(loaded?.with(listing)),
        }
    }
    let losses = rules.degraded.then(|| Losses::new(true));
    Ok(load_once(feed, scope, sealing, (rules, known), &listing, losses)?.with(listing))
}

/// What was read at one go.
struct Loaded {
    table: Table,
    new_packs: Vec<BlobId>,
    blobs: usize,
    lost: Lost,
    packs: Option<u64>,
}

impl Loaded {
    fn with(self, listing: Listing) -> (Indexes, Vec<BlobId>) {
        let Self { table, new_packs, blobs, lost, packs } = self;
        (Indexes { table, blobs, lost, listing, packs, confirmed: AtomicBool::new(false) }, new_packs)
    }
}

fn load_once<'scope>(
    feed: &'scope Feed<'_>,
    scope: &'scope Scope<'scope, '_>,
    sealing: &Sealing,
    (rules, known): (Rules, &PackNames),
    listing: &Listing,
    losses: Option<Losses>,
) -> Result<Loaded> {
    let (blobs, watermark) = if rules.epochs {
        let active = epoch::active_set(&listing::ids(&listing.epochs));
        if let Some(losses) = &losses {
            let left_out = active.incomplete.iter();
            left_out.for_each(|blob| losses.add(format!("index blob {blob}: others of its set are missing")));
        }
        (listing::infos(&listing.epochs, active.blobs), active.deletion_watermark)
    } else {
        let logs = read_logs(feed, sealing, &listing.logs, losses.as_ref())?;
        let active = compaction::active_set(&listing::ids(&listing.plain), &logs);
        (listing::infos(&listing.plain, active), None)
    };
    let count = blobs.len();
    let builder = merge::merge(feed, scope, sealing, known, blobs, losses.as_ref())?;
    let mut packs = None;
    if let Some(losses) = &losses {
        packs = Some(recover::add_packs(feed.store(), sealing, &builder, losses)?);
    }
    let lost = losses.map(Losses::into_sorted).unwrap_or_default();
    let (table, new_packs) = builder.finish(watermark.filter(|_| !rules.deleted));
    Ok(Loaded { table, new_packs, blobs: count, lost, packs })
}

/// Opens the compaction logs: those that were read already, and the rest.
fn read_logs(
    feed: &Feed<'_>,
    sealing: &Sealing,
    logs: &[BlobInfo],
    losses: Option<&Losses>,
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
                losses.take(&format!("compaction log {}", log.id), error).err().map(Err)
            }
            (result, _) => Some(result),
        }
    });
    logs.collect()
}
