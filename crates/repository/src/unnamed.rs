//! Packs that no index names.
//!
//! A wholly missing index blob leaves no other trace. But so do a backup that runs just now or was killed, and maintenance,
//! which rewrites contents into other packs and removes the old ones later; so it matters whether the index knows what such
//! a pack holds from elsewhere.

use std::sync::{Mutex, PoisonError};

use kopia_format::index::Index;
use kopia_format::{BlobId, ContentId};
use kopia_storage::BlobInfo;

use crate::index::read_pack_index;
use crate::read::side_by_side;
use crate::{Error, Repository, Result};

/// Packs that no index names.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct UnnamedPacks {
    /// Packs of file contents.
    pub data: Vec<BlobId>,
    /// Packs of folders and manifests, and what they hold, sorted by name.
    pub metadata: Vec<UnnamedPack>,
}

/// A pack of folders and manifests that no index names.
#[derive(Debug)]
#[non_exhaustive]
pub struct UnnamedPack {
    /// Its name.
    pub blob: BlobId,
    /// What it says it holds, by the index that it ends in; `Ok(None)` if that was not read, because there were too many.
    pub holds: Result<Option<Holds>>,
}

/// What a pack holds that the indexes do not know of, deleted contents left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Holds {
    /// Contents.
    pub contents: usize,
    /// Those of them that hold manifests: snapshots may be among them.
    pub manifests: usize,
}

impl UnnamedPacks {
    /// Says whether manifests may be missing from the indexes: a pack holds some that they do not know, or does not say.
    pub fn may_hold_manifests(&self) -> bool {
        self.metadata.iter().any(|pack| !matches!(&pack.holds, Ok(Some(holds)) if holds.manifests == 0))
    }
}

impl Repository {
    /// Lists the packs that no index names, and reads what `most` of those say that may hold manifests.
    ///
    /// # Errors
    /// [`Error::Storage`] if packs cannot be listed.
    pub fn unnamed_packs(&self, most: usize) -> Result<UnnamedPacks> {
        // Listed first: a pack that comes later was not named when the index was read.
        let (data, metadata) = (self.store().list("p")?, self.store().list("q")?);
        let named = self.named_packs();
        let unnamed = |pack: &BlobInfo| named.binary_search(&&pack.id).is_err();
        let data = data.into_iter().filter(unnamed).map(|pack| pack.id).collect();
        let metadata: Vec<BlobInfo> = metadata.into_iter().filter(unnamed).collect();
        let (read, rest) = metadata.split_at(most.min(metadata.len()));
        let found = Mutex::new(Vec::with_capacity(metadata.len()));
        side_by_side(self.store().profile(), read, |pack| {
            let pack = UnnamedPack { blob: pack.id.clone(), holds: self.holds(pack).map(Some) };
            found.lock().unwrap_or_else(PoisonError::into_inner).push(pack);
        });
        let mut metadata = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        metadata.extend(rest.iter().map(|pack| UnnamedPack { blob: pack.id.clone(), holds: Ok(None) }));
        metadata.sort_unstable_by(|a, b| a.blob.cmp(&b.blob));
        Ok(UnnamedPacks { data, metadata })
    }

    /// Returns the names of all packs that contents lie in, sorted.
    fn named_packs(&self) -> Vec<&BlobId> {
        let mut used: Vec<bool> = Vec::new();
        self.for_each_content(|_, place| {
            let number = place.pack as usize;
            if used.len() <= number {
                used.resize(number + 1, false);
            }
            used[number] = true;
        });
        let numbers = used.iter().enumerate().filter(|(_, used)| **used).map(|(number, _)| number as u32);
        let mut names: Vec<&BlobId> = numbers.map(|number| self.pack(number)).collect();
        names.sort_unstable();
        names
    }

    fn holds(&self, pack: &BlobInfo) -> Result<Holds> {
        let bytes = read_pack_index(self.store(), self.sealing(), pack)?;
        let index = Index::parse(bytes).map_err(|error| Error::blob(&pack.id, error))?;
        let mut holds = Holds::default();
        for entry in index.entries().filter(|entry| !entry.deleted) {
            let content = ContentId::from_key(entry.key).map_err(|error| Error::blob(&pack.id, error))?;
            // Maintenance may have rewritten it into another pack.
            if matches!(self.find(&content), Err(Error::ContentNotFound { .. })) {
                holds.contents += 1;
                holds.manifests += usize::from(content.prefix() == Some('m'));
            }
        }
        Ok(holds)
    }
}
