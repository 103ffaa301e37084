//! What a caller can watch while a restore runs.

use crate::{Attribute, Problem};

/// Is told what happens, from many threads at once; every method may be called thousands of times a second.
pub trait Observer: Sync {
    /// Returns whether to stop. Nothing new is begun after that, and the restore ends with
    /// [`Error::Stopped`](crate::Error::Stopped).
    fn stop(&self) -> bool {
        false
    }

    /// The restore goes on from where an interrupted one stopped: what that wrote is compared by hash and
    /// kept.
    fn resumed(&self) {}

    /// One more file, directory or link is there.
    fn entry(&self) {}

    /// This many more bytes of files are written, or found to be there already.
    fn bytes(&self, count: u64) {
        let _ = count;
    }

    /// This many of the bytes that were counted were there already, and were right.
    fn kept(&self, count: u64) {
        let _ = count;
    }

    /// An entry that the snapshot does not have was deleted, with all below it.
    fn deleted(&self, path: &str) {
        let _ = path;
    }

    /// An attribute of an entry is not as in the snapshot. The path is that below the root of the restore.
    fn attribute(&self, path: &str, attribute: Attribute) {
        let _ = (path, attribute);
    }

    /// An entry is missing, doubled or incomplete.
    fn problem(&self, problem: &Problem) {
        let _ = problem;
    }
}

/// Watches nothing.
impl Observer for () {}
