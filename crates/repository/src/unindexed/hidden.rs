//! Snapshots whose manifests lie in packs that no index names.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_format::index::Entry;
use kopia_format::manifest::{self, Manifest};
use kopia_format::snapshot::{SnapshotManifest, Source};
use kopia_format::{BlobId, ContentId, ManifestId, Timestamp};
use kopia_storage::{BlobInfo, ErrorKind};

use super::{UnindexedPack, held};
use crate::index::own_index;
use crate::lock::{into_inner, lock};
use crate::snapshot::{LONGEST_LIST, memory_of, too_long, too_many};
use crate::{Error, Repository, Result, Snapshots};

/// How many packs are read: where more hide something, the first of them say enough.
const PACKS: usize = 256;

/// How many bytes of memory manifests take in all: those of some 50,000 snapshots.
const MOST: usize = 128 << 20;

/// A snapshot that is not in the list.
///
/// Its manifest lies in a pack that no index names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HiddenSnapshot {
    /// Its id.
    pub id: String,
    /// What was backed up.
    pub source: Source,
    /// When the backup began.
    pub start_time: Timestamp,
    /// Whether the backup did not come to its end.
    pub is_incomplete: bool,
    /// The pack with its manifest.
    pub pack: BlobId,
    /// Whether it may have been deleted on purpose, or is just being written: see
    /// [`UnindexedPack::may_be_deleted`] and [`UnindexedPack::session_open`].
    pub is_expected: bool,
}

/// What packs hide.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    /// Newest first.
    pub(super) snapshots: Vec<HiddenSnapshot>,
    /// Packs of which nobody knows what they hide, or what else.
    pub(super) unread: Vec<BlobId>,
}

/// The states of manifests in a pack that no index names.
struct States<'a> {
    pack: &'a UnindexedPack,
    manifests: Vec<Manifest>,
}

/// Reads manifests in packs, and keeps those of snapshots not listed.
pub(super) fn find(repository: &Repository, packs: &[UnindexedPack], snapshots: &Snapshots) -> Hidden {
    let (asked, rest) = packs.split_at(packs.len().min(PACKS));
    let found = Mutex::new((Vec::new(), rest.iter().map(|pack| pack.id.clone()).collect::<Vec<_>>()));
    let taken = AtomicUsize::new(0);
    let numbers: Vec<usize> = (0..asked.len()).collect();
    repository.cores().for_each(repository.store().profile(), &numbers, |&number| {
        let pack = &asked[number];
        let read = manifests(repository, pack, &taken);
        let (states, unread) = &mut *lock(&found);
        match read {
            Ok((manifests, is_whole)) => {
                states.push(States { pack, manifests });
                unread.extend((!is_whole).then(|| pack.id.clone()));
            }
            // Removed since it was listed, as it may be once no index names it.
            Err(Error::Storage(error)) if error.is_not_found() => {}
            Err(error) => {
                tracing::debug!(pack = %pack.id, %error, "what a pack hides cannot be read");
                unread.push(pack.id.clone());
            }
        }
    });
    let (states, mut unread) = into_inner(found);
    let known: HashSet<&str> = snapshots.iter().map(|snapshot| snapshot.id()).collect();
    let deleted: HashSet<&ManifestId> = snapshots.tombstones().iter().collect();
    // The last state of each counts, wherever it lies: a pack may hide that a snapshot was deleted.
    let packs: BTreeMap<ManifestId, &UnindexedPack> = states
        .iter()
        .flat_map(|states| states.manifests.iter().map(|manifest| (manifest.id.clone(), states.pack)))
        .collect();
    let latest = manifest::latest(states.into_iter().flat_map(|states| states.manifests))
        .into_iter()
        .filter(|manifest| manifest.is_snapshot() && !manifest.deleted)
        .filter(|manifest| !deleted.contains(&manifest.id) && !known.contains(manifest.id.as_str()));
    let mut hidden = Vec::new();
    for manifest in latest {
        let Some(pack) = packs.get(&manifest.id) else { continue };
        match SnapshotManifest::parse(&manifest) {
            Ok(snapshot) => hidden.push(HiddenSnapshot {
                id: snapshot.id().into(),
                source: snapshot.source().clone(),
                start_time: snapshot.start_time(),
                is_incomplete: snapshot.incomplete().is_some(),
                pack: pack.id.clone(),
                is_expected: pack.is_expected(),
            }),
            // It may be the newest of any source; the others of its pack are known all the same.
            Err(error) => {
                let id = &manifest.id;
                tracing::debug!(pack = %pack.id, manifest = %id, %error, "what is hidden cannot be read");
                unread.push(pack.id.clone());
            }
        }
    }
    hidden.sort_unstable_by(|a, b| b.start_time.cmp(&a.start_time).then_with(|| a.id.cmp(&b.id)));
    unread.sort_unstable();
    unread.dedup();
    Hidden { snapshots: hidden, unread }
}

/// Reads the manifests of a pack that no index has, and returns whether these are all: what cannot be read of
/// them hides no others, unless it is the store that cannot be asked.
///
/// # Errors
/// That the pack does not say what it holds, or is no longer there.
fn manifests(
    repository: &Repository,
    pack: &UnindexedPack,
    taken: &AtomicUsize,
) -> Result<(Vec<Manifest>, bool)> {
    let info = BlobInfo::new(pack.id.clone(), pack.length);
    let index = own_index(repository.store(), repository.sealing(), &info)?;
    let indexes = repository.indexes()?.snapshot();
    let lists = held(&index)
        .filter(|(content, _)| content.prefix() == Some('m') && indexes.table.find(content).is_none());
    let (mut all, mut is_whole) = (Vec::new(), true);
    for (content, entry) in lists {
        let read = list(repository, pack, &content, &entry).and_then(|json| {
            let read = manifest::read(&json, |state| {
                if !state.deleted && !state.is_snapshot() {
                    return Ok(());
                }
                let memory = memory_of(&state);
                if taken.fetch_add(memory, Ordering::Relaxed) + memory > MOST {
                    return Err(too_many(MOST));
                }
                all.push(state.into());
                Ok(())
            });
            read.map_err(|error| corrupt(pack, &content, error))
        });
        match read {
            Err(Error::Storage(error)) if error.is_not_found() => return Err(error.into()),
            Err(error) => {
                tracing::debug!(pack = %pack.id, %content, %error, "hidden manifests cannot be read");
                is_whole = false;
                // A store that is out of reach would be waited for again with each list.
                if matches!(error.storage_kind(), Some(ErrorKind::NotAllowed | ErrorKind::TryAgain)) {
                    break;
                }
            }
            Ok(()) => {}
        }
        if taken.load(Ordering::Relaxed) > MOST {
            // No others would be kept.
            return Ok((all, false));
        }
    }
    Ok((all, is_whole))
}

/// Reads a list of manifests in a pack that no index has, and unpacks it.
fn list(
    repository: &Repository,
    pack: &UnindexedPack,
    content: &ContentId,
    entry: &Entry<'_>,
) -> Result<Vec<u8>> {
    let longest = u64::from(entry.packed_length).max(entry.original_length.into());
    if longest > LONGEST_LIST {
        return Err(corrupt(pack, content, too_long(longest)));
    }
    let (offset, length) = (u64::from(entry.offset & (u32::MAX >> 1)), entry.packed_length as usize);
    let stored = repository.store().read_range(&pack.id, offset, length, Vec::new())?;
    let json = repository.contents().with_decoder(|decoder| {
        let plain = decoder.decode_unindexed(content, entry, &stored)?;
        decoder.gunzip(&plain, LONGEST_LIST as usize)
    });
    json.map_err(|error| corrupt(pack, content, error))
}

fn corrupt(pack: &UnindexedPack, content: &ContentId, why: impl Display) -> Error {
    Error::CorruptBlob { blob: pack.id.clone(), why: format!("content {content}: {why}") }
}
