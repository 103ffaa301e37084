//! Temporary directories for tests that restore thousands of times.

use std::path::Path;

use tempfile::TempDir;

/// A temporary directory in memory where the system has such a place, otherwise where temporary directories
/// are; removed when dropped. On some disks it takes longer to make and remove small files than to restore
/// them. `TMPDIR` says otherwise.
///
/// # Panics
///
/// When it cannot be made.
pub fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = match std::env::var_os("TMPDIR") {
        None if memory.is_dir() => tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()),
        _ => tempfile::tempdir(),
    };
    made.unwrap_or_else(|error| panic!("a temporary directory: {error}"))
}
