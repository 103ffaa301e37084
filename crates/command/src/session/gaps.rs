//! What is known to be missing from the list of snapshots.
//!
//! An index blob that was lost, or has not been copied yet, takes snapshots out of the list without a trace
//! in what is left. But packs are there that no index names, and they know what they hold. To look for them
//! costs a listing of the packs that hold manifests; they are read only if there are any.

use kopia_rs::select::Pick;
use kopia_rs::unindexed::{HiddenSnapshot, ManifestCoverage};
use kopia_rs::{BlobId, Repository, Snapshot, Source};

use crate::args::What;
use crate::terminal::output::{count, thousands};
use crate::wording::advice::audience;
use crate::wording::snapshots::{UNKNOWN, may_be_hidden};

/// How many snapshots or packs are named.
const NAMED: usize = 5;

/// What is missing from the list, or may be.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Snapshots whose manifests lie in packs that no index names, newest first.
    hidden: Vec<HiddenSnapshot>,
    /// Packs that no index names, and of which nobody knows what they hold.
    unread: Vec<BlobId>,
    /// How many parts of the list cannot be read.
    lost: usize,
    /// Whether index blobs are lost that may have named snapshots of which nothing else is left.
    indexes_lost: bool,
    /// Whether what is missing is newer than what was chosen.
    newer: bool,
}

impl Gaps {
    /// Looks for them. What is missing in a sound repository, too, is left out: what a backup that runs has
    /// written, and what was deleted.
    ///
    /// # Errors
    /// If packs or index blobs cannot be listed, or the list cannot be read.
    pub(crate) fn find(repository: &Repository) -> kopia_rs::Result<Self> {
        if Self::may_be(repository)? { Self::look(repository) } else { Ok(Self::default()) }
    }

    /// Returns whether there may be some, which costs a listing.
    ///
    /// # Errors
    /// If packs cannot be listed.
    pub(crate) fn may_be(repository: &Repository) -> kopia_rs::Result<bool> {
        // A server knows by itself what is in its indexes, and shows no packs.
        if repository.server().is_some() {
            return Ok(false);
        }
        let is_suspect = repository.options().degraded || !repository.lost_indexes().is_empty();
        Ok(is_suspect || !repository.hiding_packs()?.is_empty())
    }

    /// Looks for them where there may be some.
    ///
    /// # Errors
    /// As for [`Self::find`].
    pub(crate) fn look(repository: &Repository) -> kopia_rs::Result<Self> {
        Ok(Self::of(&repository.manifest_coverage()?))
    }

    fn of(coverage: &ManifestCoverage) -> Self {
        let hidden = coverage.hidden.iter().filter(|hidden| !hidden.is_expected);
        let mut lost = coverage.snapshots.lost().len();
        // kopia keeps manifests of policies and maintenance beside those of snapshots: a list is not empty by
        // itself where index blobs are lost.
        if coverage.snapshots.iter().len() == 0 {
            lost += coverage.lost_indexes.len();
        }
        Self {
            hidden: hidden.cloned().collect(),
            unread: coverage.unread_unexpectedly().cloned().collect(),
            lost,
            indexes_lost: !coverage.lost_indexes.is_empty(),
            newer: false,
        }
    }

    /// Keeps what could have been chosen instead of a snapshot.
    pub(crate) fn instead_of(mut self, chosen: &Snapshot, what: &What) -> Self {
        let head = what.what.split('/').next().unwrap_or_default();
        let source = Pick::named(head).is_none().then(|| chosen.source());
        self.hidden.retain(|hidden| {
            source.is_none_or(|source| hidden.source == *source)
                && hidden.start_time > chosen.start_time()
                && (what.incomplete || !hidden.is_incomplete)
                && what.at.as_ref().and_then(|when| when.at).is_none_or(|at| at.admits(hidden.start_time))
        });
        self.newer = true;
        self
    }

    /// Keeps what is of a source, where one is given.
    pub(crate) fn of_source(mut self, source: Option<&Source>) -> Self {
        self.hidden.retain(|hidden| source.is_none_or(|source| hidden.source == *source));
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hidden.is_empty() && self.unread.is_empty() && self.lost == 0
    }

    /// Returns what nobody can know. That is no gap: most lost index blobs named nothing that their packs do
    /// not tell.
    pub(crate) fn unknown(&self) -> Option<&'static str> {
        (self.indexes_lost && self.is_empty()).then_some(UNKNOWN)
    }

    /// Returns a sentence for each of the first, and one for the rest.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let newer = if self.newer { "newer " } else { "" };
        let hidden = self.hidden.iter().map(|hidden| {
            let HiddenSnapshot { source, start_time, pack, .. } = hidden;
            format!(
                "a {newer}snapshot of {source}, from {start_time}, is missing: its manifest lies in pack \
                 {pack}, \
                 which no index names"
            )
        });
        let unread = self.unread.iter().map(|pack| may_be_hidden(newer, pack));
        let mut all: Vec<String> = hidden.chain(unread).collect();
        let more = all.len().saturating_sub(NAMED);
        if more > 0 {
            all.truncate(NAMED);
            all.push(format!("… and {} more", thousands(more as u64)));
        }
        if self.lost > 0 {
            let parts = count(self.lost as u64, "part", "parts");
            let newer = if self.newer { "a newer snapshot" } else { "snapshots" };
            all.push(format!("{parts} of the list of snapshots cannot be read: {newer} may be missing"));
        }
        all
    }

    /// Returns what can be done about them.
    pub(crate) fn hint(&self, repository: &Repository) -> String {
        if repository.options().degraded {
            return "another copy of the repository may have them; a snapshot that is named by its id is not \
                affected"
                .into();
        }
        let degraded = audience().option("--degraded");
        format!("an index blob may be lost, or not copied yet; {degraded} takes in what packs say they hold")
    }
}
