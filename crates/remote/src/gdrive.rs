//! A directory of Google Drive.
//!
//! Drive knows files by ids of its own, and two of them may have one name. Such a blob is refused, as Kopia
//! does: nobody can say which of the two is the right one. Authority: Kopia's `repo/blob/gdrive`.

mod judge;
mod listing;
#[cfg(feature = "testing")]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use kopia_connection::storage::GoogleDrive;
use kopia_connection::{Limits, Storage};
use kopia_format::BlobId;
use kopia_storage::{
    BlobBytes, BlobInfo, BlobStore, Error, Failure, Near, ReadProfile, Result, Shape, Surroundings,
    WHOLE_BLOB_LIMIT,
};

use crate::connect::Options;
use crate::google::Google;
use crate::http::{Client, Kind, Network, Origin, Request, Trouble, Trust};
use crate::objects::{self, Advance, Page, encoded};
use judge::Folder;
use listing::File;

const SERVER: &str = "https://www.googleapis.com";

/// Tokens may read, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/drive.readonly";

/// How many files a page has: the most that Drive gives.
const PAGE: usize = 1000;

/// A directory of Google Drive.
#[derive(Debug)]
pub(crate) struct DriveStore {
    /// What the directory is called in messages.
    place: String,
    client: Client,
    service: Folder,
    files: Mutex<HashMap<BlobId, Found>>,
    profile: ReadProfile,
}

/// What is known of a blob's file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    One { file: String, length: u64 },
    Several,
}

/// Opens a directory, and looks whether it is there and can be listed.
pub(crate) fn open(place: &GoogleDrive, limits: &Limits, options: &Options) -> Result<DriveStore> {
    let network = Network::new(options, limits);
    let account = Google::new(&place.account, SCOPE, &network);
    let store = account.and_then(|account| DriveStore::new(SERVER, place, limits, Some(account), &network));
    store.map_err(|failure| Error::Open { place: name(place), source: failure.into() })
}

/// Looks around for other directories.
///
/// # Errors
/// If the connection cannot be used.
pub(crate) fn survey(place: &GoogleDrive, limits: &Limits, options: &Options) -> Result<Around, Failure> {
    let network = Network::new(options, limits);
    let account = Google::new(&place.account, SCOPE, &network)?;
    DriveStore::unlooked(SERVER, place, limits, Some(account), &network).map(Around)
}

/// What the account can see. Directories have ids that nobody types from memory, and no paths.
#[derive(Debug)]
pub(crate) struct Around(DriveStore);

impl Surroundings for Around {
    fn root(&self) -> String {
        String::new()
    }

    fn shape(&self) -> Shape {
        Shape::Keys
    }

    fn look(&self, prefix: &str) -> io::Result<Vec<Near>> {
        let page = self.0.page(&listing::all(&self.0.service.id), PAGE, None);
        let page = page.map_err(|trouble| trouble.failure(&self.0.client.host()))?;
        let names = page.items.into_iter().map(|file| file.name);
        Ok(names.filter(|name| name.starts_with(prefix)).map(Near::new).collect())
    }

    /// Lists directories by id and name.
    fn containers(&self) -> io::Result<Vec<String>> {
        let page = self.0.page(listing::DIRECTORIES, PAGE, None);
        let page = page.map_err(|trouble| trouble.failure(&self.0.client.host()))?;
        Ok(page.items.iter().map(|folder| format!("{} ({})", folder.id, folder.name)).collect())
    }
}

/// Returns what a directory is called in messages.
fn name(place: &GoogleDrive) -> String {
    Storage::GoogleDrive(place.clone()).to_string()
}

impl DriveStore {
    fn new(
        server: &str,
        place: &GoogleDrive,
        limits: &Limits,
        account: Option<Google>,
        network: &Network,
    ) -> Result<Self, Failure> {
        let store = Self::unlooked(server, place, limits, account, network)?;
        let check = listing::by_prefix(&store.service.id, "kopia.repository");
        store.page(&check, 1, None).map_err(|trouble| trouble.failure(&store.client.host()))?;
        Ok(store)
    }

    /// Makes one without looking whether it is there.
    fn unlooked(
        server: &str,
        place: &GoogleDrive,
        limits: &Limits,
        account: Option<Google>,
        network: &Network,
    ) -> Result<Self, Failure> {
        let client = network.client(Origin::of_url(server)?.0, &Trust::System, "Google Drive")?;
        let service = Folder { id: place.folder_id.clone(), account };
        let (place, files, profile) = (name(place), Mutex::default(), objects::profile(limits));
        Ok(Self { place, client, service, files, profile })
    }

    fn page(&self, query: &str, most: usize, next: Option<&str>) -> Result<Page<File>, Trouble> {
        let mut path = format!(
            "/drive/v3/files?q={}&pageSize={most}&fields={}&supportsAllDrives=true&includeItemsFromAllDrives=true",
            encoded(query),
            encoded(listing::FIELDS)
        );
        if let Some(token) = next {
            path.push_str(&format!("&pageToken={}", encoded(token)));
        }
        let answer = self.client.call(&self.service, &Request::new("GET", path, Kind::List))?;
        listing::page(&answer.body).ok_or_else(|| answer.nonsense().into())
    }

    /// Lists the files of a query, and keeps which file each blob is.
    fn query(&self, query: &str) -> Result<Vec<BlobInfo>, Trouble> {
        let mut found = HashMap::<BlobId, Found>::new();
        let mut blobs = Vec::new();
        let (host, mut advance) = (self.client.host(), Advance::default());
        let fetch = |next: Option<&str>| {
            let page = self.page(query, PAGE, next)?;
            advance.check(&host, page.items.first().map(|file| file.id.clone()))?;
            Ok::<_, Trouble>(page)
        };
        objects::pages(&host, fetch, |file: File| {
            let Some((id, length)) = objects::id_of("", &file.name).zip(file.length()) else { return };
            blobs.push(BlobInfo::new(id.clone(), length).with_modified(file.modified()));
            let other = found.insert(id.clone(), Found::One { file: file.id, length });
            if other.is_some() {
                found.insert(id, Found::Several);
            }
        })?;
        self.files.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        Ok(objects::sorted(blobs))
    }

    /// Returns the file that a blob is, and its length.
    fn find(&self, id: &BlobId) -> Result<(String, u64), Trouble> {
        let known = || self.files.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let found = match known() {
            Some(found) => Some(found),
            None => {
                self.query(&listing::by_name(&self.service.id, id))?;
                known()
            }
        };
        match found.ok_or(Trouble::Missing)? {
            Found::One { file, length } => Ok((file, length)),
            Found::Several => {
                let what = format!(
                    "there are several files named {id} in the directory, and no telling which is the right one: \
                     move the others away"
                );
                Err(Failure::Unusable { what }.into())
            }
        }
    }

    /// Reads from the file that a blob is. A file that is gone is looked for anew the next time.
    fn with_file<T>(
        &self,
        id: &BlobId,
        read: impl FnOnce(Request, u64) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let (file, length) = self.find(id)?;
        let path = format!("/drive/v3/files/{}?alt=media&supportsAllDrives=true", encoded(&file));
        let read = read(Request::get(path), length);
        if let Err(Trouble::Missing) = read {
            self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
        read
    }
}

impl BlobStore for DriveStore {
    fn location(&self) -> String {
        self.place.clone()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let listed = self.query(&listing::by_prefix(&self.service.id, prefix));
        let mut blobs = listed.map_err(|trouble| trouble.listing(self.location(), &self.client.host()))?;
        blobs.retain(|blob| blob.id.as_str().starts_with(prefix));
        Ok(blobs)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        let found = self.find(id).map_err(|trouble| trouble.reading(id, self.location(), 0, 0));
        found.map(|(_, length)| length)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        let read = self.with_file(id, |request, length| match length {
            0 => Ok(Vec::new()),
            _ => self.client.read_whole(&self.service, &request, WHOLE_BLOB_LIMIT),
        });
        read.map_err(|trouble| trouble.reading(id, self.location(), 0, 0))
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        // Drive answers no HEAD, so what would lie outside is not even asked for.
        let read = self.with_file(id, |request, total| {
            let end = offset.checked_add(length as u64).filter(|end| *end <= total);
            match (end, length) {
                (None, _) => Err(Trouble::Short { length: total }),
                (Some(_), 0) => Ok(Vec::new()),
                (Some(_), _) => self.client.read_range(&self.service, &request, offset, length, buffer),
            }
        });
        let read = read.map(BlobBytes::from);
        read.map_err(|trouble| trouble.reading(id, self.location(), offset, length))
    }

    fn profile(&self) -> ReadProfile {
        self.profile
    }
}
