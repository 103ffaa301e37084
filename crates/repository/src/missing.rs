//! Packs that the indexes need and the store does not have.
//!
//! Lists are compared with the indexes; no pack is read.

use std::collections::HashSet;

use kopia_format::BlobId;

use crate::{Repository, Result};

/// A pack that indexes need and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingPack {
    /// Its name.
    pub id: BlobId,
    /// How many contents it should hold, without deleted ones.
    pub contents: u64,
}

impl Repository {
    /// Finds packs that should hold contents and are not there, sorted by name.
    ///
    /// It lists packs and reads none. Where some seem to be missing, indexes that have changed are read
    /// again: maintenance removes packs once no index names them.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the store cannot say which packs there are, and as for
    /// [`Repository::refresh`].
    pub fn missing_packs(&self) -> Result<Vec<MissingPack>> {
        let mut listed: HashSet<BlobId> = HashSet::new();
        for prefix in ["p", "q"] {
            listed.extend(self.store().list(prefix)?.into_iter().map(|info| info.id));
        }
        let missing = self.needed_but_not_in(&listed)?;
        if missing.is_empty() || !self.refresh()? {
            return Ok(missing);
        }
        let mut missing = Vec::new();
        for pack in self.needed_but_not_in(&listed)? {
            // Others may have written packs, and the indexes that name them, since packs were listed.
            match self.store().length(&pack.id) {
                Err(error) if error.is_not_found() => missing.push(pack),
                length => drop(length?),
            }
        }
        Ok(missing)
    }

    /// Returns the packs of contents that are not deleted, less those that were listed.
    fn needed_but_not_in(&self, listed: &HashSet<BlobId>) -> Result<Vec<MissingPack>> {
        let live = self.indexes()?;
        let indexes = live.snapshot();
        let mut contents = vec![0; live.packs().len()];
        indexes.table.for_each(|_, location| {
            if !location.deleted {
                contents[location.pack as usize] += 1;
            }
        });
        let needed = live.packs().iter().zip(contents).filter(|(_, contents)| *contents > 0);
        let mut missing: Vec<_> = needed
            .map(|(id, contents)| MissingPack { id: id.clone(), contents })
            .filter(|pack| !listed.contains(&pack.id))
            .collect();
        missing.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(missing)
    }
}
