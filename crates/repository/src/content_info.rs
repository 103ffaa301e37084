//! What indexes say of each content, in the order of ids: the list that kopia's `content list` shows.
//!
//! The merged table leaves out what reading contents does not need. So index blobs are read again, and merged as
//! they are: their entries are sorted already.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::sync::Arc;

use kopia_codec::compression::Compression;
use kopia_format::index::{Entry, Index};
use kopia_format::{BlobId, ContentId};

use crate::index::{Indexes, Opener};
use crate::{Error, Repository, Result};

/// Attempts before giving up when concurrent maintenance deletes index blobs under us.
const ATTEMPTS: usize = 5;

/// What indexes say of a content. Authority: Kopia's `repo/content/index/info.go`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContentInfo {
    /// Its id.
    pub id: ContentId,
    /// Its pack.
    pub pack: BlobId,
    /// Where it begins in the pack, in bytes.
    pub offset: u32,
    /// How many bytes it has in the pack.
    pub packed_length: u32,
    /// How many bytes it has when it is opened and decompressed.
    pub original_length: u32,
    /// Kopia's number of its compression, 0 for none.
    pub compression: u32,
    /// When it was written or deleted, in seconds since 1970.
    pub timestamp: u64,
    /// Whether it is marked deleted.
    pub deleted: bool,
    /// The format version that wrote it.
    pub format_version: u8,
}

impl ContentInfo {
    /// Returns the name of its compression, if it is one that kopia has.
    pub fn compression_name(&self) -> Option<&'static str> {
        Compression::from_id(self.compression).ok().map(Compression::name)
    }
}

impl Repository {
    /// Calls `visit` for every content that indexes know, deleted ones included, in the order of their keys: those
    /// without a prefix first.
    ///
    /// Index blobs are read again and kept in memory meanwhile, some 40 bytes for each of their entries. A repository
    /// opened degraded leaves out those that it cannot read, and logs of compactions.
    ///
    /// # Errors
    /// [`kopia_storage::Error::NoBlobs`] behind a server, [`Error::CorruptBlob`], [`Error::Storage`].
    pub fn content_infos(&self, mut visit: impl FnMut(ContentInfo) -> ControlFlow<()>) -> Result<()> {
        let indexes = self.read_indexes()?;
        let table = self.indexes()?.snapshot();
        let mut heap = BinaryHeap::new();
        let mut rest: Vec<_> = indexes.iter().map(|index| index.entries()).collect();
        for (number, entries) in rest.iter_mut().enumerate() {
            heap.extend(entries.next().map(|entry| Next {
                entry,
                pack: pack(&indexes[number], &entry),
                number,
            }));
        }
        let mut last: Option<&[u8]> = None;
        while let Some(Next { entry, pack: of, number }) = heap.pop() {
            heap.extend(rest[number].next().map(|entry| Next {
                entry,
                pack: pack(&indexes[number], &entry),
                number,
            }));
            // Of several entries of a content the first that comes is the one that counts.
            if last.replace(entry.key) == Some(entry.key) {
                continue;
            }
            // `Index::parse` has checked all keys. What the table lacks was deleted long ago.
            let Ok(id) = ContentId::from_key(entry.key) else { continue };
            if table.table.find(&id).is_some() && visit(info(id, of, &entry)).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Reads all index blobs that count: those of a new list if one has vanished.
    fn read_indexes(&self) -> Result<Vec<Index<Vec<u8>>>> {
        let degraded = self.options().degraded;
        for _ in 1..ATTEMPTS {
            let listed = self.indexes()?.snapshot();
            let vanished = match self.try_indexes(&listed, false) {
                Err(error) if is_not_found(&error) => error,
                read => return read,
            };
            match self.refresh() {
                Err(error) if !degraded => return Err(error),
                // The rest can be read all the same.
                Err(error) => tracing::warn!(%error, "indexes cannot be read again"),
                Ok(_) => {}
            }
            let is_same = Arc::ptr_eq(&listed, &self.indexes()?.snapshot());
            if is_same && !degraded {
                return Err(vanished);
            }
            if is_same {
                break;
            }
        }
        self.try_indexes(&self.indexes()?.snapshot(), true)
    }

    /// Reads the index blobs of a list. A degraded repository leaves out what it cannot read; what has vanished
    /// only if it is `lost`, or was on opening or when the list was made: otherwise others may have taken its place.
    fn try_indexes(&self, listed: &Indexes, lost: bool) -> Result<Vec<Index<Vec<u8>>>> {
        let degraded = self.options().degraded;
        let is_lost = |error: &Error| {
            error.blob_id().is_some_and(|blob| self.lacked(blob) || listed.unreadable.lacks(blob))
        };
        let is_left_out = |error: &Error| degraded && (lost || !is_not_found(error) || is_lost(error));
        let blobs = self.active_index_blobs(listed, &is_left_out)?;
        let mut opener = Opener::new(self.sealing());
        let mut read = |id: &BlobId| {
            let plain = opener.open(id, self.store().read(id)?)?;
            Index::parse(plain.to_vec()).map_err(|error| Error::blob(id, error))
        };
        let indexes = blobs.iter().map(|blob| read(&blob.id));
        indexes.filter(|index| !index.as_ref().is_err_and(&is_left_out)).collect()
    }
}

fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::Storage(error) if error.is_not_found())
}

fn pack<'i>(index: &'i Index<Vec<u8>>, entry: &Entry<'_>) -> Option<&'i BlobId> {
    index.packs().get(entry.pack as usize)
}

fn info(id: ContentId, pack: Option<&BlobId>, entry: &Entry<'_>) -> ContentInfo {
    ContentInfo {
        id,
        pack: pack.cloned().expect("`Index::parse` has checked the numbers of packs"),
        offset: entry.offset,
        packed_length: entry.packed_length,
        original_length: entry.original_length,
        compression: entry.compression,
        timestamp: entry.timestamp,
        deleted: entry.deleted,
        format_version: entry.format_version,
    }
}

/// The next entry of an index. The greatest has the smallest key, and of one key it is the entry that counts: the
/// later, then the one that is not deleted, then the one with the greater pack name (`repo/content/index/merged.go`).
struct Next<'i> {
    entry: Entry<'i>,
    pack: Option<&'i BlobId>,
    number: usize,
}

impl Ord for Next<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = other.entry.key.cmp(self.entry.key);
        let by_time = || self.entry.timestamp.cmp(&other.entry.timestamp);
        by_key
            .then_with(by_time)
            .then_with(|| other.entry.deleted.cmp(&self.entry.deleted))
            .then_with(|| self.pack.cmp(&other.pack))
    }
}

impl PartialOrd for Next<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Next<'_> {}
