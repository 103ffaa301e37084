//! kopia's cache of a repository, which must not be taken for one.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::is_file;
use super::packs::is_pack;

/// The directories of a cache of kopia.
const CACHES: [&str; 7] =
    ["contents", "metadata", "indexes", "index-blobs", "own-writes", "blob-list", "server-contents"];

/// How many names of a directory are looked at.
const NAMES: usize = 10_000;

/// How much of a tag file is read, in bytes.
const TAG: u64 = 1024;

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
