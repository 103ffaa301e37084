//! Finds the index blobs that count and merges them into one table.
//!
//! Which ones count depends on the format, which only the key opens. So [`Feed`] reads what probably counts while the key is
//! derived; [`load`] then takes what it guessed right and has the rest read.

mod feed;
mod listing;
mod merge;
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
use merge::Opener;

/// How often everything is listed anew because a blob vanished: maintenance may run beside us.
const ATTEMPTS: usize = 5;

/// The merged table and what it was made from.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) table: Table,
    pub(crate) blobs: usize,
}

/// Reads all index blobs that count, in parallel, and merges them. If one vanishes meanwhile, lists anew.
///
/// Readers are started in `scope`, and end once the feed is closed.
pub(crate) fn load<'scope>(
    feed: &'scope Feed<'_>,
    scope: &'scope Scope<'scope, '_>,
    sealing: &Sealing,
    epochs: bool,
    mut listing: Listing,
) -> Result<Indexes> {
    for _ in 1..ATTEMPTS {
        match load_once(feed, scope, sealing, epochs, &listing) {
            Err(Error::Storage(error)) if error.is_not_found() => {
                tracing::debug!(%error, "an index blob vanished; listing anew");
                listing = Listing::read(feed.store())?;
            }
            result => return result,
        }
    }
    load_once(feed, scope, sealing, epochs, &listing)
}

fn load_once<'scope>(
    feed: &'scope Feed<'_>,
    scope: &'scope Scope<'scope, '_>,
    sealing: &Sealing,
    epochs: bool,
    listing: &Listing,
) -> Result<Indexes> {
    let (blobs, watermark) = if epochs {
        let active = epoch::active_set(&listing::ids(&listing.epochs));
        (listing::infos(&listing.epochs, active.blobs), active.deletion_watermark)
    } else {
        let logs = read_logs(feed, sealing, &listing.logs)?;
        let active = compaction::active_set(&listing::ids(&listing.plain), &logs);
        (listing::infos(&listing.plain, active), None)
    };
    let count = blobs.len();
    let table = merge::merge(feed, scope, sealing, blobs, watermark)?;
    Ok(Indexes { table, blobs: count })
}

/// Opens the compaction logs: those that were read already, and the rest.
fn read_logs(feed: &Feed<'_>, sealing: &Sealing, logs: &[BlobInfo]) -> Result<Vec<CompactionLog>> {
    let mut early = feed.extract(logs);
    let logs = logs.par_iter().zip(early.par_iter_mut()).map(|(log, early)| {
        let stored = match early.take() {
            Some(result) => result?,
            None => feed.store().read(&log.id)?,
        };
        let mut opener = Opener::new(sealing);
        let bytes = opener.open(&log.id, stored)?;
        CompactionLog::parse(bytes).map_err(|error| Error::blob(&log.id, error))
    });
    logs.collect()
}
