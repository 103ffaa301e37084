//! Repositories near a location that holds none.
//!
//! What writes and what restores often see a volume at different levels: one has `/kopia/repository`, the
//! other mounts the same volume at `/repository`. So it is searched below, level by level, and above; and if
//! there is none, beside: in other volumes.

mod cache;
mod packs;

use std::collections::VecDeque;
use std::fs::{DirEntry, FileType};
use std::io;
use std::path::{Path, PathBuf};

use kopia_format::BlobId;
use kopia_storage::BlobStore;
use kopia_storage::FilesystemStore;
use serde::Serialize;

use crate::effort::{Budget, Effort};
use crate::local_path::{LocalPath, PathState, SYSTEM};
use crate::serialize::path;
pub use cache::is_cache;
use packs::{begins_pack, is_pack};

/// How many levels are searched below the location.
const LEVELS: usize = 6;

/// How many levels are searched elsewhere.
const LEVELS_BESIDE: usize = 2;

/// How many repositories are kept.
const KEPT: usize = 10;

/// File systems that are no volumes.
const NO_VOLUMES: [&str; 4] = ["tmpfs", "ramfs", "overlay", "squashfs"];

/// A repository near a location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Neighbour {
    /// Its directory.
    #[serde(serialize_with = "path")]
    pub path: PathBuf,
    /// Where it lies.
    pub relation: Relation,
    /// How its blobs are named.
    pub layout: Layout,
}

/// Where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Relation {
    /// Below the location.
    Below,
    /// Above the location.
    Above,
    /// In the same directory or another volume.
    Beside,
}

/// How its blobs are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Layout {
    /// As kopia names them in a directory.
    #[serde(rename = "folder")]
    Directory,
    /// Without `.f`, as they are in object stores: somebody copied or mounted one. It can be read as it is.
    ObjectStore,
}

/// What a search found, nearest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Nearest first.
    pub found: Vec<Neighbour>,
    /// Further ones, which were dropped.
    pub more: usize,
    /// The first directory below the location that this process may not read: one may lie there.
    pub closed: Option<PathBuf>,
}

/// What a search below a directory found: levels, paths and layouts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Below {
    found: Vec<(usize, PathBuf, Layout)>,
    closed: Option<PathBuf>,
}

/// Searches near a location that holds no repository itself.
pub fn search(path: &LocalPath, effort: Effort) -> Search {
    let mut budget = effort.budget();
    let (mut found, mut closed) = (Vec::new(), None);
    if path.state == PathState::Directory {
        let below = below(path, &path.given, LEVELS, &mut budget);
        closed = below.closed;
        found.extend(
            below.found.into_iter().map(|(level, path, layout)| (level, Relation::Below, path, layout)),
        );
    }
    for (level, ancestor) in path.given.ancestors().enumerate().skip(1) {
        found.extend(layout(ancestor).map(|layout| (level, Relation::Above, ancestor.into(), layout)));
    }
    if found.is_empty() {
        let beside = beside(path, &mut budget).into_iter();
        found.extend(beside.map(|(level, path, layout)| (level, Relation::Beside, path, layout)));
    }
    found.sort_unstable_by(|a, b| (a.3, a.0, a.1, &a.2).cmp(&(b.3, b.0, b.1, &b.2)));
    let more = found.len().saturating_sub(KEPT);
    found.truncate(KEPT);
    let neighbour = |(_, relation, path, layout)| Neighbour { path, relation, layout };
    Search { found: found.into_iter().map(neighbour).collect(), more, closed }
}

/// Returns how the blobs of a directory are named, if it is a repository.
pub fn layout(directory: &Path) -> Option<Layout> {
    if is_file(&directory.join("kopia.repository.f"))
        || is_file(&directory.join(".shards")) && stores_format_blob(directory)
    {
        return Some(Layout::Directory);
    }
    (is_file(&directory.join("kopia.repository")) && !is_cache(directory)).then_some(Layout::ObjectStore)
}

/// Returns whether a directory holds packs of a repository of its own: files that are named as packs by the
/// directories on their way.
pub fn holds_packs(root: &Path, effort: Effort) -> bool {
    let mut budget = effort.budget();
    let mut queue = VecDeque::from([(0, root.to_path_buf(), Vec::new())]);
    while let Some((level, directory, joined)) = queue.pop_front() {
        if !budget.directory() {
            break;
        }
        let Ok(entries) = directory.read_dir() else { continue };
        for entry in entries {
            if !budget.entry() {
                break;
            }
            let Ok(entry) = entry else { break };
            let id = [&joined, entry.file_name().as_encoded_bytes()].concat();
            // Copies of object stores have no `.f`.
            if is_pack(id.strip_suffix(b".f").unwrap_or(&id)) {
                return true;
            }
            if level < LEVELS && begins_pack(&id) && is_directory(&entry) {
                queue.push_back((level + 1, entry.path(), id));
            }
        }
    }
    false
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// Returns whether a layout puts the format blob into a directory of its own, as a hand-written `.shards`
/// may.
fn stores_format_blob(directory: &Path) -> bool {
    let id = BlobId::new("kopia.repository").expect("the constant is a name");
    FilesystemStore::open(directory).is_ok_and(|store| store.length(&id).is_ok())
}

/// Searches in volumes mounted elsewhere, and in the directory that the location would lie in.
fn beside(path: &LocalPath, budget: &mut Budget) -> Vec<(usize, PathBuf, Layout)> {
    let root = Path::new("/");
    let parent = match path.state {
        PathState::Missing => Some(&*path.existing),
        _ => path.existing.parent(),
    };
    let mut roots: Vec<PathBuf> =
        parent.filter(|parent| *parent != root).map(PathBuf::from).into_iter().collect();
    let volumes = path.mounts.iter().flat_map(|mounts| mounts.iter()).filter(|mount| {
        mount.point != root && !mount.is_special() && !NO_VOLUMES.contains(&&*mount.file_system)
    });
    roots.extend(volumes.map(|mount| mount.point.clone()));
    let mut found: Vec<(usize, PathBuf, Layout)> = Vec::new();
    for root in roots {
        let here = layout(&root).map(|layout| (1, root.clone(), layout));
        for new in here.into_iter().chain(below(path, &root, LEVELS_BESIDE, budget).found) {
            if !found.iter().any(|(_, path, _)| *path == new.1) {
                found.push(new);
            }
        }
    }
    found
}

/// Searches below a directory, level by level, and not below what was found.
fn below(location: &LocalPath, root: &Path, levels: usize, budget: &mut Budget) -> Below {
    let mut below = Below::default();
    let mut queue = VecDeque::from([(0, root.to_path_buf())]);
    while let Some((level, directory)) = queue.pop_front() {
        if !budget.directory() {
            break;
        }
        let entries = match directory.read_dir() {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    below.closed.get_or_insert(directory);
                }
                continue;
            }
        };
        for entry in entries {
            if !budget.entry() {
                break;
            }
            let Ok(entry) = entry else { break };
            let is_system = SYSTEM.iter().any(|name| entry.file_name() == *name);
            if is_system || !is_directory(&entry) {
                continue;
            }
            let path = entry.path();
            if location.mounts.as_ref().is_some_and(|mounts| mounts.is_special(&path)) {
                continue;
            }
            match layout(&path) {
                Some(layout) => below.found.push((level + 1, path, layout)),
                None if level + 1 < levels => queue.push_back((level + 1, path)),
                None => {}
            }
        }
    }
    below
}

/// Returns whether an entry is a directory itself: symlinks may lead anywhere, and in circles.
fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().as_ref().is_ok_and(FileType::is_dir)
}

#[cfg(test)]
mod tests;
