//! The indexes of a repository that others write to.
//!
//! Maintenance rewrites packs and indexes beside us: it writes new packs, then an index that names them, and later removes
//! the old ones. What was planned by the old index is then found again in the new one. The table is replaced as a whole;
//! who reads it meanwhile keeps the one it has, and to look something up takes no lock.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use kopia_format::{BlobId, ContentId};
use kopia_storage::BlobStore;

use super::rescan::Rescans;
use super::{BUDGET, Feed, Indexes, Listing, Rules, load, recover};
use crate::index::table::PackNames;
use crate::sealing::Sealing;
use crate::{ContentLocation, Error, Result};

/// Where indexes are read from.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) store: &'a dyn BlobStore,
    pub(crate) sealing: &'a Sealing,
}

/// The table as of now, and what it takes to replace it.
pub(crate) struct LiveIndex {
    rules: Rules,
    current: ArcSwap<Indexes>,
    packs: PackNames,
    /// Held by who reads indexes anew: all others who miss something wait for what that brings.
    looks: Mutex<Rescans>,
}

impl LiveIndex {
    pub(crate) fn new(rules: Rules, (indexes, packs): (Indexes, Vec<BlobId>)) -> Self {
        Self { rules, current: ArcSwap::from_pointee(indexes), packs: packs.into(), looks: Mutex::default() }
    }

    /// Returns the indexes as of now, for a moment.
    pub(crate) fn now(&self) -> Guard<Arc<Indexes>> {
        self.current.load()
    }

    /// Returns the indexes as of now, to keep.
    pub(crate) fn kept(&self) -> Arc<Indexes> {
        self.current.load_full()
    }

    /// Returns the names of all packs that were ever named.
    pub(crate) fn packs(&self) -> &PackNames {
        &self.packs
    }

    /// Finds a content. Before the first one is said to be missing, index blobs are listed again: a list that was made
    /// while blobs came and went may lack some.
    pub(crate) fn locate(&self, source: Source<'_>, content: &ContentId) -> Option<ContentLocation> {
        let indexes = self.now();
        indexes.table.find(content).or_else(|| {
            if indexes.confirmed.load(Ordering::Acquire) {
                return None;
            }
            self.locate_missing(source, content)
        })
    }

    #[cold]
    fn locate_missing(&self, source: Source<'_>, content: &ContentId) -> Option<ContentLocation> {
        let _looks = self.look_alone();
        if !self.now().confirmed.load(Ordering::Acquire) {
            let _ = self.reload_if_changed(source);
            self.now().confirmed.store(true, Ordering::Release);
        }
        self.now().table.find(content)
    }

    /// Finds where a content lies now, if that is elsewhere than where it could not be read.
    pub(crate) fn relocate(
        &self,
        source: Source<'_>,
        content: &ContentId,
        failed: &ContentLocation,
        error: &kopia_storage::Error,
    ) -> Option<ContentLocation> {
        let elsewhere = || self.now().table.find(content).filter(|location| !location.is_where(failed));
        elsewhere().or_else(|| {
            let mut looks = self.look_alone();
            // Somebody else may have looked meanwhile.
            elsewhere().or_else(|| {
                if !looks.may_help(failed.pack, error) {
                    return None;
                }
                tracing::debug!(%content, %error, "looking whether it has moved");
                if let Err(error) = self.look(source, &mut looks) {
                    tracing::warn!(%error, "indexes cannot be read anew");
                }
                let found = elsewhere();
                looks.ended(failed.pack, found.is_some());
                found
            })
        })
    }

    /// Reads the indexes anew if they have changed; says whether they had.
    ///
    /// # Errors
    /// As for [`load`]; the indexes then stay as they were.
    pub(crate) fn refresh(&self, source: Source<'_>) -> Result<bool> {
        let _looks = self.look_alone();
        self.reload_if_changed(source)
    }

    fn look_alone(&self) -> MutexGuard<'_, Rescans> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees which packs are there, then reads indexes anew if they have changed. The order matters: what took the place of
    /// a pack that is gone was in an index before.
    fn look(&self, source: Source<'_>, looks: &mut Rescans) -> Result<()> {
        looks.saw(&recover::list(source.store)?, &self.packs);
        self.reload_if_changed(source).map(drop)
    }

    /// Who calls this holds the lock.
    fn reload_if_changed(&self, source: Source<'_>) -> Result<bool> {
        let packs = match self.rules.degraded {
            true => Some(recover::fingerprint(&recover::list_some(source.store, |_, _| {}))),
            false => None,
        };
        let listing = Listing::read(source.store)?;
        let before = self.kept();
        if listing == before.listing && packs == before.packs {
            return Ok(false);
        }
        let (indexes, packs) = apart(|| {
            let feed = Feed::new(source.store, BUDGET);
            std::thread::scope(|scope| {
                let _closing = feed.closing();
                load(&feed, scope, source.sealing, (self.rules, &self.packs), listing)
            })
        })?;
        // Names come first: whoever finds a location can then tell its pack.
        self.packs.add(packs);
        // Who missed something had this read, or will not learn more by having it read once more.
        indexes.confirmed.store(true, Ordering::Release);
        self.current.store(Arc::new(indexes));
        Ok(true)
    }
}

/// Works on threads of its own.
///
/// All of rayon's threads may wait for the one that reads indexes, and must not be needed for it; and that one must not take
/// up other work while it waits for them, which could in turn wait for it.
fn apart<R: Send>(work: impl FnOnce() -> Result<R> + Send) -> Result<R> {
    let threads = |why: &dyn std::fmt::Display| Error::Threads { why: why.to_string() };
    let count = rayon::current_num_threads();
    let work = || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
        pool.map_err(|error| threads(&error))?.install(work)
    };
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().spawn_scoped(scope, work).map_err(|error| threads(&error))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
