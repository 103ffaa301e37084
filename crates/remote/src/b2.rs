//! Backblaze B2, by its own interface.
//!
//! Kopia's type `b2` speaks it, and so does this: B2's S3 address knows neither master keys nor buckets from
//! before May 2020. Authority: Kopia's `repo/blob/b2`, and Backblaze's reference of the B2 Native API.

mod answers;
mod judge;
mod session;
#[cfg(feature = "testing")]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::OnceLock;

use kopia_connection::storage::B2;
use kopia_connection::{Limits, Storage};
use kopia_format::BlobId;
use kopia_storage::{
    BlobBytes, BlobInfo, BlobStore, Error, Failure, Near, ReadProfile, Result, Shape, Surroundings,
    WHOLE_BLOB_LIMIT,
};
use serde_json::json;

use crate::connect::Options;
use crate::http::{Kind, Network, Request, Trouble};
use crate::objects::{self, Advance, Page, encoded};
use answers::File;
use session::Account;

/// Where all sign in.
const SIGN_IN: &str = "https://api.backblazeb2.com";

/// How many files a page has. Each thousand is one call that is paid for.
const PAGE: usize = 1000;

/// A bucket of Backblaze B2.
#[derive(Debug)]
pub(crate) struct B2Store {
    /// What the bucket is called in messages.
    place: String,
    account: Account,
    bucket: String,
    bucket_id: String,
    prefix: String,
    profile: ReadProfile,
}

/// Opens a bucket: signs in, and finds the bucket.
pub(crate) fn open(place: &B2, limits: &Limits, options: &Options) -> Result<B2Store> {
    open_at(SIGN_IN, place, limits, options)
}

fn open_at(sign_in: &str, place: &B2, limits: &Limits, options: &Options) -> Result<B2Store> {
    let store = B2Store::new(sign_in, place, limits, options);
    store.map_err(|failure| Error::Open { place: name(place), source: failure.into() })
}

/// Looks around in a bucket.
///
/// # Errors
/// If the connection cannot be used.
pub(crate) fn survey(place: &B2, limits: &Limits, options: &Options) -> Result<Around, Failure> {
    survey_at(SIGN_IN, place, limits, options)
}

fn survey_at(sign_in: &str, place: &B2, limits: &Limits, options: &Options) -> Result<Around, Failure> {
    let account = Account::new(sign_in, place, Network::new(options, limits))?;
    Ok(Around { account, place: place.clone(), bucket: OnceLock::new() })
}

/// A bucket, to be looked at outside of the prefix, too. It may not be there.
#[derive(Debug)]
pub(crate) struct Around {
    account: Account,
    place: B2,
    /// The bucket's id, once it was found.
    bucket: OnceLock<String>,
}

impl Around {
    fn bucket(&self) -> Result<&str, Failure> {
        if let Some(id) = self.bucket.get() {
            return Ok(id);
        }
        let id = self.account.bucket_id(&self.place.bucket, &self.place.prefix)?;
        Ok(self.bucket.get_or_init(|| id))
    }
}

impl Surroundings for Around {
    fn root(&self) -> String {
        self.place.prefix.clone()
    }

    fn shape(&self) -> Shape {
        Shape::Keys
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        let page = page(&self.account, self.bucket()?, Some("/"), prefix, None);
        let page = page.map_err(|trouble| trouble.failure(self.account.host()))?;
        Ok(page.items.iter().map(|file| Near::new(file.name())).collect())
    }

    fn containers(&self) -> io::Result<Vec<String>> {
        Ok(self.account.buckets()?)
    }
}

/// Fetches a page of names; those that go on behind a delimiter are one.
fn page(
    account: &Account,
    bucket_id: &str,
    delimiter: Option<&str>,
    name_prefix: &str,
    next: Option<&str>,
) -> Result<Page<File>, Trouble> {
    let session = account.session()?;
    let body = json!({
        "bucketId": bucket_id,
        "prefix": name_prefix,
        "delimiter": delimiter,
        "startFileName": next,
        "maxFileCount": PAGE,
    });
    let request = Request::new("POST", "/b2api/v2/b2_list_file_names", Kind::List)
        .with_body("application/json", body.to_string());
    let answer = session.api.call(account, &request)?;
    answers::files(&answer.body).ok_or_else(|| answer.nonsense().into())
}

/// Returns what a bucket is called in messages.
fn name(place: &B2) -> String {
    Storage::B2(place.clone()).to_string()
}

impl B2Store {
    fn new(sign_in: &str, place: &B2, limits: &Limits, options: &Options) -> Result<Self, Failure> {
        let account = Account::new(sign_in, place, Network::new(options, limits))?;
        let bucket_id = account.bucket_id(&place.bucket, &place.prefix)?;
        Ok(Self {
            place: name(place),
            account,
            bucket: place.bucket.clone(),
            bucket_id,
            prefix: place.prefix.clone(),
            profile: objects::profile(limits),
        })
    }

    fn each(&self, id_prefix: &str, take: impl FnMut(File)) -> Result<(), Trouble> {
        let name_prefix = format!("{}{id_prefix}", self.prefix);
        let host = self.account.session()?.api.host();
        let mut advance = Advance::default();
        let fetch = |next: Option<&str>| {
            let page = page(&self.account, &self.bucket_id, None, &name_prefix, next)?;
            advance.check(&host, page.items.first().map(|file| file.name().to_string()))?;
            Ok(page)
        };
        objects::pages(&host, fetch, take)
    }

    /// Returns the request for a blob.
    fn request(&self, id: &BlobId) -> Request {
        let name = encoded(&format!("{}{id}", self.prefix));
        Request::get(format!("/file/{}/{name}", encoded(&self.bucket)))
    }
}

impl BlobStore for B2Store {
    fn location(&self) -> String {
        self.place.clone()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let mut blobs = Vec::new();
        let listed = self.each(prefix, |file| blobs.extend(file.info(&self.prefix)));
        listed.map_err(|trouble| trouble.listing(self.location(), self.account.host()))?;
        Ok(objects::sorted(blobs))
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        let session = self.account.session().map_err(Trouble::from);
        let length = session.and_then(|session| session.download.length(&self.account, &self.request(id)));
        length.map_err(|trouble| trouble.reading(id, self.location(), 0, 0))
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        let session = self.account.session().map_err(Trouble::from);
        let read = session.and_then(|session| {
            session.download.read_whole(&self.account, &self.request(id), WHOLE_BLOB_LIMIT)
        });
        read.map_err(|trouble| trouble.reading(id, self.location(), 0, 0))
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        let session = self.account.session().map_err(Trouble::from);
        let read = session.and_then(|session| {
            session.download.read_range(&self.account, &self.request(id), offset, length, buffer)
        });
        let read = read.map(BlobBytes::from);
        read.map_err(|trouble| trouble.reading(id, self.location(), offset, length))
    }

    fn profile(&self) -> ReadProfile {
        self.profile
    }
}
