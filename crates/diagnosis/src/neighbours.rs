//! Repositories near a location that holds none.
//!
//! What writes and what restores often see a volume at different levels: one has `/kopia/repository`, the
//! other mounts the same volume at `/repository`. So it is searched below, level by level, and above; and if
//! there is none, beside: in other volumes.

use std::collections::VecDeque;
use std::fs::{DirEntry, File, FileType};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kopia_format::BlobId;
use kopia_storage::BlobStore;
use kopia_storage::FilesystemStore;
use serde::Serialize;

use crate::effort::{Budget, Effort};
use crate::local_path::{LocalPath, PathState, SYSTEM};
use crate::serialize::path;

/// How many levels are searched below the location.
const LEVELS: usize = 6;

/// How many levels are searched elsewhere.
const LEVELS_BESIDE: usize = 2;

/// How many repositories are kept.
const KEPT: usize = 10;

/// File systems that are no volumes.
const NO_VOLUMES: [&str; 4] = ["tmpfs", "ramfs", "overlay", "squashfs"];

/// The directories of a cache of kopia.
const CACHES: [&str; 7] =
    ["contents", "metadata", "indexes", "index-blobs", "own-writes", "blob-list", "server-contents"];

/// How many names of a directory are looked at.
const NAMES: usize = 10_000;

/// How much of a tag file is read, in bytes.
const TAG: u64 = 1024;

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
    #[serde(rename = "directory")]
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
    found.sort_by(|a, b| (a.3, a.0, a.1, &a.2).cmp(&(b.3, b.0, b.1, &b.2)));
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

/// Returns whether a directory is a cache that kopia keeps of a repository: it holds a copy of the format
/// blob under the name that an object store would give it, but neither indexes nor packs of its own.
pub fn is_cache(directory: &Path) -> bool {
    if is_file(&directory.join("kopia.repository.f")) {
        return false;
    }
    let has_part = CACHES.iter().any(|name| directory.join(name).is_dir());
    (has_part || has_cache_tag(directory)) && !has_packs_beside(directory)
}

/// Returns whether packs, or the directories that they are sorted into, lie in a directory itself.
fn has_packs_beside(directory: &Path) -> bool {
    let Ok(entries) = directory.read_dir() else { return false };
    entries.flatten().take(NAMES).any(|entry| {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        matches!(name, b"p" | b"q") || is_pack(name.strip_suffix(b".f").unwrap_or(name))
    })
}

/// Returns whether a directory has the tag that kopia gives to its caches, and tools for backups leave out.
fn has_cache_tag(directory: &Path) -> bool {
    let path = directory.join("CACHEDIR.TAG");
    if !is_file(&path) {
        return false;
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(TAG).read_to_end(&mut start));
    let contains = |words: &[u8]| start.windows(words.len()).any(|window| window == words);
    read.is_ok()
        && start.starts_with(b"Signature: 8a477f597d28d172789f06886806bc55")
        && contains(b"created by Kopia")
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
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

/// Returns whether a name is that of a pack: `p` or `q`, 32 digits, and perhaps a session after a `-`.
fn is_pack(name: &[u8]) -> bool {
    let stem = name.split(|&byte| byte == b'-').next().unwrap_or_default();
    stem.len() == 33 && begins_pack(stem) && !name.contains(&b'.')
}

fn begins_pack(name: &[u8]) -> bool {
    matches!(name, [b'p' | b'q', digits @ ..] if digits.iter().take(32).all(u8::is_ascii_hexdigit))
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
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use kopia_testkit::golden;

    use super::*;

    /// A folder with a repository of each layout that the golden ones have.
    fn repository(path: &Path, layout: &str) {
        let copy = kopia_testkit::damage::copy_repository(&golden::case(layout));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert!(
            std::process::Command::new("cp").arg("-a").arg(copy.path()).arg(path).status().unwrap().success()
        );
    }

    fn found(given: &Path) -> Vec<(PathBuf, Relation)> {
        let search = search(&LocalPath::look_among(given, None), Effort::Doctor);
        search.found.into_iter().map(|neighbour| (neighbour.path, neighbour.relation)).collect()
    }

    #[test]
    fn above_below_and_beside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let volume = root.join("volume");
        let at = volume.join("repository");
        repository(&at, "sources");
        // What kopia leaves behind where it looked in vain.
        fs::write(volume.join(".shards"), r#"{"default":[1,3],"maxNonShardedLength":20}"#).unwrap();
        assert_eq!(found(&volume), [(at.clone(), Relation::Below)]);
        assert_eq!(found(&root), [(at.clone(), Relation::Below)]);
        assert_eq!(found(&at.join("repository/deeper")), [(at.clone(), Relation::Above)]);
        assert_eq!(found(&at.join("p")), [(at.clone(), Relation::Above)]);
        assert_eq!(found(&at.join("kopia.repository.f")), [(at.clone(), Relation::Above)]);
        assert_eq!(found(&volume.join("kopia")), [(at.clone(), Relation::Beside)]);
        fs::create_dir(volume.join("kopia")).unwrap();
        assert_eq!(found(&volume.join("kopia")), [(at.clone(), Relation::Beside)]);
        // Several: the nearest first.
        repository(&volume.join("a/b/c"), "sources");
        repository(&volume.join("z"), "sources");
        let several = [at, volume.join("z"), volume.join("a/b/c")].map(|path| (path, Relation::Below));
        assert_eq!(found(&volume), several);
    }

    #[test]
    fn a_small_tree_is_searched_however_slow_the_machine_is() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        repository(&root.join("repository"), "sources");
        let mut budget = Budget { until: std::time::Instant::now(), ..Effort::Hint.budget() };
        assert_eq!(below(&LocalPath::look_among(&root, None), &root, LEVELS, &mut budget).found.len(), 1);
    }

    #[test]
    fn every_layout_is_recognized() {
        let folder = tempfile::tempdir().unwrap();
        for case in golden::cases() {
            assert_eq!(layout(&case.repository), Some(Layout::Directory), "{}", case.name);
        }
        fs::write(folder.path().join(".shards"), r#"{"default":[3],"maxNonShardedLength":2}"#).unwrap();
        assert_eq!(layout(folder.path()), None);
        fs::create_dir(folder.path().join("kop")).unwrap();
        fs::write(folder.path().join("kop/ia.repository.f"), "{}").unwrap();
        assert_eq!(layout(folder.path()), Some(Layout::Directory));
        let bucket = folder.path().join("bucket");
        fs::create_dir(&bucket).unwrap();
        fs::write(bucket.join("kopia.repository"), "{}").unwrap();
        assert_eq!(layout(&bucket), Some(Layout::ObjectStore));
    }

    /// A cache as kopia 0.23 leaves it, without what was cached.
    fn cache(at: &Path) {
        for name in ["blob-list", "contents/b4", "index-blobs", "indexes", "metadata/60", "own-writes"] {
            fs::create_dir_all(at.join(name)).unwrap();
        }
        fs::write(at.join("contents/.shards"), r#"{"default":[2],"maxNonShardedLength":2}"#).unwrap();
        for name in ["kopia.repository", "kopia.blobcfg"] {
            fs::write(at.join(name), "{}").unwrap();
        }
        let tag = "Signature: 8a477f597d28d172789f06886806bc55\n#\n# This file is a cache directory tag created by Kopia - Fast";
        fs::write(at.join("CACHEDIR.TAG"), tag).unwrap();
    }

    #[test]
    fn a_cache_is_no_repository() {
        let place = tempfile::tempdir().unwrap();
        // What lies beside a temporary directory is that of other tests.
        let root = place.path().canonicalize().unwrap().join("volume/root");
        let at = root.join("cache");
        cache(&at);
        assert!(is_cache(&at) && layout(&at).is_none());
        assert_eq!(found(&root), []);
        assert_eq!(found(&root.join("repository")), []);
        assert_eq!(found(&at), []);
        // By its tag alone, as without contents; by its parts alone, as older ones are.
        for name in ["blob-list", "contents", "index-blobs", "indexes", "metadata", "own-writes"] {
            fs::remove_dir_all(at.join(name)).unwrap();
        }
        assert!(is_cache(&at) && layout(&at).is_none());
        fs::remove_file(at.join("CACHEDIR.TAG")).unwrap();
        assert!(!is_cache(&at) && layout(&at) == Some(Layout::ObjectStore));
        fs::create_dir(at.join("contents")).unwrap();
        assert!(is_cache(&at) && layout(&at).is_none());
        // A repository stays one, whatever tag or folders somebody gave it.
        repository(&root.join("a/repository"), "sources");
        cache(&root.join("a/repository"));
        assert_eq!(found(&root), [(root.join("a/repository"), Relation::Below)]);
        let bucket = root.join("bucket");
        fs::create_dir(&bucket).unwrap();
        fs::write(bucket.join("kopia.repository"), "{}").unwrap();
        fs::write(bucket.join("CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n# mine")
            .unwrap();
        assert_eq!(layout(&bucket), Some(Layout::ObjectStore));
        cache(&bucket);
        assert_eq!(layout(&bucket), None);
        fs::write(bucket.join(format!("p{:032x}-s8919df8024960d5b147", 7)), "").unwrap();
        assert_eq!(layout(&bucket), Some(Layout::ObjectStore), "packs are no cache's");
    }

    #[test]
    fn packs_are_known_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!holds_packs(folder.path(), Effort::Hint));
        for case in golden::cases() {
            assert!(holds_packs(&case.repository, Effort::Hint), "{}", case.name);
            // One level above, they are the packs of another folder.
            assert!(!holds_packs(case.repository.parent().unwrap(), Effort::Hint), "{}", case.name);
        }
        let flat = kopia_testkit::faults::repository("copy-of-bucket");
        assert!(holds_packs(&flat, Effort::Hint), "in a copy of a bucket, too");
        for other in ["p", "postgres/base", "q/0/1", "pictures/abc"] {
            fs::create_dir_all(folder.path().join(other)).unwrap();
            fs::write(folder.path().join(other).join("data.f"), "").unwrap();
        }
        assert!(!holds_packs(folder.path(), Effort::Hint));
    }

    #[test]
    fn hostile_folders_end_the_search() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let given = root.join("given");
        fs::create_dir_all(given.join("a/b")).unwrap();
        symlink("..", given.join("a/loop")).unwrap();
        symlink(&root, given.join("a/b/up")).unwrap();
        symlink("self", given.join("self")).unwrap();
        for name in ["kopia.repository.f", ".shards", "a/kopia.repository.f", "a/.shards"] {
            let made = std::process::Command::new("mkfifo").arg(given.join(name)).status();
            assert!(made.unwrap().success());
        }
        // Beyond a link is another's.
        repository(&root.join("elsewhere/x/y/repo"), "sources");
        assert_eq!(found(&given), []);
        // More folders than may be looked into, and deeper ones.
        fs::create_dir_all(given.join("d/d/d/d/d/d/d/d/d/d")).unwrap();
        for number in 0..30 {
            fs::create_dir_all(given.join(format!("wide/{number}/x"))).unwrap();
        }
        let place = LocalPath::look_among(&given, None);
        let mut budget = Budget { directories: 20, ..Effort::Doctor.budget() };
        assert_eq!(below(&place, &given, LEVELS, &mut budget), Below::default());
        assert_eq!(budget.directories, 0, "the search ends with its budget");
        let mut budget = Budget { unhurried: 0, until: std::time::Instant::now(), ..Effort::Doctor.budget() };
        repository(&given.join("repo"), "sources");
        assert_eq!(below(&place, &given, LEVELS, &mut budget), Below::default(), "and with its time");
        let mut budget = Effort::Doctor.budget();
        assert_eq!(below(&place, &given, LEVELS, &mut budget).found.len(), 1);
    }
}
