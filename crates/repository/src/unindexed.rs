//! Packs that no index entry names, and what that says about the list of snapshots.
//!
//! An index blob that is missing altogether leaves no trace in what is left, but for the packs that it named:
//! each ends in an index of its own, so they can say what they hold. There are such packs in sound
//! repositories, too. Kopia writes packs before the index that names them, so some belong to whoever is
//! writing at the moment, or to a backup that was cut off; and what is deleted leaves the indexes some time
//! before its packs are removed.

mod coverage;
mod hidden;

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use kopia_format::index::{Entry, Index};
use kopia_format::{BlobId, ContentId, Timestamp};
use kopia_storage::BlobInfo;

use crate::index::{Indexes, is_hashed, own_index};
use crate::lock::{into_inner, lock};
use crate::{Error, Repository, Result};

pub use coverage::ManifestCoverage;
pub use hidden::HiddenSnapshot;

/// Which packs are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packs {
    /// Those of directories, lists and manifests: `q`.
    Metadata,
    /// Those of files, too: `p` and `q`.
    All,
}

/// A pack that no index entry names, and what it says of itself.
#[derive(Debug)]
#[non_exhaustive]
pub struct UnindexedPack {
    /// Its name.
    pub id: BlobId,
    /// Its length in bytes.
    pub length: u64,
    /// How many contents it holds of each prefix; no prefix is what files consist of, `k` are directories,
    /// `m` manifests.
    pub holds: BTreeMap<Option<char>, Held>,
    /// When the newest of them was written.
    pub newest: Option<Timestamp>,
    /// Whether it belongs to a session of kopia that has not ended: it is writing at the moment, or was cut
    /// off.
    pub session_open: bool,
    /// Whether everything in it may have been deleted long ago: then it leaves the indexes some time before
    /// the pack is removed.
    pub may_be_deleted: bool,
    /// Why it cannot say what it holds.
    pub error: Option<Error>,
}

/// Contents of a pack that no index entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// How many there are.
    pub contents: u64,
    /// How many of them no index has, in another pack or marked deleted.
    pub unknown: u64,
}

impl UnindexedPack {
    /// Returns whether it holds, or may hold, what no index has.
    ///
    /// That means contents of a prefix; it may do so if it cannot say.
    pub fn may_hide(&self, prefix: Option<char>) -> bool {
        self.error.is_some() || self.holds.get(&prefix).is_some_and(|held| held.unknown > 0)
    }

    /// Returns whether there is such a pack in a sound repository, too: it belongs to a backup that runs or
    /// was cut off, all that it holds may have been deleted, or stands in the indexes at another place.
    pub fn is_expected(&self) -> bool {
        let is_known = self.error.is_none() && self.holds.values().all(|held| held.unknown == 0);
        self.session_open || self.may_be_deleted || is_known
    }
}

impl Repository {
    /// Finds packs that no index entry names, sorted by name, and asks them what they hold: some reads for
    /// each such pack, a few packs at a time. The indexes are read again if they have changed since they were
    /// read, as packs are written before the index that names them.
    ///
    /// # Errors
    /// [`Error::Storage`] if packs or index blobs cannot be listed, and as for [`Repository::refresh`].
    pub fn unindexed_packs(&self, packs: Packs) -> Result<Vec<UnindexedPack>> {
        let store = self.store();
        let mut listed = match packs {
            Packs::Metadata => Vec::new(),
            Packs::All => store.list("p")?,
        };
        listed.extend(store.list("q")?);
        // Other files may have the extension of blobs.
        listed.retain(|pack| is_hashed(&pack.id));
        let (mut indexes, mut unnamed) = self.unnamed(&listed)?;
        if unnamed.is_empty() {
            return Ok(Vec::new());
        }
        // Listed after the packs: a session that has ended since has written its index.
        let markers = store.list("s")?;
        let open: HashSet<&str> = markers.iter().filter_map(|marker| session(&marker.id)).collect();
        if self.refresh()? {
            (indexes, unnamed) = self.unnamed(&listed)?;
        }
        let found = Mutex::new(Vec::new());
        self.cores().for_each(store.profile(), &unnamed, |pack| {
            let mut described = match own_index(store, self.sealing(), pack) {
                Ok(index) => describe(pack, &index, &indexes),
                // Removed since it was listed.
                Err(Error::Storage(error)) if error.is_not_found() => return,
                Err(error) => UnindexedPack { error: Some(error), ..nothing(pack) },
            };
            described.session_open = session(&pack.id).is_some_and(|session| open.contains(session));
            lock(&found).push(described);
        });
        let mut found = into_inner(found);
        found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    /// Returns the ids of the contents that a pack says it holds.
    ///
    /// # Errors
    /// Why it cannot say: [`Error::CorruptBlob`], [`Error::Unsupported`] or [`Error::Storage`].
    pub fn contents_of_pack(&self, pack: &BlobId) -> Result<Vec<ContentId>> {
        let info = BlobInfo::new(pack.clone(), self.store().length(pack)?);
        let index = own_index(self.store(), self.sealing(), &info)?;
        Ok(held(&index).map(|(content, _)| content).collect())
    }

    /// Keeps the packs that the indexes of now do not name.
    fn unnamed(&self, packs: &[BlobInfo]) -> Result<(std::sync::Arc<Indexes>, Vec<BlobInfo>)> {
        let live = self.indexes()?;
        let indexes = live.snapshot();
        let names = live.packs().iter().enumerate();
        let named: HashSet<&BlobId> =
            names.filter(|(number, _)| indexes.table.is_indexed(*number)).map(|(_, name)| name).collect();
        let unnamed = packs.iter().filter(|pack| !named.contains(&pack.id)).cloned().collect();
        Ok((indexes, unnamed))
    }
}

fn nothing(pack: &BlobInfo) -> UnindexedPack {
    UnindexedPack {
        id: pack.id.clone(),
        length: pack.length,
        holds: BTreeMap::new(),
        newest: None,
        session_open: false,
        may_be_deleted: false,
        error: None,
    }
}

fn describe(pack: &BlobInfo, index: &Index<Vec<u8>>, indexes: &Indexes) -> UnindexedPack {
    let mut described = nothing(pack);
    let mut newest = 0;
    for (content, entry) in held(index) {
        let held = described.holds.entry(content.prefix()).or_default();
        held.contents += 1;
        held.unknown += u64::from(indexes.table.find(&content).is_none());
        newest = newest.max(entry.timestamp);
    }
    let newest = i64::try_from(newest).ok().filter(|&seconds| seconds > 0);
    described.may_be_deleted =
        newest.is_some_and(|newest| indexes.dropped_until.is_some_and(|until| newest <= until));
    described.newest = newest.and_then(|seconds| Timestamp::new(seconds, 0).ok());
    described
}

/// Returns the contents that an index of a pack's own has there. Other entries say that a content of an older
/// pack was deleted.
fn held<'i>(index: &'i Index<Vec<u8>>) -> impl Iterator<Item = (ContentId, Entry<'i>)> {
    let there = index.entries().filter(|entry| !entry.deleted);
    there.filter_map(|entry| Some((ContentId::from_key(entry.key).ok()?, entry)))
}

/// The session that wrote a blob: kopia ends names with `-` and its id. One that has not ended has a marker
/// `s…` that ends so, too (`repo/content/sessions.go`).
fn session(blob: &BlobId) -> Option<&str> {
    blob.as_str().split('-').skip(1).find(|part| part.starts_with('s'))
}
