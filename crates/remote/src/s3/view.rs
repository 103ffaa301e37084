//! A bucket as it was at some time.
//!
//! The versions of all blobs are listed once; Kopia lists again for each read. A version's id is how its
//! bytes are asked for. Authority: Kopia's `repo/blob/s3/s3_pit.go`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use kopia_format::{BlobId, Timestamp};
use kopia_storage::BlobInfo;

use super::S3Store;
use super::listing::{self, Entry};
use crate::http::{Kind, Request, Trouble};
use crate::objects::{encoded, id_of, pages, system_time};

/// What is known of a blob at the time: its version and what a listing says, or that it was deleted.
type Versions = BTreeMap<BlobId, Option<(String, BlobInfo)>>;

/// A view of the past.
#[derive(Debug)]
pub(super) struct View {
    at: SystemTime,
    versions: Mutex<Option<Arc<Versions>>>,
}

impl View {
    pub(super) fn new(at: &Timestamp) -> Self {
        Self { at: system_time(at).unwrap_or(SystemTime::UNIX_EPOCH), versions: Mutex::new(None) }
    }

    /// Returns the id of the version of a blob, encoded.
    pub(super) fn version(&self, store: &S3Store, id: &BlobId) -> Result<String, Trouble> {
        self.find(store, id).map(|(version, _)| encoded(&version))
    }

    pub(super) fn length(&self, store: &S3Store, id: &BlobId) -> Result<u64, Trouble> {
        self.find(store, id).map(|(_, info)| info.length)
    }

    pub(super) fn list(&self, store: &S3Store, prefix: &str) -> Result<Vec<BlobInfo>, Trouble> {
        let versions = self.versions(store)?;
        let there = versions.iter().filter(|(id, _)| id.as_str().starts_with(prefix));
        Ok(there.filter_map(|(_, version)| Some(version.as_ref()?.1.clone())).collect())
    }

    fn find(&self, store: &S3Store, id: &BlobId) -> Result<(String, BlobInfo), Trouble> {
        self.versions(store)?.get(id).cloned().flatten().ok_or(Trouble::Missing)
    }

    /// Returns the versions, which are listed at the first call; others wait for it.
    fn versions(&self, store: &S3Store) -> Result<Arc<Versions>, Trouble> {
        let mut known = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(versions) = &*known {
            return Ok(Arc::clone(versions));
        }
        let versions = Arc::new(self.all(store)?);
        *known = Some(Arc::clone(&versions));
        Ok(versions)
    }

    fn all(&self, store: &S3Store) -> Result<Versions, Trouble> {
        let prefix = &store.place.prefix;
        store.with(|target| {
            let mut versions = Versions::new();
            let fetch = |marker: Option<&str>| {
                let query = listing::versions_query(prefix, marker);
                let answer = target
                    .client
                    .call(target, &Request::new("GET", target.address.query(&query), Kind::List))?;
                Ok::<_, Trouble>(listing::versions(&answer.body).ok_or_else(|| answer.nonsense())?)
            };
            pages(&target.client.host(), fetch, |entry| self.take(store, entry, &mut versions))?;
            Ok(versions)
        })
    }

    /// Keeps the newest version that is not after the time. They come from new to old.
    fn take(&self, store: &S3Store, entry: Entry, versions: &mut Versions) {
        let is_old = entry.modified.is_none_or(|modified| modified <= self.at);
        let Some(id) = id_of(&store.place.prefix, &entry.key).filter(|_| is_old) else { return };
        let version = (!entry.deleted).then(|| store.info(&entry, "")).flatten();
        versions.entry(id).or_insert_with(|| version.map(|info| (entry.version, info)));
    }
}
