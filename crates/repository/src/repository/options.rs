//! How a repository is opened.

use super::Resources;

/// What may be left out, and what is added, when a repository is opened. By default nothing: opening fails
/// rather than to lack something.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Leave out index blobs that cannot be read, and add the index that every pack ends in: what was written
    /// is found again, as long as its pack is there. [`Repository::losses`](crate::Repository::losses) says
    /// what was lost. Snapshots and contents that were deleted may be back, where an index blob that is lost
    /// was the only one to say so.
    ///
    /// A repository that is being upgraded is read as it was before, where that is still known.
    pub degraded: bool,
    /// Take in contents that are marked deleted, as long as their packs exist.
    ///
    /// With them come the snapshots that were deleted:
    ///
    /// [`Snapshot::is_deleted`](crate::Snapshot::is_deleted) tells which.
    pub deleted: bool,
    /// Read how long the store keeps blobs, too: for [`Repository::upkeep`](crate::Repository::upkeep). That lies in
    /// a blob of its own, whose key is forgotten once a repository is open.
    pub retention: bool,
    /// Read when maintenance ran and is to run, too: as for [`Self::retention`], from another blob.
    pub schedule: bool,
    /// How many threads and how much memory it takes.
    pub resources: Resources,
}
