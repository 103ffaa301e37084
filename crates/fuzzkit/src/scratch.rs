//! Temporary directories for targets that need a file system, in memory where possible.

use std::path::Path;

use tempfile::TempDir;

/// A file system in memory, as Linux usually mounts it.
const IN_MEMORY: &str = "/dev/shm";

/// Makes a directory that is removed when dropped.
pub(crate) fn directory() -> TempDir {
    let in_memory = Path::new(IN_MEMORY).is_dir().then(|| tempfile::tempdir_in(IN_MEMORY).ok()).flatten();
    in_memory.unwrap_or_else(|| tempfile::tempdir().expect("a temporary directory"))
}
