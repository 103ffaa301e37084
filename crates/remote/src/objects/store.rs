//! A flat object store with pages and versions, whatever it calls them: Azure's containers, Google's buckets.

use std::time::SystemTime;

use kopia_connection::Limits;
use kopia_format::{BlobId, Timestamp};
use kopia_storage::{
    BlobBytes, BlobInfo, BlobStore, ColdStorage, Failure, ReadProfile, Result, WHOLE_BLOB_LIMIT,
};

use super::{
    Advance, Candidate, Chooser, Known, Page, Version, encoded, neighbours, pages, sorted, system_time,
};
use crate::http::{Client, Kind, Request, Service, Trouble};

/// What such stores say each in their own way.
pub(crate) trait Dialect: Service + Sized + 'static {
    /// An entry of a listing.
    type Item: Listed;

    /// The most items of a page.
    const PAGE: usize;

    /// The parameter that names a version.
    const VERSION: &'static str;

    /// Returns what the container is called.
    fn name(&self) -> &str;

    /// Returns how a page of the keys that begin with `key_prefix` is asked for, with all versions or without.
    fn page_path(&self, key_prefix: &str, most: usize, next: Option<&str>, versions: bool) -> String;

    /// Reads a page; `None` if it is none.
    fn page(body: &[u8]) -> Option<Page<Self::Item>>;

    /// Returns the store's archive, if there is one.
    fn cold(store: &ObjectStore<Self>) -> Option<&dyn ColdStorage> {
        let _ = store;
        None
    }
}

/// An entry of a listing: a blob, or one version of it.
pub(crate) trait Listed {
    /// Returns what no other entry has.
    fn mark(&self) -> String;

    /// Returns what is said of the blob, if it is one of a repository with this prefix.
    fn info(&self, prefix: &str) -> Option<BlobInfo>;

    /// Returns the version that this is, for a view of the past.
    fn candidate(&self, prefix: &str, at: SystemTime) -> Option<Candidate>;
}

/// A container of blobs.
#[derive(Debug)]
pub(crate) struct ObjectStore<D> {
    /// What the container is called in messages.
    pub(crate) place: String,
    pub(crate) client: Client,
    pub(crate) service: D,
    pub(crate) prefix: String,
    view: Option<View>,
    profile: ReadProfile,
}

/// The container as it was in the past.
#[derive(Debug)]
struct View {
    at: SystemTime,
    known: Known,
}

impl View {
    fn new(time: &Timestamp) -> std::result::Result<Self, Failure> {
        let at = system_time(time).ok_or_else(|| Failure::Unusable {
            what: format!("there are no blobs of {time}, before 1970"),
        })?;
        Ok(Self { at, known: Known::default() })
    }
}

impl<D: Dialect> ObjectStore<D> {
    /// Describes a container, as it was at `point_in_time` if that is given. Nothing is asked yet.
    ///
    /// # Errors
    /// For a time before 1970.
    pub(crate) fn describe(
        place: String,
        client: Client,
        service: D,
        prefix: &str,
        point_in_time: Option<&Timestamp>,
        limits: &Limits,
    ) -> std::result::Result<Self, Failure> {
        let view = point_in_time.map(View::new).transpose()?;
        Ok(Self { place, client, service, prefix: prefix.into(), view, profile: super::profile(limits) })
    }

    /// Returns whether it is the container as it was in the past.
    pub(crate) fn is_view(&self) -> bool {
        self.view.is_some()
    }

    /// Fetches a page of the keys that begin with `key_prefix`.
    pub(crate) fn page(
        &self,
        key_prefix: &str,
        most: usize,
        next: Option<&str>,
    ) -> std::result::Result<Page<D::Item>, Trouble> {
        let path = self.service.page_path(key_prefix, most, next, self.is_view());
        let answer = self.client.call(&self.service, &Request::new("GET", path, Kind::List))?;
        D::page(&answer.body).ok_or_else(|| answer.nonsense().into())
    }

    /// Hands over all blobs, or versions, whose keys begin with the prefix and `id_prefix`.
    pub(crate) fn each(
        &self,
        id_prefix: &str,
        take: impl FnMut(D::Item),
    ) -> std::result::Result<(), Trouble> {
        let key_prefix = format!("{}{id_prefix}", self.prefix);
        let (host, mut advance) = (self.client.host(), Advance::default());
        let fetch = |next: Option<&str>| {
            let page = self.page(&key_prefix, D::PAGE, next)?;
            advance.check(&host, page.items.first().map(Listed::mark))?;
            Ok(page)
        };
        pages(&host, fetch, take)
    }

    fn versions(&self, view: &View, id_prefix: &str) -> std::result::Result<Vec<Version>, Trouble> {
        let mut chooser = Chooser::new(view.at);
        self.each(id_prefix, |item| {
            item.candidate(&self.prefix, view.at).into_iter().for_each(|candidate| chooser.look(candidate));
        })?;
        let versions = chooser.finish();
        view.known.keep(&versions);
        Ok(versions)
    }

    /// Returns the request for a blob.
    pub(crate) fn request(&self, id: &BlobId) -> std::result::Result<Request, Trouble> {
        let key = encoded(&format!("{}{id}", self.prefix));
        let mut path = format!("/{}/{key}", encoded(self.service.name()));
        if let Some(view) = &self.view {
            let look = || {
                let versions = self.versions(view, neighbours(id))?;
                Ok::<_, Trouble>(versions.into_iter().find(|version| version.info.id == *id))
            };
            let version = view.known.find(id, look)?.ok_or(Trouble::Missing)?;
            path.push_str(&format!("?{}={}", D::VERSION, encoded(&version.version)));
        }
        Ok(Request::get(path))
    }
}

impl<D: Dialect> BlobStore for ObjectStore<D> {
    fn location(&self) -> String {
        self.place.clone()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let blobs = match &self.view {
            Some(view) => {
                self.versions(view, prefix).map(|all| all.into_iter().map(|version| version.info).collect())
            }
            None => {
                let mut blobs = Vec::new();
                self.each(prefix, |item| blobs.extend(item.info(&self.prefix))).map(|()| blobs)
            }
        };
        let failed = |trouble: Trouble| trouble.listing(self.location(), &self.client.host());
        blobs.map(sorted).map_err(failed)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        let length = self.request(id).and_then(|request| self.client.length(&self.service, &request));
        length.map_err(|trouble| trouble.reading(id, self.location(), 0, 0))
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        let read = |request| self.client.read_whole(&self.service, &request, WHOLE_BLOB_LIMIT);
        self.request(id).and_then(read).map_err(|trouble| trouble.reading(id, self.location(), 0, 0))
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        let read = |request| self.client.read_range(&self.service, &request, offset, length, buffer);
        let read = self.request(id).and_then(read).map(BlobBytes::from);
        read.map_err(|trouble| trouble.reading(id, self.location(), offset, length))
    }

    fn cold(&self) -> Option<&dyn ColdStorage> {
        D::cold(self)
    }

    fn profile(&self) -> ReadProfile {
        self.profile
    }
}
