//! Folders for what must lie on a file system: in memory where there is such a place.

use std::path::Path;

use tempfile::TempDir;

/// A file system in memory, as Linux has it.
const IN_MEMORY: &str = "/dev/shm";

/// Makes a folder, which is removed when this is dropped.
pub(crate) fn folder() -> TempDir {
    let in_memory = Path::new(IN_MEMORY).is_dir().then(|| tempfile::tempdir_in(IN_MEMORY).ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().expect("a temporary folder"))
}
