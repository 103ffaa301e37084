//! The open repository.

mod open;
mod options;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_format::format_blob::{Envelope, RepositoryFormat};
use kopia_format::{BlobId, ContentId, ObjectId};
use kopia_storage::BlobStore;

use crate::contents::decode::{Decoder, Stored, implausible};
use crate::index::table::ContentLocation;
use crate::index::{Indexes, LiveIndex, Source, Unreadable, UnreadableParts};
use crate::sealing::Sealing;
use crate::{Error, Result};

pub(crate) use open::unseal;
pub use options::OpenOptions;

/// An open repository. Clones share everything.
///
/// Others may write to it meanwhile. What was found stays readable as long as it is anywhere: a content whose pack is gone
/// is looked up again in the indexes as they are by then.
#[derive(Clone)]
pub struct Repository {
    inner: Arc<Inner>,
}

struct Inner {
    options: OpenOptions,
    store: Box<dyn BlobStore>,
    blob: Envelope,
    format: RepositoryFormat,
    sealing: Sealing,
    indexes: LiveIndex,
    /// What opening had to leave out.
    lost: UnreadableParts,
    warnings: Vec<String>,
    opening: Duration,
    /// Decoders that no thread uses at the moment.
    decoders: Mutex<Vec<Decoder>>,
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
    /// The version of new index blobs.
    pub index_version: u32,
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
    /// Opens a repository: derives the key while index blobs are listed and read, then merges all indexes that count.
    ///
    /// Opening needs `kopia.repository`, the list of index blobs and the index blobs; nothing is written.
    ///
    /// # Errors
    /// [`Error::NotARepository`], [`Error::WrongPassword`], [`Error::Locked`] during an upgrade,
    /// [`Error::Unsupported`] for algorithms or required features not known here, [`Error::CorruptBlob`] naming the
    /// format or index blob, [`Error::Storage`].
    pub fn open(store: impl BlobStore, password: &Password) -> Result<Self> {
        Self::open_with(store, password, &OpenOptions::default())
    }

    /// Opens a repository as [`OpenOptions`] say.
    ///
    /// # Errors
    /// As for [`Self::open`]; if it is opened degraded, index blobs cause none.
    pub fn open_with(store: impl BlobStore, password: &Password, options: &OpenOptions) -> Result<Self> {
        open::open(Box::new(store), password, options)
    }

    /// Opens a repository that is damaged, as far as that can be done: with [`OpenOptions::degraded`].
    ///
    /// # Errors
    /// As for [`Self::open_with`].
    pub fn open_degraded(store: impl BlobStore, password: &Password) -> Result<Self> {
        Self::open_with(store, password, &OpenOptions { degraded: true, ..OpenOptions::default() })
    }

    /// Returns what could not be read of a repository that was opened degraded.
    pub fn losses(&self) -> &[Unreadable] {
        &self.inner.lost.all
    }

    /// Returns those of them that are parts of the indexes.
    pub fn lost_indexes(&self) -> &[Unreadable] {
        &self.inner.lost.all[..self.inner.lost.of_indexes]
    }

    /// Returns how it was opened.
    pub fn options(&self) -> &OpenOptions {
        &self.inner.options
    }

    /// Reads the indexes anew if others have written some, or removed some, since they were read; says whether that was so.
    ///
    /// It need not be called for what was found before: contents that others move are found again without it. While
    /// indexes are read anew, the old ones stay in memory, too.
    ///
    /// # Errors
    /// As for [`Self::open`]. What was known before stays so.
    pub fn refresh(&self) -> Result<bool> {
        self.inner.indexes.refresh(self.source())
    }

    /// Returns the store that blobs are read from.
    pub fn store(&self) -> &dyn BlobStore {
        &*self.inner.store
    }

    /// Returns what the repository wants said to whoever reads it, such as features that are not known here.
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// Says whether the index knows that an object has no bytes: then no content has to be read for it.
    pub fn is_empty(&self, object: ObjectId) -> bool {
        let location = || self.find(&object.content());
        object.indirection() == 0
            && !object.is_compressed()
            && location().is_ok_and(|location| location.original_length == 0)
    }

    /// Finds a content in the index, deleted ones that are still readable included.
    ///
    /// # Errors
    /// [`Error::ContentNotFound`], and [`Error::CorruptContent`] if the index says that it has more than 256 MiB.
    pub fn find(&self, content: &ContentId) -> Result<ContentLocation> {
        let location = self.inner.indexes.locate(self.source(), content);
        let location = location.ok_or(Error::ContentNotFound { content: *content })?;
        match location.is_plausible() {
            true => Ok(location),
            false => Err(implausible(self, content, &location)),
        }
    }

    /// Returns the name of the pack with this number, from a [`ContentLocation`] of this repository. It stays the same.
    ///
    /// # Panics
    /// If the number is from no location of this repository.
    pub fn pack(&self, number: u32) -> &BlobId {
        self.inner.indexes.packs().get(number).expect("it is the number of a pack of this repository")
    }

    /// Calls `visit` for every content of the index, deleted ones that are still readable included.
    pub fn for_each_content(&self, visit: impl FnMut(ContentId, ContentLocation)) {
        self.inner.indexes.kept().table.for_each(visit);
    }

    /// Reads one content.
    ///
    /// # Errors
    /// [`Error::ContentNotFound`], [`Error::CorruptContent`], [`Error::Unsupported`], [`Error::Storage`].
    pub fn read_content(&self, content: &ContentId) -> Result<Vec<u8>> {
        let location = self.find(content)?;
        let (location, bytes) = self.read_stored(content, location)?;
        let stored = Stored { id: *content, location, bytes: &bytes };
        self.with_decoder(|decoder| match decoder.decode(self, &stored) {
            Ok(plain) => Ok(plain.to_vec()),
            Err(error) => self.decode_copy(decoder, content, location, error),
        })
    }

    /// Says whether `plain` hashes to the id of a content.
    pub fn verify_content(&self, content: &ContentId, plain: &[u8]) -> bool {
        self.sealing().matches(content, plain)
    }

    /// Describes the repository.
    pub fn status(&self) -> Status {
        let Inner { blob, format, .. } = &*self.inner;
        let indexes = self.inner.indexes.now();
        let ecc = Some((format.ecc.clone(), format.ecc_overhead_percent));
        let totals = indexes.table.totals();
        Status {
            location: self.store().location(),
            format_version: format.version,
            created_by: blob.build_version.clone(),
            hash: format.hash.clone(),
            encryption: format.encryption.clone(),
            error_correction: ecc.filter(|(name, percent)| !name.is_empty() && *percent > 0),
            splitter: format.splitter.clone(),
            key_derivation: blob.key_algorithm.clone(),
            epochs: format.epochs,
            index_version: format.index_version,
            index_blobs: indexes.blobs,
            contents: totals.contents,
            deleted_contents: totals.deleted,
            packs: indexes.table.pack_count(),
            living_packs: indexes.table.living_pack_count(),
            packed_bytes: totals.packed_bytes,
            original_bytes: totals.original_bytes,
            opening: self.inner.opening,
        }
    }

    pub(crate) fn sealing(&self) -> &Sealing {
        &self.inner.sealing
    }

    /// Returns the indexes as they are now, for who must not see them change.
    pub(crate) fn indexes(&self) -> Arc<Indexes> {
        self.inner.indexes.kept()
    }

    /// Returns the living indexes and where they are read from.
    pub(crate) fn living(&self) -> (&LiveIndex, Source<'_>) {
        (&self.inner.indexes, self.source())
    }

    fn source(&self) -> Source<'_> {
        Source { store: self.store(), sealing: self.sealing() }
    }

    /// Lends a decoder that kept its buffers from earlier work.
    pub(crate) fn with_decoder<R>(&self, work: impl FnOnce(&mut Decoder) -> R) -> R {
        let decoders = || self.inner.decoders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decoder = decoders().pop().unwrap_or_default();
        let result = work(&mut decoder);
        decoders().push(decoder);
        result
    }
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("location", &self.store().location()).finish_non_exhaustive()
    }
}
