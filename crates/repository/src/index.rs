//! Finds the index blobs that count and merges them into one table.

use kopia_format::compaction::{self, CompactionLog};
use kopia_format::index::Index;
use kopia_format::{BlobId, epoch};
use kopia_storage::BlobStore;
use rayon::prelude::*;

use crate::sealing::{Sealing, blob_iv};
use crate::table::{Builder, Table};
use crate::{Error, Result};

/// How often everything is listed anew because a blob vanished: maintenance may run beside us.
const ATTEMPTS: usize = 5;

/// The blobs that may hold indexes, listed before it is known which kind counts.
#[derive(Debug)]
pub(crate) struct Listing {
    epochs: Vec<BlobId>,
    plain: Vec<BlobId>,
    logs: Vec<BlobId>,
}

/// The merged table and what it was made from.
#[derive(Debug)]
pub(crate) struct Indexes {
    pub(crate) table: Table,
    pub(crate) blobs: usize,
}

impl Listing {
    /// Lists index blobs and compaction logs.
    pub(crate) fn read(store: &dyn BlobStore) -> Result<Self> {
        let list = |prefix| -> Result<Vec<BlobId>> {
            Ok(store.list(prefix)?.into_iter().map(|blob| blob.id).collect())
        };
        Ok(Self { epochs: list("x")?, plain: list("n")?, logs: list("m")? })
    }
}

/// Reads all index blobs that count, in parallel, and merges them. If one vanishes meanwhile, lists anew.
pub(crate) fn load(
    store: &dyn BlobStore,
    sealing: &Sealing,
    epochs: bool,
    listing: Listing,
) -> Result<Indexes> {
    let mut listing = listing;
    for _ in 1..ATTEMPTS {
        match load_once(store, sealing, epochs, &listing) {
            Err(Error::Storage(error)) if error.is_not_found() => {
                tracing::debug!(%error, "an index blob vanished; listing anew");
                listing = Listing::read(store)?;
            }
            result => return result,
        }
    }
    load_once(store, sealing, epochs, &listing)
}

fn load_once(store: &dyn BlobStore, sealing: &Sealing, epochs: bool, listing: &Listing) -> Result<Indexes> {
    let (blobs, watermark) = if epochs {
        let active = epoch::active_set(&listing.epochs);
        (active.blobs, active.deletion_watermark)
    } else {
        let logs = listing.logs.par_iter().map(|log| {
            let bytes = open(store, sealing, log)?;
            CompactionLog::parse(&bytes).map_err(|error| Error::blob(log, error))
        });
        (compaction::active_set(&listing.plain, &logs.collect::<Result<Vec<_>>>()?), None)
    };
    let builder = Builder::new(sealing.hash_length());
    blobs.par_iter().try_for_each(|blob| {
        let index = Index::parse(open(store, sealing, blob)?).map_err(|error| Error::blob(blob, error))?;
        builder.add(&index).map_err(|why| Error::CorruptBlob { blob: blob.clone(), why })
    })?;
    Ok(Indexes { table: builder.finish(watermark), blobs: blobs.len() })
}

/// Reads and opens one blob whose key is made from its name.
fn open(store: &dyn BlobStore, sealing: &Sealing, blob: &BlobId) -> Result<Vec<u8>> {
    let corrupt = |why: String| Error::CorruptBlob { blob: blob.clone(), why };
    let iv = blob_iv(blob).ok_or_else(|| corrupt("its name holds no initialization vector".into()))?;
    let stored = store.read(blob)?;
    let mut plain = Vec::new();
    sealing.open(&iv, &stored, &mut Vec::new(), &mut plain).map_err(|error| corrupt(error.to_string()))?;
    Ok(plain)
}
