//! What a caller can watch while an export runs.

use crate::Problem;

/// Is told what happens, by several threads at once.
pub trait Observer: Sync {
    /// Returns whether to stop. The export ends with [`Error::Stopped`](crate::Error::Stopped) then.
    fn stop(&self) -> bool {
        false
    }

    /// One more file, directory or link is written.
    fn entry(&self) {}

    /// This many more bytes of files are written.
    fn bytes(&self, count: u64) {
        let _ = count;
    }

    /// This many more bytes of files too long for the window were read to see that they can be had; they are
    /// read once more when they are written.
    fn checked(&self, count: u64) {
        let _ = count;
    }

    /// An entry is left out, or has zeros in place of lost bytes.
    fn problem(&self, problem: &Problem) {
        let _ = problem;
    }
}

/// Watches nothing.
impl Observer for () {}
