//! The indexes of a repository that others write to.
//!
//! Maintenance rewrites packs and indexes beside us: it writes new packs, then an index that names them, and
//! later removes the old ones. What was planned by the old index is then found again in the new one. The
//! table is replaced as a whole; readers keep the one they have, and a lookup takes no lock.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use kopia_format::{BlobId, ContentId};
use kopia_storage::BlobStore;

use super::rescan::Rescans;
use super::table::PackNames;
use super::{BUDGET, ContentLocation, Feed, Indexes, Listing, Loader, Rules, recover};
use crate::lock::lock;
use crate::parallel::apart;
use crate::sealing::Sealing;
use crate::{Error, Result};

/// Where indexes are read from, and how.
pub(crate) struct IndexSource {
    pub(crate) store: Arc<dyn BlobStore>,
    pub(crate) sealing: Arc<Sealing>,
    pub(crate) rules: Rules,
    /// Where the table is kept in a file, if not in memory.
    pub(crate) directory: Option<PathBuf>,
}

/// The table as of now, and what it takes to replace it.
pub(crate) struct LiveIndex {
    source: IndexSource,
    current: ArcSwap<Indexes>,
    packs: PackNames,
    /// Held while indexes are read again: all others who miss something wait for what that brings.
    rescans: Mutex<Rescans>,
}

impl LiveIndex {
    pub(crate) fn new(source: IndexSource, indexes: Indexes, packs: Vec<BlobId>) -> Self {
        let current = ArcSwap::from_pointee(indexes);
        Self { source, current, packs: packs.into(), rescans: Mutex::default() }
    }

    /// Borrows the indexes as of now, for a moment.
    pub(crate) fn now(&self) -> Guard<Arc<Indexes>> {
        self.current.load()
    }

    /// Returns a snapshot of the indexes that later reloads leave untouched.
    pub(crate) fn snapshot(&self) -> Arc<Indexes> {
        self.current.load_full()
    }

    /// Returns the names of all packs that were ever named.
    pub(crate) fn packs(&self) -> &PackNames {
        &self.packs
    }

    /// Finds a content. Before the first one counts as missing, index blobs are listed again: a list that was
    /// made while blobs came and went may lack some.
    ///
    /// # Errors
    /// [`Error::ContentNotFound`], and [`Error::Unconfirmed`] if index blobs could not be listed again.
    pub(crate) fn locate(&self, content: &ContentId) -> Result<ContentLocation> {
        let indexes = self.now();
        match indexes.table.find(content) {
            Some(location) => Ok(location),
            None if indexes.confirmed.load(Ordering::Acquire) => {
                Err(Error::ContentNotFound { content: *content })
            }
            None => self.locate_missing(content),
        }
    }

    #[cold]
    fn locate_missing(&self, content: &ContentId) -> Result<ContentLocation> {
        let mut rescans = lock(&self.rescans);
        // Another thread may have waited for the lock for the same reason.
        if !self.now().confirmed.load(Ordering::Acquire) {
            let confirmed = match rescans.unconfirmed() {
                Some(error) => Err(error),
                None => self.reload_if_changed().map_err(|error| rescans.failed_to_confirm(error)),
            };
            if let Err(source) = confirmed {
                return Err(Error::Unconfirmed { content: *content, source });
            }
            self.now().confirmed.store(true, Ordering::Release);
        }
        self.now().table.find(content).ok_or(Error::ContentNotFound { content: *content })
    }

    /// Finds where a content lies now, if that is elsewhere than where it could not be read.
    pub(crate) fn relocate(
        &self,
        content: &ContentId,
        failed: &ContentLocation,
        error: &kopia_storage::Error,
    ) -> Option<ContentLocation> {
        let elsewhere = || self.now().table.find(content).filter(|location| !location.is_same_range(failed));
        elsewhere().or_else(|| {
            let mut rescans = lock(&self.rescans);
            // Another thread may have read the indexes again while this one waited for the lock.
            elsewhere().or_else(|| {
                if !rescans.may_help(failed.pack, error) {
                    return None;
                }
                tracing::debug!(%content, %error, "looking whether it has moved");
                if let Err(error) = self.rescan(&mut rescans) {
                    tracing::warn!(%error, "indexes cannot be read again");
                }
                let found = elsewhere();
                rescans.ended(failed.pack, found.is_some());
                found
            })
        })
    }

    /// Reads the indexes again if they have changed; returns whether they had.
    ///
    /// # Errors
    /// As for [`Loader::load`]; the indexes then stay as they were.
    pub(crate) fn refresh(&self) -> Result<bool> {
        let _rescans = lock(&self.rescans);
        self.reload_if_changed()
    }

    /// Lists the packs, then reads indexes again if they have changed. The order matters: what took the place
    /// of a pack that is gone was in an index before.
    fn rescan(&self, rescans: &mut Rescans) -> Result<()> {
        rescans.saw(&recover::list(&*self.source.store)?, &self.packs);
        self.reload_if_changed().map(drop)
    }

    /// Reads indexes again if they have changed. The caller must hold `rescans`.
    fn reload_if_changed(&self) -> Result<bool> {
        let IndexSource { store, sealing, rules, directory } = &self.source;
        let packs = rules.degraded.then(|| recover::fingerprint(&recover::list_some(&**store, |_, _| {})));
        let listing = Listing::read(&**store)?;
        let before = self.snapshot();
        if listing == before.listing && packs == before.packs {
            return Ok(false);
        }
        let (indexes, packs) = apart(|cores| {
            let feed = Feed::new(&**store, &BUDGET);
            std::thread::scope(|scope| {
                let _closing = feed.closing();
                let (known, directory) = (&self.packs, directory.as_deref());
                Loader { feed: &feed, scope, sealing, cores, rules: *rules, known, directory }.load(listing)
            })
        })?;
        // Names come first: every location that can be found has a pack with a name.
        self.packs.add(packs);
        // A lookup that missed something caused this reload; another one for the same reason cannot help.
        indexes.confirmed.store(true, Ordering::Release);
        self.current.store(Arc::new(indexes));
        Ok(true)
    }
}
