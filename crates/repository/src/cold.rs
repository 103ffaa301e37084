//! What lies in an archive, and has to be fetched from there before something can be read.
//!
//! Storage classes such as S3's GLACIER list their blobs and do not give their bytes: somebody has to ask for
//! each, and wait for minutes to days. [`ColdBlobs`] are those that stand in the way of one step: opening,
//! directories, or files. The three come one after the other, as which packs hold a snapshot's files stands
//! in its directories, and where those are in the indexes.
//!
//! Nothing is asked for unless [`ColdBlobs::thaw`] is called.

mod find;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kopia_format::BlobId;
use kopia_storage::{BlobStore, ColdBlob, ThawSpeed, Warmth};

use crate::parallel::{map_by_threads, reads_at_once};
use crate::{Error, Result};

pub use find::ColdPacks;

/// How many blobs are looked at before it is taken for granted that all others are still being fetched.
const LOOKED_AT: usize = 256;

/// Blobs that cannot be read before they have been fetched from an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColdBlobs {
    step: Step,
    blobs: Vec<Frozen>,
}

/// What they are needed for, in the order of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Step {
    /// Opening the repository: its format blob and its indexes.
    Opening,
    /// Snapshots, directories and the lists of large files.
    Directories,
    /// The bytes of files.
    Files,
}

/// A blob that cannot be read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frozen {
    /// Its name, its length and its storage class.
    pub blob: ColdBlob,
    /// Whether it is being fetched.
    pub thawing: bool,
}

/// The blobs of one storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColdClass {
    /// The class, as the server calls it.
    pub class: String,
    /// How many blobs there are.
    pub blobs: u64,
    /// Their lengths in bytes, added up.
    pub bytes: u64,
}

impl ColdBlobs {
    /// Makes an empty list.
    pub(crate) fn none(step: Step) -> Self {
        Self { step, blobs: Vec::new() }
    }

    /// Asks of each blob that a listing showed whether it can be read; keeps the others.
    pub(crate) fn of(store: &dyn BlobStore, step: Step, listed: Vec<ColdBlob>) -> Result<Self> {
        let blobs = listed.into_iter().map(|blob| Frozen { blob, thawing: false }).collect();
        let mut cold = Self { step, blobs };
        let count = cold.blobs.len();
        cold.look_at(store, count)?;
        Ok(cold)
    }

    /// Adds what another thing needs, so that both are asked for at once; a blob that both need stays one.
    ///
    /// The step becomes the earlier of the two.
    pub fn join(&mut self, other: Self) {
        self.step = self.step.min(other.step);
        self.blobs.extend(other.blobs);
        self.blobs.sort_unstable_by(|a, b| a.blob.info.id.cmp(&b.blob.info.id));
        self.blobs.dedup_by(|a, b| a.blob.info.id == b.blob.info.id);
    }

    /// Returns what the blobs are needed for.
    pub fn step(&self) -> Step {
        self.step
    }

    /// Returns whether nothing has to be fetched.
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Returns the blobs.
    pub fn blobs(&self) -> &[Frozen] {
        &self.blobs
    }

    /// Returns how many bytes the blobs have.
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().fold(0, |sum: u64, frozen| sum.saturating_add(frozen.blob.info.length))
    }

    /// Returns how many of the blobs are being fetched.
    pub fn thawing(&self) -> u64 {
        self.blobs.iter().filter(|frozen| frozen.thawing).count() as u64
    }

    /// Adds up the blobs of each storage class, sorted by its name.
    pub fn classes(&self) -> Vec<ColdClass> {
        let mut classes: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for Frozen { blob, .. } in &self.blobs {
            let (blobs, bytes) = classes.entry(&blob.class).or_default();
            *blobs += 1;
            *bytes = bytes.saturating_add(blob.info.length);
        }
        let class = |(class, (blobs, bytes)): (&str, _)| ColdClass { class: class.into(), blobs, bytes };
        classes.into_iter().map(class).collect()
    }

    /// Asks for the blobs that nobody has asked for yet, to be readable for so many days once they are
    /// fetched.
    ///
    /// It returns at once; those that can be read already are dropped.
    ///
    /// # Errors
    /// The first refusal of the store. All others have been asked for then.
    pub fn thaw(&mut self, store: &dyn BlobStore, speed: ThawSpeed, days: u32) -> Result<()> {
        let Some(cold) = store.cold() else { return Ok(()) };
        let wanted: Vec<BlobId> = self.ids(|frozen| !frozen.thawing);
        let asked = map_by_threads(reads_at_once(store.profile()), &wanted, |id| cold.thaw(id, speed, days));
        self.learn(wanted.into_iter().zip(asked))
    }

    /// Looks again, and drops what can be read by now.
    ///
    /// Of very many blobs it looks at some only, at others the next time, and goes on as long as it finds
    /// some that can be read.
    ///
    /// # Errors
    /// What the store said.
    pub fn look(&mut self, store: &dyn BlobStore) -> Result<()> {
        if store.cold().is_none() {
            // At once: dropping the first of very many moves all others, each time.
            self.blobs.clear();
            return Ok(());
        }
        let mut unseen = self.blobs.len();
        while unseen > 0 {
            let (before, count) = (self.blobs.len(), LOOKED_AT.min(unseen));
            self.look_at(store, count)?;
            let warm = before - self.blobs.len();
            unseen -= count;
            // What is still cold goes to the end, so that the next look begins with others.
            self.blobs.rotate_left(count - warm);
            if warm == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Looks at the first blobs.
    fn look_at(&mut self, store: &dyn BlobStore, count: usize) -> Result<()> {
        let Some(cold) = store.cold() else {
            self.blobs.drain(..count);
            return Ok(());
        };
        let ids: Vec<BlobId> =
            self.blobs.iter().take(count).map(|frozen| frozen.blob.info.id.clone()).collect();
        let warmth = map_by_threads(reads_at_once(store.profile()), &ids, |id| cold.warmth(id));
        self.learn(ids.into_iter().zip(warmth))
    }

    /// Notes what the store says of some blobs, in the order of the list, and drops those that can be read.
    fn learn(&mut self, said: impl Iterator<Item = (BlobId, kopia_storage::Result<Warmth>)>) -> Result<()> {
        let mut said = said.peekable();
        let mut failed = None;
        self.blobs.retain_mut(|frozen| {
            let Some((_, warmth)) = said.next_if(|(id, _)| *id == frozen.blob.info.id) else { return true };
            match warmth {
                Ok(Warmth::Warm { .. }) => return false,
                // Maintenance may have removed it; who needs it says so.
                Err(error) if error.is_not_found() => return false,
                Ok(Warmth::Cold { class }) => (frozen.blob.class, frozen.thawing) = (class, false),
                Ok(_) => frozen.thawing = true,
                Err(error) => drop(failed.get_or_insert(error)),
            }
            true
        });
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn ids(&self, wanted: impl Fn(&Frozen) -> bool) -> Vec<BlobId> {
        self.blobs.iter().filter(|frozen| wanted(frozen)).map(|frozen| frozen.blob.info.id.clone()).collect()
    }
}

impl Error {
    /// Returns the blob that has to be fetched from an archive first, if that is why it cannot be read.
    pub fn cold_blob(&self) -> Option<&BlobId> {
        let is_cold = match self {
            Self::Storage(error) => matches!(error.failure(), Some(kopia_storage::Failure::Cold { .. })),
            _ => false,
        };
        self.blob_id().filter(|_| is_cold)
    }
}
