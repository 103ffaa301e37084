//! The format blob by itself, and its replicas in packs.
//!
//! Opening a repository needs this one blob above all others, and no index helps where it is lost. Where the
//! password cannot be changed, kopia puts replicas at the start of packs (`repo/format/format_blob.go`,
//! recovery). They carry a checksum whose key is public, so that only the password proves a replica genuine.
//! Blobs are read here and never written.

use std::time::{Instant, SystemTime};

use kopia_codec::hash::{HashAlgorithm, Hasher};
use kopia_codec::key::{FormatKey, KeyDerivation, Password};
use kopia_format::BlobId;
use kopia_format::format_blob::{BLOB_ID, Envelope, RepositoryFormat, find_replica};
use kopia_storage::{BlobInfo, BlobStore, MAX_COPIES};

use crate::{Error, Result, deriving};

/// The key of the checksum of replicas.
const CHECKSUM_KEY: &[u8] = b"kopia-repository";

/// The key of names of repositories.
const NAME_KEY: &[u8] = b"kopia-rs name of a repository";

/// How many bytes at either end of a pack are read. Format blobs have some 1100.
const READ: u64 = 16 << 10;

/// How many different replicas are kept: more than one stands in packs only after an upgrade.
const KEPT: usize = 16;

/// A format blob: how a password becomes the key of the repository.
#[derive(Debug, Clone)]
pub struct FormatBlob {
    blob: Envelope,
    bytes: Vec<u8>,
}

/// What a format blob contains, once the password has opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Opened {
    /// The format version: 1, 2 or 3.
    pub format_version: u32,
    /// Whether index blobs are managed in epochs.
    pub epochs: bool,
}

/// A format blob of which packs hold a replica.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Replica {
    /// The blob.
    pub blob: FormatBlob,
    /// The newest pack that holds it, as far as the store knows times.
    pub pack: BlobId,
    /// When that pack was written.
    pub modified: Option<SystemTime>,
    /// How many of the packs that were read hold it.
    pub packs: usize,
}

/// What a search for replicas found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Replicas {
    /// Different ones, that of the newest pack first.
    pub found: Vec<Replica>,
    /// How many packs were read.
    pub read: usize,
    /// How many of them could not be read.
    pub unreadable: usize,
    /// How many packs there are.
    pub packs: usize,
}

impl FormatBlob {
    /// Returns the name of the blob.
    pub fn id() -> BlobId {
        BlobId::new(BLOB_ID).expect("the constant is a name")
    }

    /// Parses the bytes of a format blob.
    ///
    /// # Errors
    /// [`Error::CorruptBlob`], [`Error::Unsupported`].
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        let blob = Envelope::parse(&bytes).map_err(|error| Error::blob(&Self::id(), error))?;
        Ok(Self { blob, bytes })
    }

    /// Reads the format blob of a store.
    ///
    /// # Errors
    /// As [`Self::parse`]; [`Error::NotARepository`] if there is none, and [`Error::Storage`].
    pub fn read(store: &dyn BlobStore) -> Result<Self> {
        let bytes = store.read(&Self::id()).map_err(|error| {
            if error.is_not_found() {
                return Error::NotARepository { location: store.location() };
            }
            Error::Storage(error)
        })?;
        Self::parse(bytes).or_else(|error| Self::copies(store).next().ok_or(error))
    }

    /// Returns the copies that can be parsed, where the store has several.
    fn copies(store: &dyn BlobStore) -> impl Iterator<Item = Self> {
        let copies = (0..MAX_COPIES).map(|number| store.read_copy(&Self::id(), number, 0, None));
        copies.filter_map(|copy| Self::parse(copy.ok()??).ok())
    }

    /// Opens it with a password; if that fails, takes another copy that the store has and that opens.
    pub(crate) fn unseal(
        &mut self,
        store: &dyn BlobStore,
        password: &Password,
    ) -> Result<(RepositoryFormat, FormatKey)> {
        let location = store.location();
        unseal(&Self::id(), &self.blob, password, &location).or_else(|error| {
            for copy in Self::copies(store).filter(|copy| copy.bytes != self.bytes) {
                if let Ok(format) = unseal(&Self::id(), &copy.blob, password, &location) {
                    *self = copy;
                    return Ok(format);
                }
            }
            Err(error)
        })
    }

    /// Reads and opens the copy of the format blob that kopia made before an upgrade.
    pub(crate) fn before_upgrade(
        store: &dyn BlobStore,
        backup: &BlobId,
        password: &Password,
    ) -> Result<(Self, (RepositoryFormat, FormatKey))> {
        let bytes = store.read(backup)?;
        let blob = Envelope::parse(&bytes).map_err(|error| Error::blob(backup, error))?;
        let format = unseal(backup, &blob, password, &store.location())?;
        Ok((Self { blob, bytes }, format))
    }

    /// Returns the parsed blob.
    pub(crate) fn envelope(&self) -> &Envelope {
        &self.blob
    }

    /// As [`Self::envelope`], without its bytes.
    pub(crate) fn into_blob(self) -> Envelope {
        self.blob
    }

    /// Returns a name for the repository, the same for every copy of it and for no other: what is kept of
    /// several repositories is kept apart by it. It says nothing of the id that it is made from.
    pub fn repository_name(&self) -> String {
        let hasher = Hasher::new(HashAlgorithm::HmacSha256, NAME_KEY).expect("any key will do");
        let hash = hasher.hash(&self.blob.unique_id);
        hash.as_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns its bytes, as they stand in the blob.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Opens it with a password; the key derivation takes some 150 ms and 64 MiB.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::CorruptBlob`], [`Error::Unsupported`].
    pub fn open(&self, password: &Password) -> Result<Opened> {
        let (format, _) = unseal(&Self::id(), &self.blob, password, BLOB_ID)?;
        Ok(Opened { format_version: format.version, epochs: format.epochs })
    }
}

impl Replicas {
    /// Searches the packs of a store, the newest first, until `most` were read or `until` has come.
    ///
    /// # Errors
    /// [`Error::Storage`] if packs cannot be listed. Packs that cannot be read are only counted.
    pub fn search(store: &dyn BlobStore, most: usize, until: Instant) -> Result<Self> {
        let mut packs = store.list("p")?;
        packs.extend(store.list("q")?);
        packs.sort_unstable_by(|a, b| (b.modified, b).cmp(&(a.modified, a)));
        let mut replicas = Self { packs: packs.len(), ..Self::default() };
        for pack in packs.into_iter().take(most) {
            if Instant::now() >= until {
                break;
            }
            replicas.read += 1;
            match read(store, &pack) {
                Ok(None) => {}
                Ok(Some(bytes)) => replicas.add(bytes, pack),
                Err(_) => replicas.unreadable += 1,
            }
        }
        Ok(replicas)
    }

    /// Chooses the replica of the newest format among those that the password opens.
    ///
    /// Packs from before an upgrade hold the old format, and a copy of a repository may have lost the times
    /// of packs.
    ///
    /// # Errors
    /// [`Error::WrongPassword`] if none opens.
    pub fn best(&self, password: &Password) -> Result<&Replica> {
        let opened =
            self.found.iter().filter_map(|replica| Some((replica.blob.open(password).ok()?, replica)));
        // Of equal ones the first is that of the newest pack; `max_by_key` would take the last.
        let best = opened.rev().max_by_key(|(opened, _)| *opened);
        best.map(|(_, replica)| replica).ok_or_else(|| Error::WrongPassword { location: BLOB_ID.into() })
    }

    /// Counts a replica, and keeps it if it is the first of its kind.
    fn add(&mut self, bytes: Vec<u8>, pack: BlobInfo) {
        if let Some(known) = self.found.iter_mut().find(|known| known.blob.bytes == bytes) {
            known.packs += 1;
        } else if let (true, Ok(blob)) = (self.found.len() < KEPT, FormatBlob::parse(bytes)) {
            self.found.push(Replica { blob, pack: pack.id, modified: pack.modified, packs: 1 });
        }
    }
}

/// Reads the replica of a pack, if it holds one at either end.
fn read(store: &dyn BlobStore, pack: &BlobInfo) -> Result<Option<Vec<u8>>> {
    let length = pack.length.min(READ);
    for offset in [0, pack.length - length] {
        let bytes = store.read_range(&pack.id, offset, length as usize, Vec::new())?;
        if let Some(blob) = find_replica(&bytes).and_then(checked) {
            return Ok(Some(blob.to_vec()));
        }
    }
    Ok(None)
}

/// Returns the replica if its checksum is right.
fn checked<'a>((blob, checksum): (&'a [u8], &[u8])) -> Option<&'a [u8]> {
    let hasher = Hasher::new(HashAlgorithm::HmacSha256, CHECKSUM_KEY).ok()?;
    (hasher.hash(blob).as_bytes() == checksum).then_some(blob)
}

/// Opens the format that an envelope holds, by a key made from the password, which opens more.
fn unseal(
    id: &BlobId,
    blob: &Envelope,
    password: &Password,
    location: &str,
) -> Result<(RepositoryFormat, FormatKey)> {
    let derivation = KeyDerivation::from_name(&blob.key_algorithm).map_err(|error| codec_error(id, error))?;
    let turn = deriving::turn(derivation);
    let key = derivation.derive(password, &blob.unique_id).map_err(|error| codec_error(id, error))?;
    drop(turn);
    let plain = key.open(&blob.unique_id, &blob.sealed_format).map_err(|error| match error {
        kopia_codec::Error::NotAuthentic => Error::WrongPassword { location: location.into() },
        error => codec_error(id, error),
    })?;
    let format = RepositoryFormat::parse(&plain).map_err(|error| Error::blob(id, error))?;
    Ok((format, key))
}

pub(crate) fn codec_error(id: &BlobId, error: kopia_codec::Error) -> Error {
    match error {
        kopia_codec::Error::Unsupported { what, found } => {
            Error::Unsupported { place: format!("blob {id}"), what, found }
        }
        error => Error::CorruptBlob { blob: id.clone(), why: error.to_string() },
    }
}
