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

use kopia_connection::storage::Azure;
use kopia_connection::{Limits, Storage};
use kopia_storage::{ColdStorage, Error, Failure, Result};

use crate::connect::Options;
use crate::http::{Network, Origin, Trust};
use crate::objects::{Dialect, ObjectStore, Page, encoded};
use identity::Identity;
use judge::Container;
use listing::Item;

/// A container of Azure Blob Storage.
pub(crate) type AzureStore = ObjectStore<Container>;

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
        let client = network.client(origin, &Trust::System, "Azure Blob Storage")?;
        let service = Container { name: place.container.clone(), identity };
        Self::describe(name(place), client, service, &place.prefix, place.point_in_time.as_ref(), limits)
    }

    /// Looks whether the container is there, can be listed, and keeps versions if they are wanted.
    fn check(&self) -> Result<(), Failure> {
        let name = format!("{}kopia.repository", self.prefix);
        let page = self.page(&name, 1, None).map_err(|trouble| trouble.failure(&self.client.host()))?;
        if self.is_view() && page.items.iter().any(|item| !item.has_version()) {
            return Err(Failure::NotVersioned { name: format!("container {}", self.service.name) });
        }
        Ok(())
    }
}

impl Dialect for Container {
    type Item = Item;

    /// The most that Azure gives.
    const PAGE: usize = 5000;

    const VERSION: &'static str = "versionid";

    fn name(&self) -> &str {
        &self.name
    }

    fn page_path(&self, key_prefix: &str, most: usize, next: Option<&str>, versions: bool) -> String {
        let include = if versions { "metadata,versions,deletedwithversions" } else { "metadata" };
        let mut path = format!(
            "/{}?restype=container&comp=list&prefix={}&include={}&maxresults={most}",
            encoded(&self.name),
            encoded(key_prefix),
            encoded(include)
        );
        if let Some(marker) = next {
            path.push_str(&format!("&marker={}", encoded(marker)));
        }
        path
    }

    fn page(body: &[u8]) -> Option<Page<Item>> {
        listing::page(body).ok()
    }

    fn cold(store: &AzureStore) -> Option<&dyn ColdStorage> {
        // What was there in the past may have moved since, and only what is there now can be fetched.
        if store.is_view() { None } else { Some(store) }
    }
}
