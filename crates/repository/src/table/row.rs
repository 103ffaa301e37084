//! One row of the table, and the search among rows.

use kopia_format::ContentId;

use super::Place;

/// The top bit of an offset says that the content is deleted, as in index blobs.
const DELETED: u32 = 1 << 31;

/// A content: its hash, and its place packed tightly. Rows order by hash and then by prefix, so that the hashes of a
/// shard are evenly spread whatever their prefixes are.
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
}

/// What rows are ordered by.
type Key<const H: usize> = ([u8; H], u8, u8);

impl<const H: usize> Row<H> {
    /// Joins key and place; `None` if the hash is longer than rows hold.
    pub(super) fn new(id: &ContentId, place: &Place) -> Option<Self> {
        let (hash, prefix, length) = key(id)?;
        let deleted = if place.deleted { DELETED } else { 0 };
        Some(Self {
            hash,
            prefix,
            length,
            compression: place.compression,
            pack: place.pack,
            offset: place.offset & !DELETED | deleted,
            packed_length: place.packed_length,
            original_length: place.original_length,
        })
    }

    pub(super) fn key(&self) -> Key<H> {
        (self.hash, self.prefix, self.length)
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

    pub(super) fn place(&self) -> Place {
        Place {
            pack: self.pack,
            offset: self.offset & !DELETED,
            packed_length: self.packed_length,
            original_length: self.original_length,
            compression: self.compression,
            deleted: self.is_deleted(),
        }
    }
}

fn key<const H: usize>(id: &ContentId) -> Option<Key<H>> {
    let mut hash = [0; H];
    hash.get_mut(..id.hash().len())?.copy_from_slice(id.hash());
    Some((hash, id.prefix_byte(), id.hash().len() as u8))
}

/// The shard that a hash belongs to.
pub(super) fn shard(hash: &[u8]) -> usize {
    hash.first().copied().unwrap_or_default().into()
}

/// Finds a content in its shard.
pub(super) fn find<const H: usize>(shards: &[Vec<Row<H>>], id: &ContentId) -> Option<Place> {
    let key = key(id)?;
    let rows = &shards[shard(id.hash())][..];
    let window = window(rows, &key);
    let found = rows[window.clone()].binary_search_by_key(&key, Row::key).ok()?;
    Some(rows[window.start + found].place())
}

/// Narrows the search: starts where an evenly spread hash would lie and doubles the step until the key is enclosed.
fn window<const H: usize>(rows: &[Row<H>], key: &Key<H>) -> std::ops::Range<usize> {
    let guess = ((u128::from(fraction(&key.0)) * rows.len() as u128) >> 64) as usize;
    let mut step = 8;
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

/// Where a hash lies within its shard, as a fraction of 2⁶⁴: the eight bytes after the first.
fn fraction(hash: &[u8]) -> u64 {
    hash.iter().skip(1).take(8).fold(0, |value, &byte| value << 8 | u64::from(byte))
}
