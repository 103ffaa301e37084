//! Azure Blob Storage.
//!
//! A blob's name is the prefix and its id; a container is listed flat. Authority: Kopia's `repo/blob/azure`.

mod archive;
mod around;
mod identity;
mod judge;
mod listing;
mod shared_key;
#[cfg(feature = "testing")]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod token;

use std::time::SystemTime;

use kopia_connection::storage::Azure;
use kopia_connection::{Limits, Storage};
use kopia_format::BlobId;
use kopia_storage::{
    BlobBytes, BlobInfo, BlobStore, ColdStorage, Error, Failure, ReadProfile, Result, WHOLE_BLOB_LIMIT,
};

use crate::connect::Options;
use crate::http::{Client, Kind, Network, Origin, Request, Trouble, Trust};
use crate::objects::{self, Advance, Chooser, Known, Page, Version, encoded};
use identity::Identity;
use judge::Container;
use listing::Item;

/// How many blobs a page has: the most that Azure gives.
const PAGE: usize = 5000;

/// A container of Azure Blob Storage.
#[derive(Debug)]
pub(crate) struct AzureStore {
    /// What the container is called in messages.
    place: String,
    client: Client,
    service: Container,
    prefix: String,
    view: Option<View>,
    profile: ReadProfile,
}

/// The container as it was in the past.
#[derive(Debug)]
struct View {
    at: SystemTime,
    known: Known,
}

/// Returns what a container is called in messages.
fn name(place: &Azure) -> String {
    Storage::Azure(place.clone()).to_string()
}

/// Opens a container, and looks whether it is there and can be listed.
pub(crate) fn open(place: &Azure, limits: &Limits, options: &Options) -> Result<AzureStore> {
    let failed = |failure: Failure| Error::Open { place: name(place), source: failure.into() };
    let store = AzureStore::new(place, limits, options).map_err(failed)?;
    store.check().map_err(failed)?;
    Ok(store)
}

/// Looks around in a container, as it is now.
///
/// # Errors
/// If the connection cannot be used.
pub(crate) fn survey(place: &Azure, limits: &Limits, options: &Options) -> Result<around::Around, Failure> {
    let mut present = place.clone();
    present.point_in_time = None;
    AzureStore::new(&present, limits, options).map(around::Around)
}

impl AzureStore {
    fn new(place: &Azure, limits: &Limits, options: &Options) -> Result<Self, Failure> {
        let network = Network::new(options, limits);
        let origin = Origin::new(!place.disable_tls, &place.host())?;
        let identity = Identity::new(place, &network)?;
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
            client: network.client(origin, &Trust::System, "Azure Blob Storage")?,
            service: Container { name: place.container.clone(), identity },
            prefix: place.prefix.clone(),
            view,
            profile: objects::profile(limits),
        })
    }

    /// Looks whether the container is there, can be listed, and keeps versions if they are wanted.
    fn check(&self) -> Result<(), Failure> {
        let name = format!("{}kopia.repository", self.prefix);
        let page = self.page(&name, 1, None).map_err(|trouble| trouble.failure(&self.client.host()))?;
        if self.view.is_some() && page.items.iter().any(|item| !item.has_version()) {
            return Err(Failure::NotVersioned { name: format!("container {}", self.service.name) });
        }
        Ok(())
    }

    /// Fetches a page of the names that begin with `name_prefix`.
    fn page(&self, name_prefix: &str, most: usize, next: Option<&str>) -> Result<Page<Item>, Trouble> {
        let include = match &self.view {
            Some(_) => "metadata,versions,deletedwithversions",
            None => "metadata",
        };
        let mut path = format!(
            "/{}?restype=container&comp=list&prefix={}&include={}&maxresults={most}",
            encoded(&self.service.name),
            encoded(name_prefix),
            encoded(include)
        );
        if let Some(marker) = next {
            path.push_str(&format!("&marker={}", encoded(marker)));
        }
        let answer = self.client.call(&self.service, &Request::new("GET", path, Kind::List))?;
        listing::page(&answer.body).map_err(|_| answer.nonsense().into())
    }

    /// Hands over all blobs, or versions, whose names begin with the prefix and `id_prefix`.
    fn each(&self, id_prefix: &str, take: impl FnMut(Item)) -> Result<(), Trouble> {
        let name_prefix = format!("{}{id_prefix}", self.prefix);
        let (host, mut advance) = (self.client.host(), Advance::default());
        let fetch = |next: Option<&str>| {
            let page = self.page(&name_prefix, PAGE, next)?;
            advance.check(&host, page.items.first().map(Item::mark))?;
            Ok(page)
        };
        objects::pages(&host, fetch, take)
    }

    fn versions(&self, view: &View, id_prefix: &str) -> Result<Vec<Version>, Trouble> {
        let mut chooser = Chooser::new(view.at);
        self.each(id_prefix, |item| {
            item.candidate(&self.prefix).into_iter().for_each(|candidate| chooser.look(candidate));
        })?;
        let versions = chooser.finish();
        view.known.keep(&versions);
        Ok(versions)
    }

    /// Returns the request for a blob.
    fn request(&self, id: &BlobId) -> Result<Request, Trouble> {
        let name = encoded(&format!("{}{id}", self.prefix));
        let mut path = format!("/{}/{name}", encoded(&self.service.name));
        if let Some(view) = &self.view {
            let look = || {
                let versions = self.versions(view, objects::neighbours(id))?;
                Ok::<_, Trouble>(versions.into_iter().find(|version| version.info.id == *id))
            };
            let version = view.known.find(id, look)?.ok_or(Trouble::Missing)?;
            path.push_str(&format!("?versionid={}", encoded(&version.version)));
        }
        Ok(Request::get(path))
    }
}

impl BlobStore for AzureStore {
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

    fn cold(&self) -> Option<&dyn ColdStorage> {
        // What was there in the past may have moved since, and only what is there now can be fetched.
        self.view.is_none().then_some(self as &dyn ColdStorage)
    }

    fn profile(&self) -> ReadProfile {
        self.profile
    }
}
