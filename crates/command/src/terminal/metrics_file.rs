//! The file that gets the metrics of one run: once, whoever ends it, the command or a signal.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::replace::replace_unsynced;

/// How metrics begin.
const START: &[u8] = b"# HELP kopia_rs_";

/// A file that is written at the end of a run that began when this was made.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    path: PathBuf,
    start: Instant,
    /// Whether it was written, or must not be.
    is_settled: Mutex<bool>,
}

impl MetricsFile {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.into(), start: Instant::now(), is_settled: Mutex::new(false) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that it must not be written.
    pub(crate) fn refuse(&self) {
        *self.is_settled.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Writes what `text` makes of the seconds that the run took, unless it was written before or must not be; a
    /// concurrent caller blocks until it is written.
    pub(crate) fn write(&self, text: impl FnOnce(f64) -> String) -> io::Result<()> {
        let mut is_settled = self.is_settled.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *is_settled, true) {
            return Ok(());
        }
        // Milliseconds are exact enough, and short.
        let seconds = (self.start.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        replace_unsynced(&self.path, text(seconds).as_bytes(), 0o644)
    }
}

/// Returns whether a file has metrics.
pub(crate) fn has_metrics(file: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(file).and_then(|file| file.take(START.len() as u64).read_to_end(&mut start));
    read.is_ok() && start == START
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn whoever_is_first_writes_it_and_nobody_where_it_must_not_be() {
        let place = tempfile::tempdir().unwrap();
        let [first, refused] = ["first", "refused"].map(|name| MetricsFile::new(&place.path().join(name)));
        first.write(|seconds| format!("{}", seconds >= 0.0)).unwrap();
        first.write(|_| panic!("it is written")).unwrap();
        assert_eq!(fs::read_to_string(first.path()).unwrap(), "true");
        refused.refuse();
        refused.write(|_| "no".into()).unwrap();
        assert!(!refused.path().exists());
        assert!(MetricsFile::new(Path::new("/nonexistent/x")).write(|_| String::new()).is_err());
    }
}
