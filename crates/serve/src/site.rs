//! What is shown: the snapshots of a repository, read again now and then.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kopia_format::Timestamp;
use kopia_repository::{Entry, Error, Repository, Result, Snapshot, Snapshots};
use tokio::sync::Semaphore;

use crate::Options;
use crate::lock::lock;

/// How old the list of snapshots may be when somebody looks at the first page.
const FRESH: Duration = Duration::from_secs(15);

/// A repository and how it is shown.
pub(crate) struct Site {
    repository: Repository,
    options: Options,
    list: Mutex<List>,
    /// One permit for each archive that may be made.
    pub(crate) archives: Arc<Semaphore>,
}

struct List {
    snapshots: Arc<Snapshots>,
    read: Instant,
}

impl Site {
    pub(crate) fn new(repository: &Repository, snapshots: Snapshots, options: Options) -> Self {
        let snapshots = Arc::new(snapshots.admitted(&options.filter));
        let archives = Arc::new(Semaphore::new(options.archives));
        let list = Mutex::new(List { snapshots, read: Instant::now() });
        Self { repository: repository.clone(), options, list, archives }
    }

    /// Returns the snapshots as they were read last.
    pub(crate) fn snapshots(&self) -> Arc<Snapshots> {
        lock(&self.list).snapshots.clone()
    }

    /// Returns the snapshots as of a few seconds ago at most; the older list where it cannot be read again.
    pub(crate) fn fresh_snapshots(&self) -> Arc<Snapshots> {
        let old = {
            let mut list = lock(&self.list);
            let is_fresh = list.read.elapsed() < FRESH;
            // Others need not wait, nor read it, too.
            list.read = Instant::now();
            if is_fresh {
                return list.snapshots.clone();
            }
            list.snapshots.clone()
        };
        let read = self.repository.refresh().and_then(|_| self.repository.snapshots());
        match read {
            Ok(snapshots) => {
                let snapshots = Arc::new(snapshots.admitted(&self.options.filter));
                lock(&self.list).snapshots = snapshots.clone();
                snapshots
            }
            Err(error) => {
                self.notice("the list of snapshots", &error);
                old
            }
        }
    }

    /// Returns the snapshot of an id.
    pub(crate) fn snapshot(&self, id: &str) -> Result<Snapshot> {
        let find = |snapshots: &Snapshots| snapshots.iter().find(|snapshot| snapshot.id() == id).cloned();
        find(&self.snapshots())
            .or_else(|| find(&self.fresh_snapshots()))
            .ok_or_else(|| Error::NotFound { what: format!("snapshot {id}"), candidates: Vec::new() })
    }

    /// Returns what lies at a path in a snapshot.
    pub(crate) fn entry(&self, snapshot: &Snapshot, path: &[String]) -> Result<Entry> {
        snapshot.root()?.at(&path.join("/"))
    }

    /// Writes a time for people.
    pub(crate) fn time(&self, time: Timestamp) -> String {
        (self.options.time)(time)
    }

    /// Tells who started the server what could not be read.
    pub(crate) fn notice(&self, what: &str, error: &(dyn std::error::Error + 'static)) {
        self.say(&format!("{what}: {}", chain(error)));
    }

    /// Tells who started the server.
    pub(crate) fn say(&self, sentence: &str) {
        (self.options.notice)(sentence);
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Writes an error and what caused it.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}
