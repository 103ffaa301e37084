//! Amazon S3, and what speaks its language.
//!
//! A bucket is flat: a key is the prefix and the blob's id, joined byte for byte. The region is found on the
//! way: requests begin with the likeliest one, and what a server says of another is followed, so nothing is
//! asked that need not be. Authority: Kopia's `repo/blob/s3`, and minio-go, which it uses.

mod address;
mod answers;
mod archive;
mod around;
mod credentials;
mod listing;
mod sign;
mod target;
#[cfg(feature = "testing")]
pub(crate) mod testing;
mod view;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use kopia_connection::Limits;
use kopia_connection::storage::S3;
use kopia_format::BlobId;
use kopia_storage::{
    BlobBytes, BlobInfo, BlobStore, ColdStorage, Error, Failure, ReadProfile, Result, WHOLE_BLOB_LIMIT,
};

use crate::connect::Options;
use crate::http::{Kind, Network, Request, Trouble, Trust};
use crate::objects::{id_of, pages, sorted};
use address::first_region;
use credentials::{Provider, source_of};
use listing::Entry;
use target::{Shared, Target};
use view::View;

/// How often the region may turn out to be another. Once is enough, unless a server goes in circles.
const MOST_MOVES: usize = 3;

/// Opens a bucket.
///
/// Nothing is asked of it yet unless it is to be shown as it was in the past.
///
/// # Errors
/// [`Error::Open`] if the connection cannot be, and for a view of the past as well if the bucket keeps no versions.
pub(crate) fn open(place: &S3, limits: &Limits, options: &Options) -> Result<S3Store> {
    let location = location(place);
    let failed = |failure: Failure| Error::Open { place: location.clone(), source: failure.into() };
    let mut store = S3Store::new(place, limits, options).map_err(failed)?;
    if let Some(time) = &place.point_in_time {
        store.check_versioning().map_err(|trouble| failed(trouble.failure(&store.host())))?;
        store.view = Some(View::new(time));
    }
    Ok(store)
}

/// Looks around in a bucket, as it is now.
///
/// # Errors
/// If the connection cannot be used.
pub(crate) fn survey(
    place: &S3,
    limits: &Limits,
    options: &Options,
) -> std::result::Result<around::Around, Failure> {
    let mut present = place.clone();
    present.point_in_time = None;
    S3Store::new(&present, limits, options).map(around::Around)
}

/// Returns what to call a bucket in messages.
fn location(place: &S3) -> String {
    format!(
        "s3://{}/{} at {}",
        place.bucket,
        place.prefix,
        place.endpoint.as_deref().unwrap_or("s3.amazonaws.com")
    )
}

/// The blobs of a bucket.
#[derive(Debug)]
pub(crate) struct S3Store {
    place: S3,
    network: Network,
    trust: Trust,
    shared: Arc<Shared>,
    target: RwLock<Arc<Target>>,
    view: Option<View>,
    profile: ReadProfile,
}

impl S3Store {
    fn new(place: &S3, limits: &Limits, options: &Options) -> std::result::Result<Self, Failure> {
        if place.bucket.is_empty() {
            return Err(Failure::Unusable { what: "the name of the bucket is missing".into() });
        }
        let network = Network::new(options, limits);
        let trust = match &place.root_ca {
            _ if place.disable_tls_verification => Trust::Nothing,
            Some(pem) if !pem.is_empty() => Trust::Roots(pem.clone()),
            _ => Trust::System,
        };
        let provider = Provider::new(source_of(place, &network, &trust)?);
        let shared = Arc::new(Shared::new(&place.bucket, provider, &network));
        let region = first_region(place, &options.environment);
        let target = Target::new(place, region, &network, &trust, &shared)?;
        let most = limits.concurrent_reads.unwrap_or(usize::MAX);
        Ok(Self {
            place: place.clone(),
            network,
            trust,
            shared,
            target: RwLock::new(Arc::new(target)),
            view: None,
            profile: ReadProfile::NETWORK.at_most(most),
        })
    }

    fn target(&self) -> Arc<Target> {
        Arc::clone(&self.target.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn host(&self) -> String {
        self.target().client.host()
    }

    /// Does something with the bucket, in another region if it turns out to be there.
    fn with<T>(
        &self,
        action: impl Fn(&Target) -> std::result::Result<T, Trouble>,
    ) -> std::result::Result<T, Trouble> {
        for _ in 0..MOST_MOVES {
            let target = self.target();
            match action(&target) {
                Err(Trouble::Failed(failure)) => {
                    let Some(region) = self.other_region(&target, &failure) else {
                        return Err(failure.into());
                    };
                    self.move_to(&target, &region)?;
                }
                done => return done,
            }
        }
        action(&self.target())
    }

    /// Returns the region to try after a failure, if there is another that the bucket may be in.
    fn other_region(&self, target: &Target, failure: &Failure) -> Option<String> {
        let named = match failure {
            Failure::WrongRegion { region: Some(region), .. } => Some(region.clone()),
            // Servers that were asked in a wrong region say so in many ways, so the one who knows is asked.
            Failure::WrongRegion { .. }
            | Failure::WrongSecret { .. }
            | Failure::NotPermitted { .. }
            | Failure::Refusal { .. }
                if self.place.region.is_none() && self.shared.may_ask_region() =>
            {
                target.ask_region()
            }
            _ => None,
        };
        named.filter(|region| *region != target.region)
    }

    /// Goes to another region, unless another thread has done so.
    fn move_to(&self, from: &Target, region: &str) -> std::result::Result<(), Failure> {
        let mut target = self.target.write().unwrap_or_else(PoisonError::into_inner);
        if target.region != from.region {
            return Ok(());
        }
        let (bucket, given) = (&self.place.bucket, self.place.region.as_deref());
        if let Some(given) = given.filter(|given| *given != region) {
            let note = format!("bucket {bucket} is not in region {given} but in {region}");
            (self.network.options().notice)(&note);
        }
        *target =
            Arc::new(Target::new(&self.place, region.into(), &self.network, &self.trust, &self.shared)?);
        Ok(())
    }

    fn check_versioning(&self) -> std::result::Result<(), Trouble> {
        match self.with(Target::is_versioned) {
            Ok(true) => Ok(()),
            // Without the right to ask, the listing of versions will tell.
            Err(Trouble::Failed(Failure::NotPermitted { .. })) => Ok(()),
            Ok(false) => {
                let name = format!("bucket {}", self.place.bucket);
                Err(Failure::NotVersioned { name }.into())
            }
            Err(trouble) => Err(trouble),
        }
    }

    fn key(&self, id: &BlobId) -> String {
        format!("{}{}", self.place.prefix, id.as_str())
    }

    /// Makes the request for a blob: of the version that the view shows, if there is a view.
    fn request(&self, target: &Target, id: &BlobId) -> std::result::Result<Request, Trouble> {
        let mut path = target.address.key(&self.key(id));
        if let Some(view) = &self.view {
            let version = view.version(self, id)?;
            path.push_str("?versionId=");
            path.push_str(&version);
        }
        Ok(Request::get(path))
    }

    fn list_now(&self, prefix: &str) -> std::result::Result<Vec<BlobInfo>, Trouble> {
        self.entries(prefix, |entry| self.info(&entry, prefix)).map(sorted)
    }

    /// Lists all keys that may be blobs with this prefix, and keeps what `take` makes of them.
    fn entries<T>(
        &self,
        prefix: &str,
        take: impl Fn(Entry) -> Option<T>,
    ) -> std::result::Result<Vec<T>, Trouble> {
        let full = format!("{}{prefix}", self.place.prefix);
        self.with(|target| {
            let mut taken = Vec::new();
            let mut guard = Advance::default();
            let fetch = |token: Option<&str>| {
                let query = listing::query(&full, token);
                let request = Request::new("GET", target.address.query(&query), Kind::List);
                let answer = target.client.call(target, &request)?;
                let page = listing::objects(&answer.body).ok_or_else(|| answer.nonsense())?;
                guard.check(&target.client.host(), &page.items)?;
                Ok::<_, Trouble>(page)
            };
            pages(&target.client.host(), fetch, |entry| taken.extend(take(entry)))?;
            Ok(taken)
        })
    }

    /// Returns the blob that a key is, if it is one of this repository.
    fn info(&self, entry: &Entry, prefix: &str) -> Option<BlobInfo> {
        let id = id_of(&self.place.prefix, &entry.key)?;
        // Kopia keeps the storage classes of new blobs in it.
        let is_blob = id.as_str() != ".storageconfig" && id.as_str().starts_with(prefix);
        is_blob.then(|| BlobInfo::new(id, entry.length).with_modified(entry.modified))
    }

    fn reading(&self, trouble: Trouble, id: &BlobId, offset: u64, wanted: usize) -> Error {
        trouble.reading(id, self.location(), offset, wanted)
    }
}

/// Sees that a listing comes back to what it gave before, whatever its markers say.
#[derive(Default)]
struct Advance {
    first: Option<String>,
}

impl Advance {
    fn check(&mut self, host: &str, entries: &[Entry]) -> std::result::Result<(), Failure> {
        let Some(first) = entries.first() else { return Ok(()) };
        if self.first.as_ref() == Some(&first.key) {
            let why = format!("two pages begin with the key {:?}", first.key);
            return Err(Failure::EndlessListing { host: host.into(), why });
        }
        self.first = Some(first.key.clone());
        Ok(())
    }
}

impl BlobStore for S3Store {
    fn location(&self) -> String {
        location(&self.place)
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let listed = match &self.view {
            Some(view) => view.list(self, prefix),
            None => self.list_now(prefix),
        };
        listed.map_err(|trouble| trouble.listing(self.location(), &self.host()))
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        let length = match &self.view {
            Some(view) => view.length(self, id),
            None => self.with(|target| {
                let request = self.request(target, id)?;
                match target.client.length(target, &request) {
                    // The answer to HEAD has no text that would say why: one byte is asked for, and one
                    // error.
                    Err(Trouble::Failed(
                        Failure::NotPermitted { .. }
                        | Failure::NoCredentials { .. }
                        | Failure::Nonsense { .. },
                    )) => {
                        target.client.read_range(target, &request, 0, 1, Vec::new())?;
                        target.client.length(target, &request)
                    }
                    done => done,
                }
            }),
        };
        length.map_err(|trouble| self.reading(trouble, id, 0, 0))
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        let read = self.with(|target| {
            let request = self.request(target, id)?;
            target.client.read_whole(target, &request, WHOLE_BLOB_LIMIT)
        });
        read.map_err(|trouble| self.reading(trouble, id, 0, 0))
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        // Moving to another region is rare, so the buffer is given to the first try alone.
        let buffer = std::cell::Cell::new(buffer);
        let read = self.with(|target| {
            let request = self.request(target, id)?;
            target.client.read_range(target, &request, offset, length, buffer.take())
        });
        read.map(BlobBytes::from).map_err(|trouble| self.reading(trouble, id, offset, length))
    }

    fn cold(&self) -> Option<&dyn ColdStorage> {
        Some(self)
    }

    fn profile(&self) -> ReadProfile {
        self.profile
    }
}
