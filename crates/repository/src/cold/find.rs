//! Finds what lies in an archive: by listings, which show the storage class of a thousand blobs each.

use std::collections::{BTreeMap, HashSet};

use kopia_format::{BlobId, ContentId};
use kopia_storage::{BlobStore, ColdBlob};

use super::{ColdBlobs, Step};
use crate::index::Listing;
use crate::parallel::{map_by_threads, reads_at_once};
use crate::{FormatBlob, Repository, Result};

/// How many blobs are looked for one by one; for more, all that begin as they do are listed.
const FEW: usize = 32;

/// How many blobs that begin with one letter are listed by one request after the other; more by the two
/// characters that they begin with, all at once.
const ONE_BY_ONE: usize = 100;

/// Packs that lie in an archive as listings say. Some may have been fetched from there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColdPacks {
    /// Sorted by id.
    blobs: Vec<ColdBlob>,
}

impl ColdPacks {
    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Returns whether a pack is one of them.
    pub(crate) fn has(&self, id: &BlobId) -> bool {
        self.get(id).is_some()
    }

    fn get(&self, id: &BlobId) -> Option<&ColdBlob> {
        let found = self.blobs.binary_search_by(|blob| blob.info.id.cmp(id));
        found.ok().map(|place| &self.blobs[place])
    }
}

impl ColdBlobs {
    /// Finds what has to be fetched from an archive before a repository can be opened.
    ///
    /// Which index blobs count stands in their names. Where compaction logs say it, as in repositories
    /// without epochs, some may be named that are not needed.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the store cannot list its archive or its indexes.
    pub fn to_open(store: &dyn BlobStore) -> Result<Self> {
        if store.cold().is_none() {
            return Ok(Self::none(Step::Opening));
        }
        let mut needed = vec![FormatBlob::id()];
        needed.extend(Listing::read(store)?.likely().into_iter().map(|blob| blob.id));
        among(store, Step::Opening, &needed)
    }
}

impl Repository {
    /// Lists the packs that lie in an archive; none where the store has none.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage).
    pub fn cold_packs(&self) -> Result<ColdPacks> {
        if self.store().cold().is_none() {
            return Ok(ColdPacks::default());
        }
        let names: Vec<BlobId> = self.indexes()?.packs().iter().cloned().collect();
        Ok(ColdPacks { blobs: listed(self.store(), &starts(&names))? })
    }

    /// Finds which of these packs have to be fetched from an archive before they can be read.
    ///
    /// Packs are named by their numbers, as [`ReadStep::pack`](crate::contents::ReadStep::pack) returns them.
    /// What has been listed already is not listed again.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage).
    pub fn cold_among(&self, packs: &[u32], listed: Option<&ColdPacks>) -> Result<ColdBlobs> {
        if self.store().cold().is_none() {
            return Ok(ColdBlobs::none(Step::Files));
        }
        let live = self.indexes()?;
        let names: Vec<BlobId> = packs.iter().filter_map(|&pack| live.packs().get(pack).cloned()).collect();
        self.cold_named(Step::Files, &names, listed)
    }

    /// Finds which of some packs have to be fetched. What has been listed already is not listed again.
    pub(crate) fn cold_named(
        &self,
        step: Step,
        names: &[BlobId],
        listed: Option<&ColdPacks>,
    ) -> Result<ColdBlobs> {
        let Some(listed) = listed else { return among(self.store(), step, names) };
        let mut blobs: Vec<_> = names.iter().filter_map(|id| listed.get(id).cloned()).collect();
        blobs.sort_unstable_by(|a, b| a.info.id.cmp(&b.info.id));
        ColdBlobs::of(self.store(), step, blobs)
    }

    /// Returns the name of a pack by its number, as [`ReadStep::pack`](crate::contents::ReadStep::pack) returns
    /// it.
    ///
    /// # Errors
    /// As for [`Self::status`], where contents come from no packs.
    pub fn pack_name(&self, number: u32) -> Result<Option<BlobId>> {
        Ok(self.indexes()?.packs().get(number).cloned())
    }

    /// Finds the packs of snapshots, directories and lists that have to be fetched from an archive.
    ///
    /// Which of them one snapshot needs stands in themselves, so all are found that hold such contents: in
    /// the packs of a repository, they are few. `also` are others that could not be read.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage).
    pub fn cold_metadata(&self, also: &[BlobId]) -> Result<ColdBlobs> {
        self.cold_holding(Step::Directories, also, None)
    }

    /// Finds the packs of all contents, or for directories of all but those of files, that have to be fetched, and
    /// others; contents that are marked deleted are left aside. What has been listed already is not listed again.
    pub(crate) fn cold_holding(
        &self,
        step: Step,
        also: &[BlobId],
        listed: Option<&ColdPacks>,
    ) -> Result<ColdBlobs> {
        if self.store().cold().is_none() {
            return Ok(ColdBlobs::none(step));
        }
        let live = self.indexes()?;
        // Before the packs are counted: every location has a pack with a name then.
        let indexes = live.snapshot();
        let mut holds = vec![false; live.packs().len()];
        // Contents of files alone have no prefix.
        let is_wanted = |content: ContentId| step != Step::Directories || content.prefix().is_some();
        indexes.table.for_each(|content, location| {
            if !location.deleted && is_wanted(content) {
                holds[location.pack as usize] = true;
            }
        });
        let held = live.packs().iter().zip(holds).filter(|(_, holds)| *holds).map(|(id, _)| id);
        let mut names: Vec<BlobId> = held.chain(also).cloned().collect();
        names.sort_unstable();
        names.dedup();
        self.cold_named(step, &names, listed)
    }
}

/// Finds which of some blobs cannot be read yet.
fn among(store: &dyn BlobStore, step: Step, needed: &[BlobId]) -> Result<ColdBlobs> {
    let wanted: HashSet<&BlobId> = needed.iter().collect();
    let mut blobs = if needed.len() <= FEW {
        listed(store, &needed.iter().map(BlobId::as_str).collect::<Vec<_>>())?
    } else {
        listed(store, &starts(needed))?
    };
    blobs.retain(|blob| wanted.contains(&blob.info.id));
    ColdBlobs::of(store, step, blobs)
}

/// Lists what lies in the archive and begins in one of several ways, sorted by id.
fn listed(store: &dyn BlobStore, prefixes: &[&str]) -> Result<Vec<ColdBlob>> {
    let Some(cold) = store.cold() else { return Ok(Vec::new()) };
    let lists = map_by_threads(reads_at_once(store.profile()), prefixes, |prefix| cold.list_cold(prefix));
    let mut blobs = Vec::new();
    for list in lists {
        blobs.extend(list?);
    }
    blobs.sort_unstable_by(|a, b| a.info.id.cmp(&b.info.id));
    blobs.dedup_by(|later, earlier| later.info.id == earlier.info.id);
    Ok(blobs)
}

/// Returns how the blobs begin: what is listed to find them, in few requests that need not wait for one
/// another.
fn starts(needed: &[BlobId]) -> Vec<&str> {
    let mut letters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in needed.iter().map(BlobId::as_str) {
        letters.entry(id.get(..1).unwrap_or(id)).or_default().push(id);
    }
    let mut prefixes = Vec::new();
    for (start, ids) in letters {
        if ids.len() <= ONE_BY_ONE {
            prefixes.push(start);
        } else {
            prefixes.extend(ids.iter().map(|id| id.get(..2).unwrap_or(id)));
        }
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}
