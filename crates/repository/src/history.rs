//! What lay at a path, snapshot by snapshot, with equal versions folded.
//!
//! A directory that snapshots share is read once, and the directories of a level are read together.
//!
//! ```
//! use kopia_repository::history::{Track, sightings, versions};
//! # use kopia_codec::key::Password;
//! # use kopia_repository::Repository;
//! # use kopia_storage::FilesystemStore;
//! # let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/golden/repos/sources/repo");
//! # let repository = Repository::open(FilesystemStore::open(directory)?, &Password::new("golden"))?;
//! let snapshots = repository.snapshots()?;
//! let tracks = Track::named(&snapshots, "app@media:/data/hello.txt", ("", ""))?;
//! let seen = sightings(&repository, snapshots.iter(), &tracks);
//! for span in versions(&seen) {
//!     println!("{:?} in {} snapshots up to {}", span.version, span.snapshots, span.last.id());
//! }
//! # assert!(versions(&seen).len() > 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod lookup;
mod select;
mod track;

use crate::compare::Changes;
use crate::{Defect, Entry, Repository, Snapshot};
use lookup::Lookup;
pub use track::Track;

/// What a snapshot has at the path.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The path below its root.
    pub path: String,
    /// The entry, nothing if it has none there, or why neither is known: a directory on the way cannot be read, or
    /// refuses what lies there and has no sound entry of its name.
    pub entry: Result<Option<Entry>, Defect>,
}

/// Snapshots of one source, one after the other, that have the same at the path, or nothing.
#[derive(Debug, Clone)]
pub struct Span {
    /// The number of the version, 1 for the oldest; none where nothing is there.
    pub version: Option<u32>,
    /// What is there, as the newest of these snapshots has it.
    pub entry: Option<Entry>,
    /// The path below the root of that snapshot.
    pub path: String,
    /// The oldest of these snapshots.
    pub first: Snapshot,
    /// The newest of them.
    pub last: Snapshot,
    /// How many they are.
    pub snapshots: u64,
}

/// Looks at the path in each snapshot of its tracks, oldest first.
pub fn sightings<'s>(
    repository: &Repository,
    snapshots: impl IntoIterator<Item = &'s Snapshot>,
    tracks: &[Track],
) -> Vec<Sighting> {
    let on_track = |snapshot: &'s Snapshot| {
        let track = tracks.iter().find(|track| track.source == *snapshot.source())?;
        Some((snapshot, &*track.path))
    };
    let mut wanted: Vec<_> = snapshots.into_iter().filter_map(on_track).collect();
    wanted.sort_by_key(|(snapshot, _)| snapshot.order());
    let roots: Vec<_> =
        wanted.iter().map(|(snapshot, path)| (snapshot.root().map_err(Defect::from), *path)).collect();
    let found = Lookup::all(repository, &roots);
    let seen = wanted.iter().zip(found);
    seen.map(|((snapshot, path), entry)| Sighting {
        snapshot: (*snapshot).clone(),
        path: path.trim_matches('/').to_owned(),
        entry,
    })
    .collect()
}

/// Folds sightings, oldest first: snapshots that have the same, one after the other, make one version.
///
/// What could not be read tells nothing and is left out, as are snapshots from before the path was there.
pub fn versions(sightings: &[Sighting]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut number = 0;
    for Sighting { snapshot, path, entry } in sightings {
        let Ok(entry) = entry else { continue };
        match spans.last_mut() {
            None if entry.is_none() => continue,
            Some(last) if is_same(last.entry.as_ref(), entry.as_ref()) => {
                (last.last, last.path) = (snapshot.clone(), path.clone());
                last.snapshots += 1;
                continue;
            }
            _ => {}
        }
        let version = entry.is_some().then(|| {
            number += 1;
            number
        });
        spans.push(Span {
            version,
            entry: entry.clone(),
            path: path.clone(),
            first: snapshot.clone(),
            last: snapshot.clone(),
            snapshots: 1,
        });
    }
    spans
}

/// Returns whether two snapshots have the same at a path: the same entry, or both nothing.
fn is_same(one: Option<&Entry>, other: Option<&Entry>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return one.is_none() && other.is_none() };
    Changes::between(one, other).is_nothing()
}
