//! Whether a list of snapshots is whole.

use super::{Packs, UnindexedPack};
use crate::{Repository, Result, Snapshots};

/// A list of snapshots, and what speaks against its being whole.
///
/// Who concludes something from a snapshot that is *not* there, such as a restore that does nothing on the first deployment
/// of an application, must know that it could not have been overlooked.
#[derive(Debug)]
#[non_exhaustive]
pub struct ManifestCoverage {
    /// The list that this is said of.
    pub snapshots: Snapshots,
    /// Index blobs that could not be read when the repository was opened degraded, each as a sentence.
    pub lost_indexes: Vec<String>,
    /// Packs that no index names and that hold manifests no index has, or may hold some.
    pub hiding: Vec<UnindexedPack>,
}

impl ManifestCoverage {
    /// Says whether no snapshot can be missing from the list: every index blob that counts was read, and so was every
    /// content with manifests, and no pack outside the index holds others. What nobody can notice is a pack that was removed
    /// together with its index.
    pub fn is_complete(&self) -> bool {
        self.lost_indexes.is_empty() && self.snapshots.lost().is_empty() && self.hiding.is_empty()
    }
}

impl Repository {
    /// Lists the snapshots, and finds out whether the list is whole. Packs that hold manifests which stand in the index
    /// anyway, rewritten or marked deleted, do not count against it.
    ///
    /// # Errors
    /// As for [`Repository::snapshots`] and [`Repository::unindexed_packs`].
    pub fn manifest_coverage(&self) -> Result<ManifestCoverage> {
        // Packs come first: what they need of newer indexes is then in the list, too.
        let mut hiding = self.unindexed_packs(Packs::Metadata)?;
        hiding.retain(|pack| pack.may_hide(Some('m')));
        Ok(ManifestCoverage {
            snapshots: self.snapshots()?,
            lost_indexes: self.lost_indexes().to_vec(),
            hiding,
        })
    }
}
