//! Google Cloud Storage.
//!
//! Blobs are listed by the JSON interface and read by the XML one, as Kopia does. Authority: Kopia's
//! `repo/blob/gcs`.

mod around;
mod judge;
mod listing;
#[cfg(feature = "testing")]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use kopia_connection::storage::Gcs;
use kopia_connection::{Limits, Storage};
use kopia_format::BlobId;
use kopia_storage::{BlobBytes, BlobInfo, BlobStore, Error, Failure, ReadProfile, Result, WHOLE_BLOB_LIMIT};

use crate::connect::Options;
use crate::google::Google;
use crate::http::{Client, Kind, Network, Origin, Request, Trouble, Trust};
use crate::objects::{self, Advance, Chooser, Known, Page, Version, encoded};
use judge::Bucket;
use listing::Item;

const HOST: &str = "storage.googleapis.com";

/// Tokens may read, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// A bucket of Google Cloud Storage.
#[derive(Debug)]
pub(crate) struct GcsStore {
    /// What the bucket is called in messages.
    place: String,
    client: Client,
    service: Bucket,
    prefix: String,
    view: Option<View>,
    profile: ReadProfile,
}

/// The bucket as it was in the past.
#[derive(Debug)]
struct View {
    at: SystemTime,
    known: Known,
}

/// Returns what a bucket is called in messages.
fn name(place: &Gcs) -> String {
    Storage::Gcs(place.clone()).to_string()
}

/// Opens a bucket, and looks whether it is there and can be listed.
pub(crate) fn open(place: &Gcs, limits: &Limits, options: &Options) -> Result<GcsStore> {
    let network = Network::new(options, limits);
    let store = server(place, &network).and_then(|(origin, account)| {
        let store = GcsStore::new(place, limits, origin, account, &network)?;
        store.check().map(|()| store)
    });
    store.map_err(|failure| Error::Open { place: name(place), source: failure.into() })
}

/// Looks around in a bucket, as it is now.
///
/// # Errors
/// If the connection cannot be used.
pub(crate) fn survey(place: &Gcs, limits: &Limits, options: &Options) -> Result<around::Around, Failure> {
    let network = Network::new(options, limits);
    let (origin, account) = server(place, &network)?;
    let mut present = place.clone();
    present.point_in_time = None;
    GcsStore::new(&present, limits, origin, account, &network).map(around::Around)
}

/// Returns which server is asked, and who asks.
fn server(place: &Gcs, network: &Network) -> Result<(Origin, Option<Google>), Failure> {
    // Emulators know no accounts.
    match network.options().environment.var("STORAGE_EMULATOR_HOST") {
        Some(url) if url.contains("://") => Ok((Origin::of_url(url)?.0, None)),
        Some(host) => Ok((Origin::new(false, host)?, None)),
        None => {
            let account = Google::new(&place.account, SCOPE, network)?;
            Ok((Origin::new(true, HOST)?, Some(account)))
        }
    }
}

impl GcsStore {
    fn new(
        place: &Gcs,
        limits: &Limits,
        origin: Origin,
        account: Option<Google>,
        network: &Network,
    ) -> Result<Self, Failure> {
        let view = match &place.point_in_time {
            Some(time) => {
                let at = objects::system_time(time).ok_or_else(|| Failure::Unusable {
                    what: format!("there are no blobs of {time}, before 1970"),
                })?;
                Some(View { at, known: Known::default() })
            }
            None => None,
        };
        Ok(Self {
            place: name(place),
            client: network.client(origin, &Trust::System, "Google Cloud Storage")?,
            service: Bucket { name: place.bucket.clone(), account },
            prefix: place.prefix.clone(),
            view,
            profile: objects::profile(limits),
        })
    }

    /// Looks whether the bucket is there, can be listed, and keeps versions if they are wanted.
    fn check(&self) -> Result<(), Failure> {
        let failed = |trouble: Trouble| trouble.failure(&self.client.host());
        self.page(&format!("{}kopia.repository", self.prefix), 1, None).map_err(failed)?;
        if self.view.is_none() {
            return Ok(());
        }
        let path = format!("/storage/v1/b/{}?fields=versioning", encoded(&self.service.name));
        let answer = match self.client.call(&self.service, &Request::new("GET", path, Kind::Other)) {
            // That takes a right which reading does not. Without versions the listing will not have what is
            // wanted.
            Err(Trouble::Failed(Failure::NotPermitted { .. })) => return Ok(()),
            answer => answer.map_err(failed)?,
        };
        let bucket: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|_| answer.nonsense())?;
        if bucket["versioning"]["enabled"] == true {
            return Ok(());
        }
        Err(Failure::NotVersioned { name: format!("bucket {}", self.service.name) })
    }

    /// Fetches a page of the keys that begin with `key_prefix`.
    fn page(&self, key_prefix: &str, most: usize, next: Option<&str>) -> Result<Page<Item>, Trouble> {
        let mut path = format!(
            "/storage/v1/b/{}/o?prefix={}&maxResults={most}&fields={}",
            encoded(&self.service.name),
            encoded(key_prefix),
            encoded(listing::FIELDS)
        );
        if self.view.is_some() {
            path.push_str("&versions=true");
        }
        if let Some(token) = next {
            path.push_str(&format!("&pageToken={}", encoded(token)));
        }
        let answer = self.client.call(&self.service, &Request::new("GET", path, Kind::List))?;
        listing::page(&answer.body).ok_or_else(|| answer.nonsense().into())
    }

    /// Hands over all objects, or generations, whose keys begin with the prefix and `id_prefix`.
    fn each(&self, id_prefix: &str, take: impl FnMut(Item)) -> Result<(), Trouble> {
        let key_prefix = format!("{}{id_prefix}", self.prefix);
        let (host, mut advance) = (self.client.host(), Advance::default());
        let fetch = |next: Option<&str>| {
            let page = self.page(&key_prefix, 1000, next)?;
            advance.check(&host, page.items.first().map(Item::mark))?;
            Ok(page)
        };
        objects::pages(&host, fetch, take)
    }

    fn versions(&self, view: &View, id_prefix: &str) -> Result<Vec<Version>, Trouble> {
        let mut chooser = Chooser::new(view.at);
        self.each(id_prefix, |item| {
            item.candidate(&self.prefix, view.at).into_iter().for_each(|candidate| chooser.look(candidate));
        })?;
        let versions = chooser.finish();
        view.known.keep(&versions);
        Ok(versions)
    }

    /// Returns the request for a blob.
    fn request(&self, id: &BlobId) -> Result<Request, Trouble> {
        let key = encoded(&format!("{}{id}", self.prefix));
        let mut path = format!("/{}/{key}", encoded(&self.service.name));
        if let Some(view) = &self.view {
            let look = || {
                let versions = self.versions(view, objects::neighbours(id))?;
                Ok::<_, Trouble>(versions.into_iter().find(|version| version.info.id == *id))
            };
            let version = view.known.find(id, look)?.ok_or(Trouble::Missing)?;
            path.push_str(&format!("?generation={}", encoded(&version.version)));
        }
        Ok(Request::get(path))
    }
}

impl BlobStore for GcsStore {
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
        blobs.map(objects::sorted).map_err(failed)
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

    fn profile(&self) -> ReadProfile {
        self.profile
    }
}
