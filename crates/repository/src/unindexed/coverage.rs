//! Whether a list of snapshots is whole.

use kopia_format::BlobId;
use kopia_format::snapshot::Source;

use super::{HiddenSnapshot, Packs, UnindexedPack, hidden};
use crate::{Repository, Result, Snapshots, Unreadable};

/// A list of snapshots, and what speaks against its being whole.
///
/// A caller that concludes something from a snapshot that is *not* there, such as a restore that does nothing
/// on the first deployment of an application, must know that it cannot have been overlooked; so must one that
/// takes the newest.
#[derive(Debug)]
#[non_exhaustive]
pub struct ManifestCoverage {
    /// The list that this is said of.
    pub snapshots: Snapshots,
    /// Parts of the indexes that could not be read when the repository was opened degraded.
    pub lost_indexes: Vec<Unreadable>,
    /// Packs that no index names and that hold manifests no index has, or may hold some.
    pub hiding: Vec<UnindexedPack>,
    /// The snapshots that are hidden there, newest first.
    pub hidden: Vec<HiddenSnapshot>,
    /// Those of the packs whose manifests, or some of them, cannot be read.
    pub unread: Vec<BlobId>,
}

impl ManifestCoverage {
    /// Returns whether no snapshot can be missing from the list: every index blob that counts was read, and
    /// so was every content with manifests, and no pack outside the index holds others. What nobody can
    /// notice is a pack that was removed together with its index.
    pub fn is_complete(&self) -> bool {
        self.lost_indexes.is_empty() && self.snapshots.lost().is_empty() && self.hiding.is_empty()
    }

    /// As [`Self::is_complete`], of the snapshots of a source: what packs hide of others does not matter.
    pub fn is_complete_for(&self, source: &Source) -> bool {
        self.lost_indexes.is_empty()
            && self.snapshots.lost().is_empty()
            && self.unread.is_empty()
            && self.hidden.iter().all(|hidden| hidden.source != *source)
    }

    /// Returns the packs that hide nobody knows what, but for those that there are in sound repositories,
    /// too.
    pub fn unread_unexpectedly(&self) -> impl Iterator<Item = &BlobId> {
        let hiding = self.hiding.iter().filter(|pack| !pack.is_expected());
        hiding.map(|pack| &pack.id).filter(|id| self.unread.contains(id))
    }
}

impl Repository {
    /// Lists the snapshots, and finds out whether the list is whole. Packs that hold manifests which stand in
    /// the index anyway, rewritten or marked deleted, do not count against it.
    ///
    /// # Errors
    /// As for [`Repository::snapshots`] and [`Repository::hiding_packs`].
    pub fn manifest_coverage(&self) -> Result<ManifestCoverage> {
        // Packs come first: what they need of newer indexes is then in the list, too.
        let hiding = self.hiding_packs()?;
        let snapshots = self.snapshots()?;
        let hidden::Hidden { snapshots: hidden, unread } = hidden::find(self, &hiding, &snapshots);
        Ok(ManifestCoverage { snapshots, lost_indexes: self.lost_indexes().to_vec(), hiding, hidden, unread })
    }

    /// Finds the packs that no index names and that hold manifests no index has, or may hold some. In a sound
    /// repository that costs listing the packs with the prefix `q`, and no read.
    ///
    /// # Errors
    /// As for [`Repository::unindexed_packs`].
    pub fn hiding_packs(&self) -> Result<Vec<UnindexedPack>> {
        let mut packs = self.unindexed_packs(Packs::Metadata)?;
        packs.retain(|pack| pack.may_hide(Some('m')));
        Ok(packs)
    }
}
