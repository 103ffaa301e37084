//! One row of the table, and the search among rows.

use kopia_format::ContentId;
use kopia_format::index::Entry;

use crate::index::ContentLocation;

/// The top bit of an offset says that the content is deleted, as in index blobs.
const DELETED: u32 = 1 << 31;

/// A content: its hash, and its location packed tightly. Rows order by hash and then by prefix, so that the
/// hashes of a shard are evenly spread whatever their prefixes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<const H: usize> {
    /// Zero beyond `length`.
    hash: [u8; H],
    prefix: u8,
    length: u8,
    compression: u16,
    pub(super) pack: u32,
    offset: u32,
    packed_length: u32,
    original_length: u32,
    /// Seconds since 1970, which decide between rows of one content. All times after 2106 are the same.
    pub(super) time: u32,
}

/// What rows are ordered by.
type Key<const H: usize> = ([u8; H], u8, u8);

impl<const H: usize> Row<H> {
    /// Takes an entry of an index blob; `None` if its hash is longer than rows hold.
    pub(super) fn new(entry: &Entry<'_>, pack: u32) -> Option<Self> {
        let (&prefix, tail) = entry.key.split_first()?;
        let hash = match tail.try_into() {
            Ok(hash) => hash,
            // Shorter than is usual.
            Err(_) => padded(tail)?,
        };
        let deleted = if entry.deleted { DELETED } else { 0 };
        Some(Self {
            hash,
            prefix,
            length: tail.len() as u8,
            // Kopia's numbers have 16 bits; what is larger stays unknown.
            compression: u16::try_from(entry.compression).unwrap_or(u16::MAX),
            pack,
            offset: entry.offset & !DELETED | deleted,
            packed_length: entry.packed_length,
            original_length: entry.original_length,
            time: u32::try_from(entry.timestamp).unwrap_or(u32::MAX),
        })
    }

    pub(super) fn key(&self) -> Key<H> {
        (self.hash, self.prefix, self.length)
    }

    /// Where the row lies within its shard if hashes are evenly spread, as a fraction of 2⁶⁴.
    pub(super) fn fraction(&self) -> u64 {
        fraction(&self.hash)
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.offset & DELETED != 0
    }

    pub(super) fn is_manifest(&self) -> bool {
        self.prefix == b'm'
    }

    pub(super) fn id(&self) -> ContentId {
        let prefix = (self.prefix != 0).then_some(char::from(self.prefix));
        ContentId::new(prefix, &self.hash[..usize::from(self.length)]).expect("rows are made from valid ids")
    }

    pub(super) fn location(&self) -> ContentLocation {
        ContentLocation {
            pack: self.pack,
            offset: self.offset & !DELETED,
            packed_length: self.packed_length,
            original_length: self.original_length,
            compression: self.compression,
            deleted: self.is_deleted(),
            assumed: false,
        }
    }
}

fn key<const H: usize>(id: &ContentId) -> Option<Key<H>> {
    Some((padded(id.hash())?, id.prefix_byte(), id.hash().len() as u8))
}

/// Fills up with zeros; `None` if the hash is longer.
fn padded<const H: usize>(hash: &[u8]) -> Option<[u8; H]> {
    let mut padded = [0; H];
    padded.get_mut(..hash.len())?.copy_from_slice(hash);
    Some(padded)
}

/// The shard that a hash belongs to.
pub(super) fn shard(hash: &[u8]) -> usize {
    hash.first().copied().unwrap_or_default().into()
}

/// Finds a content in its shard.
pub(super) fn find<const H: usize>(shards: &[Vec<Row<H>>], id: &ContentId) -> Option<ContentLocation> {
    let key = key(id)?;
    let rows = &shards[shard(id.hash())][..];
    let window = window(rows, &key);
    let found = rows[window.clone()].binary_search_by_key(&key, Row::key).ok()?;
    Some(rows[window.start + found].location())
}

/// Narrows the search: starts where an evenly spread hash would lie and doubles the step until the key is
/// enclosed.
fn window<const H: usize>(rows: &[Row<H>], key: &Key<H>) -> std::ops::Range<usize> {
    let guess = guess(rows, fraction(&key.0));
    let mut step = 4;
    if rows.get(guess).is_some_and(|row| row.key() < *key) {
        let mut start = guess;
        loop {
            let end = start.saturating_add(step).min(rows.len());
            if end == rows.len() || rows[end].key() >= *key {
                return start..(end + 1).min(rows.len());
            }
            (start, step) = (end, step * 2);
        }
    }
    let mut end = (guess + 1).min(rows.len());
    loop {
        let start = end.saturating_sub(step);
        if start == 0 || rows[start].key() <= *key {
            return start..end;
        }
        (end, step) = (start, step * 2);
    }
}

/// Guesses where a hash lies. Of n rows the first guess is some √n/2 off; how far, the hash found there tells
/// quite well.
fn guess<const H: usize>(rows: &[Row<H>], fraction: u64) -> usize {
    let part = |fraction: u64| ((u128::from(fraction) * rows.len() as u128) >> 64) as usize;
    let first = part(fraction);
    let Some(found) = rows.get(first).map(Row::fraction) else { return first };
    match fraction.checked_sub(found) {
        Some(ahead) => (first + part(ahead)).min(rows.len() - 1),
        None => first.saturating_sub(part(found - fraction)),
    }
}

/// Where a hash lies within its shard, as a fraction of 2⁶⁴: the eight bytes after the first.
fn fraction<const H: usize>(hash: &[u8; H]) -> u64 {
    hash[1..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
