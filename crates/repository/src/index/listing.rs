//! The blobs that may hold indexes.

use kopia_format::{BlobId, compaction, epoch};
use kopia_storage::{BlobInfo, BlobStore};

use crate::Result;

/// The blobs that may hold indexes, listed before it is known which kind counts. Each list is sorted by id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(super) epochs: Vec<BlobInfo>,
    pub(super) plain: Vec<BlobInfo>,
    pub(super) logs: Vec<BlobInfo>,
}

impl Listing {
    /// Lists index blobs and compaction logs.
    pub(crate) fn read(store: &dyn BlobStore) -> Result<Self> {
        Ok(Self { epochs: store.list("x")?, plain: store.list("n")?, logs: store.list("m")? })
    }

    /// Returns the blobs that count as far as names tell, in the order in which they are wanted.
    ///
    /// Repositories with epochs have index blobs `x…`; an upgrade leaves the `n…` of old beside them. Without any, it is
    /// the plain ones; which of them are replaced stands in the logs, which are sealed.
    pub(crate) fn likely(&self) -> Vec<BlobInfo> {
        let active = epoch::active_set(&ids(&self.epochs)).blobs;
        if !active.is_empty() {
            return infos(&self.epochs, active);
        }
        let plain = infos(&self.plain, compaction::active_set(&ids(&self.plain), &[]));
        self.logs.iter().cloned().chain(plain).collect()
    }
}

pub(super) fn ids(blobs: &[BlobInfo]) -> Vec<BlobId> {
    blobs.iter().map(|blob| blob.id.clone()).collect()
}

/// Adds the lengths that `listed` states.
pub(super) fn infos(listed: &[BlobInfo], ids: Vec<BlobId>) -> Vec<BlobInfo> {
    let length = |id: &BlobId| {
        let found = listed.binary_search_by(|blob| blob.id.cmp(id));
        found.map_or(0, |place| listed[place].length)
    };
    ids.into_iter().map(|id| BlobInfo { length: length(&id), id }).collect()
}
