//! Index blobs: which content lies where, in which pack.
//!
//! [`Index::parse`] checks the whole blob once; after that every accessor is plain arithmetic. Numbers are
//! big-endian. Authority: `repo/content/index/index_v1.go`, `index_v2.go`.
//!
//! ```text
//! version 1   header  ver=1 u8 · key size u8 · entry size u16 (20) · count u32
//!             entry   key · time u48 · format version u8 · pack name length u8 · pack name offset u32
//!                     · offset u32 (top bit: deleted) · packed length u32
//! version 2   header  ver=2 u8 · key size u8 · entry size u16 (16–19) · count u32 · packs u32 · formats u8
//!                     · base time u32
//!             entry   key · time since base u32 · offset u32 (top bit: deleted) · original length u24
//!                     · packed length u24 · pack number u16 · [format number u8]
//!                     · [pack number bits 16–23 u8]
//!                     · [bits 24–27 of the original, then of the packed length: u8]
//!             pack    name length u8 · name offset u32
//!             format  compression u32 · format version u8 · encryption key id u8
//! ```
//! Keys are the prefix byte of the content id (0 for none) and its hash. What follows the data is padding.

mod v1;
mod v2;

use crate::bytes::{Cursor, slice};
use crate::{BlobId, ContentId, Error, Result};

/// What errors call these bytes.
const WHAT: &str = "index";

/// The bytes that encryption adds to a content: nonce and tag.
const ENCRYPTION_OVERHEAD: u32 = 28;

/// The top bit of an offset: the content is deleted.
const DELETED: u32 = 1 << 31;

/// The key size that an index without entries may state.
const EMPTY_KEY_SIZE: u8 = 255;

/// A checked index blob.
#[derive(Debug, Clone)]
pub struct Index<T> {
    bytes: T,
    header: Header,
    version: Version,
    /// The names of packs, by the number that [`Entry::pack`] holds.
    packs: Vec<BlobId>,
}

/// What both versions state first, checked against the bytes at hand.
#[derive(Debug, Clone, Copy)]
struct Header {
    key_size: usize,
    entry_size: usize,
    count: usize,
    /// Where the first entry begins.
    start: usize,
}

impl Header {
    fn stride(&self) -> usize {
        self.key_size.saturating_add(self.entry_size)
    }
}

#[derive(Debug, Clone)]
enum Version {
    V1(v1::Packs),
    V2(v2::Tables),
}

/// One content in one index blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The content's key: prefix byte (0 for none) and hash.
    pub key: &'a [u8],
    /// When the content was written or deleted, in seconds since 1970.
    pub timestamp: u64,
    /// Whether the content was deleted. It can still be read while its pack lasts.
    pub deleted: bool,
    /// The number of its pack in [`Index::packs`].
    pub pack: u32,
    /// Where it begins in the pack, in bytes.
    pub offset: u32,
    /// How many bytes it has in the pack, nonce and tag included.
    pub packed_length: u32,
    /// How many bytes it has when decrypted and decompressed.
    pub original_length: u32,
    /// Kopia's number of its compression, 0 for none.
    pub compression: u32,
    /// The format version that wrote it.
    pub format_version: u8,
}

impl<T: AsRef<[u8]>> Index<T> {
    /// Parses an index blob and checks all of it: sizes, counts, every key, pack name and format.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the offset or entry; [`Error::Unsupported`] for an unknown version or
    /// encryption key.
    pub fn parse(bytes: T) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, bytes.as_ref());
        let number = cursor.u8()?;
        let key_size = cursor.u8()?;
        let entry_size = cursor.u16()?;
        let count = cursor.u32()? as usize;
        let sizes = match number {
            1 => v1::ENTRY_SIZES,
            2 => v2::ENTRY_SIZES,
            _ => return Err(Error::unsupported("index version", number)),
        };
        let empty = count == 0 && key_size == EMPTY_KEY_SIZE;
        if !empty && !(2..=ContentId::MAX_KEY_LENGTH).contains(&usize::from(key_size)) {
            return Err(Error::corrupt(WHAT, format!("keys of {key_size} bytes")));
        }
        if count > 0 && !sizes.contains(&entry_size) {
            return Err(Error::corrupt(WHAT, format!("entries of {entry_size} bytes in version {number}")));
        }
        let mut header = Header {
            key_size: key_size.into(),
            entry_size: entry_size.into(),
            count,
            start: cursor.position(),
        };
        let (version, packs) = match number {
            1 => v1::parse(bytes.as_ref(), &header).map(|(version, packs)| (Version::V1(version), packs))?,
            _ => v2::parse(&mut cursor, bytes.as_ref(), &mut header)
                .map(|(version, packs)| (Version::V2(version), packs))?,
        };
        for (number, (key, _)) in records(bytes.as_ref(), &header)?.enumerate() {
            ContentId::from_key(key)
                .map_err(|error| Error::corrupt(WHAT, format!("entry {number}: {error}")))?;
        }
        Ok(Self { bytes, header, version, packs })
    }

    /// Returns the number of entries, deleted ones included.
    pub fn len(&self) -> usize {
        self.header.count
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.header.count == 0
    }

    /// Returns the names of the packs, by their numbers.
    pub fn packs(&self) -> &[BlobId] {
        &self.packs
    }

    /// Returns the entries in the order in which they were written, that of their keys.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.entries_from(0)
    }

    /// As [`Self::entries`], without those before the one with this number.
    pub fn entries_from(&self, first: usize) -> impl Iterator<Item = Entry<'_>> {
        // `parse` cut the same records before, so this cannot fail.
        let records = records(self.bytes.as_ref(), &self.header).ok();
        records.into_iter().flat_map(move |records| records.skip(first)).map(|(key, value)| {
            match &self.version {
                Version::V1(packs) => v1::entry(key, value, packs),
                Version::V2(tables) => v2::entry(key, value, tables),
            }
        })
    }
}

impl Index<Vec<u8>> {
    /// Keeps the first `count` entries, and gives back the memory of the others.
    pub fn truncate(&mut self, count: usize) {
        if count >= self.header.count {
            return;
        }
        self.header.count = count;
        self.bytes.truncate(count.saturating_mul(self.header.stride()).saturating_add(self.header.start));
        self.bytes.shrink_to_fit();
    }
}

/// The keys and values of entries; skipping some of them takes no time.
struct Records<'a> {
    records: std::slice::ChunksExact<'a, u8>,
    key_size: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.nth(0)
    }

    fn nth(&mut self, skipped: usize) -> Option<Self::Item> {
        self.records.nth(skipped).and_then(|record| record.split_at_checked(self.key_size))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.records.size_hint()
    }
}

/// Cuts the entries into keys and values, after their sum was checked.
fn records<'a>(bytes: &'a [u8], header: &Header) -> Result<Records<'a>> {
    let stride = header.stride().max(1);
    let all = header.count.checked_mul(stride).and_then(|length| slice(bytes, header.start, length));
    let all = all.ok_or_else(|| {
        let (count, length) = (header.count, bytes.len());
        Error::corrupt(WHAT, format!("{count} entries of {stride} bytes do not fit into {length} bytes"))
    })?;
    Ok(Records { records: all.chunks_exact(stride), key_size: header.key_size })
}

/// Returns the fields that all values of a version have, as an array.
fn fixed<const N: usize>(value: &[u8]) -> &[u8; N] {
    value.first_chunk().expect("`Index::parse` compares the size of entries with what the version demands")
}

/// Reads the name of a pack that an index blob holds.
fn pack_name(bytes: &[u8], offset: u32, length: u8) -> Result<BlobId> {
    let bad =
        |why: &str| Error::corrupt(WHAT, format!("pack name of {length} bytes at offset {offset} {why}"));
    let name = slice(bytes, offset as usize, length.into()).ok_or_else(|| bad("is cut off"))?;
    let name = std::str::from_utf8(name).map_err(|_| bad("is no UTF-8"))?;
    BlobId::new(name).map_err(|error| bad(&error.to_string()))
}

#[cfg(test)]
mod tests;
