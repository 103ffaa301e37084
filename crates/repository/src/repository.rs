//! The open repository.

mod open;
mod options;
mod resources;
mod serve;

use std::sync::Arc;
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_format::format_blob::{Envelope, EpochParameters, RepositoryFormat};
use kopia_format::{BlobId, ObjectId};
use kopia_storage::{BlobInfo, BlobStore, ContentServer};

use crate::contents::Contents;
use crate::index::{Indexes, LiveIndex, Unreadable, UnreadableParts};
use crate::lru::Lru;
use crate::object::{Allowance, Extent};
use crate::parallel::Cores;
use crate::sealing::Sealing;
use crate::traffic::{Meter, Traffic};
use crate::tree::Listing;
use crate::upkeep::Upkeep;
use crate::{Error, Result};

pub use options::OpenOptions;
pub use resources::Resources;

/// An open repository. Clones share everything.
///
/// Others may write to it while it is open. What was found stays readable as long as it is anywhere: a
/// content whose pack is gone is looked up again in the indexes as they are by then.
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

struct Inner {
    options: OpenOptions,
    /// Where blobs are read from; behind a server there are none.
    store: Arc<dyn BlobStore>,
    /// What was asked of it.
    meter: Arc<Meter>,
    place: Place,
    sealing: Arc<Sealing>,
    cores: Arc<Cores>,
    contents: Contents,
    /// What was parsed, and may be wanted again.
    known: Lru<KnownId, Known>,
    read_ahead: Arc<Allowance>,
    /// What opening had to leave out.
    unreadable: UnreadableParts,
    warnings: Vec<String>,
    opening: Duration,
}

/// What something is that was parsed. It is named by its bytes, so it never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum KnownId {
    /// The list of the pieces of a file.
    Extents(ObjectId),
    /// The entries of a directory.
    Directory(ObjectId),
}

/// Something that was parsed. It must not hold the repository, which holds it.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    Extents(Arc<[Extent]>),
    Directory(Arc<Listing>),
}

/// What lies behind the contents.
enum Place {
    Blobs(Box<Blobs>),
    Server(Arc<dyn ContentServer>),
}

/// What the blobs of a repository say of it.
struct Blobs {
    blob: Envelope,
    format: RepositoryFormat,
    indexes: Arc<LiveIndex>,
    upkeep: Option<Upkeep>,
}

/// What a repository is, for people and programs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// Where it is.
    pub location: String,
    /// The format version: 1, 2 or 3.
    pub format_version: u32,
    /// The version of kopia that created it; empty for builds without one.
    pub created_by: String,
    /// The hash of contents.
    pub hash: String,
    /// The encryption of contents.
    pub encryption: String,
    /// The error correction and its percentage of overhead, if there is any.
    pub error_correction: Option<(String, u32)>,
    /// The splitter of files.
    pub splitter: String,
    /// The key derivation of the password.
    pub key_derivation: String,
    /// Whether index blobs are managed in epochs.
    pub epochs: bool,
    /// The epoch that is written, if there are epochs.
    pub write_epoch: Option<u64>,
    /// How kopia manages them.
    pub epoch_parameters: EpochParameters,
    /// What it is told apart from others by, and from none of its copies.
    pub unique_id: Vec<u8>,
    /// The size at which kopia finishes a pack, in bytes.
    pub max_pack_size: u64,
    /// Whether the password can be changed.
    pub password_change: bool,
    /// The version of new index blobs.
    pub index_version: u32,
    /// The names of features that a reader must know.
    pub required_features: Vec<String>,
    /// Index blobs that were read.
    pub index_blobs: usize,
    /// Contents, without deleted ones.
    pub contents: u64,
    /// Contents that are marked deleted and can still be read.
    pub deleted_contents: u64,
    /// Packs that the index names.
    pub packs: usize,
    /// Those of them that hold contents which are not deleted.
    pub living_packs: usize,
    /// Bytes that contents take in packs.
    pub packed_bytes: u64,
    /// Bytes of contents when opened and decompressed.
    pub original_bytes: u64,
    /// How long opening took.
    pub opening: Duration,
}

impl Repository {
    /// Opens a repository: derives the key while index blobs are listed and read, then merges all indexes
    /// that count.
    ///
    /// Opening needs `kopia.repository`, the list of index blobs and the index blobs; nothing is written.
    ///
    /// # Errors
    /// [`NotARepository`](crate::Error::NotARepository), [`Incomplete`](crate::Error::Incomplete) if there is
    /// nothing but the format blob, [`WrongPassword`](crate::Error::WrongPassword),
    /// [`Locked`](crate::Error::Locked) while an upgrade is under way,
    /// [`Unsupported`](crate::Error::Unsupported) for algorithms or required features not known here,
    /// [`CorruptBlob`](crate::Error::CorruptBlob) naming the format or index blob,
    /// [`Storage`](crate::Error::Storage).
    pub fn open(store: impl BlobStore, password: &Password) -> Result<Self> {
        Self::open_with(store, password, &OpenOptions::default())
    }

    /// Opens a repository as [`OpenOptions`] say.
    ///
    /// # Errors
    /// As for [`Self::open`]; if it is opened degraded, index blobs cause none.
    pub fn open_with(store: impl BlobStore, password: &Password, options: &OpenOptions) -> Result<Self> {
        open::open(Arc::new(store), password, options)
    }

    /// Opens a repository that is damaged, as far as that can be done: with [`OpenOptions::degraded`].
    ///
    /// # Errors
    /// As for [`Self::open_with`].
    pub fn open_degraded(store: impl BlobStore, password: &Password) -> Result<Self> {
        Self::open_with(store, password, &OpenOptions { degraded: true, ..OpenOptions::default() })
    }

    /// Opens a repository that a server holds. What needs blobs, and not contents, returns
    /// [`kopia_storage::Error::NoBlobs`].
    ///
    /// Every content is compared with its id. The server lists the snapshots that its user may see, and no
    /// others.
    ///
    /// # Errors
    /// [`Unsupported`](crate::Error::Unsupported) for a hash that is not known here.
    pub fn open_server(server: impl ContentServer, options: &OpenOptions) -> Result<Self> {
        serve::open(Arc::new(server), options)
    }

    /// Returns the server that holds the repository, if one does.
    pub fn server(&self) -> Option<&dyn ContentServer> {
        match &self.inner.place {
            Place::Blobs(_) => None,
            Place::Server(server) => Some(&**server),
        }
    }

    /// Returns what could not be read of a repository that was opened degraded, and which epochs of any have
    /// no index blobs.
    pub fn losses(&self) -> &[Unreadable] {
        &self.inner.unreadable.all
    }

    /// Returns those of them that are parts of the indexes.
    pub fn lost_indexes(&self) -> &[Unreadable] {
        &self.inner.unreadable.all[..self.inner.unreadable.of_indexes]
    }

    /// Returns whether a blob that the indexes need was missing when it was opened.
    pub(crate) fn lacked(&self, blob: &BlobId) -> bool {
        self.inner.unreadable.lacks(blob)
    }

    /// Returns how it was opened.
    pub fn options(&self) -> &OpenOptions {
        &self.inner.options
    }

    /// Reads the indexes again if others have written or removed some since; returns whether that was so.
    ///
    /// It need not be called for what was found before: contents that others move are found again without it.
    /// While indexes are read again, the old ones stay in memory, too.
    ///
    /// # Errors
    /// As for [`Self::open`]. What was known before stays so.
    pub fn refresh(&self) -> Result<bool> {
        match &self.inner.place {
            Place::Blobs(blobs) => blobs.indexes.refresh(),
            // It is asked anew for everything.
            Place::Server(_) => Ok(false),
        }
    }

    /// Returns the store that blobs are read from. Behind a server there is none: every call returns
    /// [`NoBlobs`](kopia_storage::Error::NoBlobs).
    pub fn store(&self) -> &dyn BlobStore {
        &*self.inner.store
    }

    /// Returns what was asked of the store since opening began; nothing is counted behind a server.
    pub fn traffic(&self) -> Traffic {
        self.inner.meter.read()
    }

    /// Returns what the repository wants said to whoever reads it, such as features that are not known here.
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// Returns the contents: what files, directories and manifests consist of.
    pub fn contents(&self) -> &Contents {
        &self.inner.contents
    }

    /// Returns whether an object is known to have no bytes: then no content has to be read for it.
    pub fn object_is_empty(&self, object: ObjectId) -> bool {
        if object.indirection() > 0 || object.is_compressed() {
            return false;
        }
        match &self.inner.place {
            Place::Blobs(_) => {
                let location = self.contents().locate(&object.content());
                location.is_ok_and(|location| location.plain_length() == 0)
            }
            // The id says it without a question.
            Place::Server(_) => self.contents().matches(&object.content(), &[]),
        }
    }

    /// Describes the repository.
    ///
    /// # Errors
    /// [`kopia_storage::Error::NoBlobs`] for one behind a server: nothing is known of what is stored.
    pub fn status(&self) -> Result<Status> {
        let Blobs { blob, format, indexes, .. } = self.blobs()?;
        let indexes = indexes.now();
        let ecc = Some((format.ecc.clone(), format.ecc_overhead_percent));
        let totals = indexes.table.totals();
        Ok(Status {
            location: self.store().location(),
            format_version: format.version,
            created_by: blob.build_version.clone(),
            hash: format.hash.clone(),
            encryption: format.encryption.clone(),
            error_correction: ecc.filter(|(name, percent)| !name.is_empty() && *percent > 0),
            splitter: format.splitter.clone(),
            key_derivation: blob.key_algorithm.clone(),
            epochs: format.epochs,
            write_epoch: format.epochs.then(|| indexes.write_epoch()),
            epoch_parameters: format.epoch_parameters,
            unique_id: blob.unique_id.clone(),
            max_pack_size: format.max_pack_size,
            password_change: format.password_change,
            index_version: format.index_version,
            required_features: format.required_features.iter().map(|one| one.feature.clone()).collect(),
            index_blobs: indexes.blobs,
            contents: totals.contents,
            deleted_contents: totals.deleted,
            packs: indexes.table.pack_count(),
            living_packs: indexes.table.living_pack_count(),
            packed_bytes: totals.packed_bytes,
            original_bytes: totals.original_bytes,
            opening: self.inner.opening,
        })
    }

    /// Returns what it says of its keeping, as far as
    /// [`OpenOptions::retention`] and [`OpenOptions::schedule`] have it read; a server says nothing.
    pub fn upkeep(&self) -> Option<&Upkeep> {
        self.blobs().ok()?.upkeep.as_ref()
    }

    /// Returns the index blobs that count, sorted by id, without their times.
    ///
    /// # Errors
    /// [`kopia_storage::Error::NoBlobs`] behind a server; those of compaction logs that cannot be read, unless it
    /// was opened degraded: then the blobs that they replaced count as well.
    pub fn index_blobs(&self) -> Result<Vec<BlobInfo>> {
        self.active_index_blobs(&self.indexes()?.snapshot(), &|_| self.options().degraded)
    }

    /// As [`Self::index_blobs`], of these indexes; compaction logs with such errors are left out.
    pub(crate) fn active_index_blobs(
        &self,
        indexes: &Indexes,
        is_left_out: &dyn Fn(&Error) -> bool,
    ) -> Result<Vec<BlobInfo>> {
        let epochs = self.blobs()?.format.epochs;
        let mut blobs = indexes.active(self.store(), self.sealing(), epochs, is_left_out)?;
        blobs.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(blobs)
    }

    /// Returns how long opening took.
    pub fn opening(&self) -> Duration {
        self.inner.opening
    }

    pub(crate) fn sealing(&self) -> &Sealing {
        &self.inner.sealing
    }

    /// Returns what was parsed before.
    pub(crate) fn known(&self) -> &Lru<KnownId, Known> {
        &self.inner.known
    }

    /// Returns how many bytes may be decoded ahead of readers.
    pub(crate) fn read_ahead(&self) -> &Arc<Allowance> {
        &self.inner.read_ahead
    }

    pub(crate) fn cores(&self) -> &Cores {
        &self.inner.cores
    }

    /// Returns the indexes, which others may change at any time.
    ///
    /// # Errors
    /// That there are none behind a server.
    pub(crate) fn indexes(&self) -> Result<&LiveIndex> {
        Ok(&self.blobs()?.indexes)
    }

    /// Returns what the blobs say, or that there are none.
    fn blobs(&self) -> Result<&Blobs> {
        match &self.inner.place {
            Place::Blobs(blobs) => Ok(blobs),
            Place::Server(server) => Err(kopia_storage::Error::NoBlobs { place: server.location() }.into()),
        }
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("location", &self.store().location()).finish_non_exhaustive()
    }
}
