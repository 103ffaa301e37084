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

use kopia_connection::storage::Gcs;
use kopia_connection::{Limits, Storage};
use kopia_storage::{Error, Failure, Result};

use crate::connect::Options;
use crate::google::Google;
use crate::http::{Kind, Network, Origin, Request, Trouble, Trust};
use crate::objects::{Dialect, ObjectStore, Page, encoded};
use judge::Bucket;
use listing::Item;

const HOST: &str = "storage.googleapis.com";

/// Tokens may read, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// A bucket of Google Cloud Storage.
pub(crate) type GcsStore = ObjectStore<Bucket>;

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
    let store = GcsStore::new(&present, limits, origin, account, &network)?;
    Ok(around::Around { store, environment: options.environment.clone() })
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
        let client = network.client(origin, &Trust::System, "Google Cloud Storage")?;
        let service = Bucket { name: place.bucket.clone(), account };
        Self::describe(name(place), client, service, &place.prefix, place.point_in_time.as_ref(), limits)
    }

    /// Looks whether the bucket is there, can be listed, and keeps versions if they are wanted.
    fn check(&self) -> Result<(), Failure> {
        let failed = |trouble: Trouble| trouble.failure(&self.client.host());
        self.page(&format!("{}kopia.repository", self.prefix), 1, None).map_err(failed)?;
        if !self.is_view() {
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
}

impl Dialect for Bucket {
    type Item = Item;

    const PAGE: usize = 1000;

    const VERSION: &'static str = "generation";

    fn name(&self) -> &str {
        &self.name
    }

    fn page_path(&self, key_prefix: &str, most: usize, next: Option<&str>, versions: bool) -> String {
        let mut path = format!(
            "/storage/v1/b/{}/o?prefix={}&maxResults={most}&fields={}",
            encoded(&self.name),
            encoded(key_prefix),
            encoded(listing::FIELDS)
        );
        if versions {
            path.push_str("&versions=true");
        }
        if let Some(token) = next {
            path.push_str(&format!("&pageToken={}", encoded(token)));
        }
        path
    }

    fn page(body: &[u8]) -> Option<Page<Item>> {
        listing::page(body)
    }
}
