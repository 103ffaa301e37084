//! Finds the index blobs that count and merges them into one table.
//!
//! Which ones count depends on the format, which only the key opens. So [`Feed`] reads what probably counts while the key is
//! derived; [`load`] then takes what it guessed right and has the rest read.

mod feed;
mod listing;
mod losses;
mod merge;
mod recover;
#[cfg(test)]
mod tests;

use std::thread::Scope;

use kopia_format::compaction::{self, CompactionLog};
use kopia_format::epoch;
use kopia_storage::BlobInfo;
use rayon::prelude::*;

use crate::sealing::Sealing;
use crate::table::Table;
use crate::{Error, Result};

pub(crate) use feed::{BUDGET, Feed};
pub(crate) use listing::Listing;
use losses::Losses;
use merge::Opener;

/// How often everything is listed anew because a blob vanished: maintenance may run beside us.
const ATTEMPTS: usize = 5;

/// The merged table and what it was made from.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) table: Table,
    pub(crate) blobs: usize,
    /// What could not be read, where that was allowed.
    pub(crate) losses: Vec<String>,
}

/// Reads all index blobs that count, in parallel, and merges them. If one vanishes meanwhile, lists anew.
///
/// With `degraded`, index blobs that cannot be read are losses, and what packs say of themselves is added.
///
/// Readers are started in `scope`, and end once the feed is closed.
pub(crate) fn load<'scope>(
    feed: &'scope Feed<'_>,
    scope: &'scope Scope<'scope, '_>,
    sealing: &Sealing,
    epochs: bool,
    mut listing: Listing,
    degraded: bool,
) -> Result<Indexes> {
    if degraded {
        return load_once(feed, scope, sealing, epochs, &listing, Some(Losses::default()));
    }
    for _ in 1..ATTEMPTS {
        match load_once(feed, scope, sealing, epochs, &listing, None) {
            Err(Error::Storage(error)) if error.is_not_found() => {
                tracing::debug!(%error, "an index blob vanished; listing anew");
                listing = Listing::read(feed.store())?;
            }
            result => return result,
        }
    }
    load_once(feed, scope, sealing, epochs, &listing, None)
}

fn load_once<'scope>(
    feed: &'scope Feed<'_>,
    scope: &'scope Scope<'scope, '_>,
    sealing: &Sealing,
    epochs: bool,
    listing: &Listing,
    losses: Option<Losses>,
) -> Result<Indexes> {
    let (blobs, watermark) = if epochs {
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
    let builder = merge::merge(feed, scope, sealing, blobs, losses.as_ref())?;
    if let Some(losses) = &losses {
        recover::add_packs(feed.store(), sealing, &builder, losses)?;
    }
    let losses = losses.map(Losses::into_sorted).unwrap_or_default();
    Ok(Indexes { table: builder.finish(watermark), blobs: count, losses })
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
                losses.add(format!("compaction log {}: {error}", log.id));
                None
            }
            (result, _) => Some(result),
        }
    });
    logs.collect()
}
