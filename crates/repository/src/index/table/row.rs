//! One row of the table, and the search among rows.
//!
//! A row is nothing but bytes, so that rows can lie in memory or in a file:
//!
//! ```text
//! hash without its first byte, padded with zeros · form u16 · offset u32 (top bit: deleted)
//! · packed length u24 · original length u24 · pack number u24
//! ```
//! The first byte of the hash is the number of the shard. The form says what hardly differs between rows.

use std::cmp::Ordering;

use kopia_format::ContentId;
use kopia_format::index::Entry;

use super::forms::Form;
use crate::index::ContentLocation;

/// The bytes of a row behind its hash.
const PLACE: usize = 15;

/// The bytes of a row where hashes have at most 16, and at most 32.
pub(super) const SHORT: usize = 15 + PLACE;
pub(super) const LONG: usize = 31 + PLACE;

/// The top bit of an offset says that the content is deleted, as in index blobs.
const DELETED: u32 = 1 << 31;

/// Writes the row of an entry, whose pack has this number in the table; `None` if its hash is longer than
/// rows hold. `form` gives the number of a form.
pub(super) fn write<const N: usize, E>(
    entry: &Entry<'_>,
    pack: u32,
    form: impl FnOnce(Form) -> Result<u16, E>,
) -> Result<Option<[u8; N]>, E> {
    let Some((&prefix, hash)) = entry.key.split_first() else { return Ok(None) };
    let Some(mut row) = padded(hash) else { return Ok(None) };
    let (packed, original, pack) =
        (entry.packed_length.to_be_bytes(), entry.original_length.to_be_bytes(), pack.to_be_bytes());
    let form = form(Form {
        prefix,
        length: hash.len() as u8,
        // Kopia's numbers have 16 bits; what is larger stays unknown.
        compression: u16::try_from(entry.compression).unwrap_or(u16::MAX),
        high: [packed[0], original[0], pack[0]],
    })?;
    let deleted = if entry.deleted { DELETED } else { 0 };
    let place = &mut row[N - PLACE..];
    place[..2].copy_from_slice(&form.to_be_bytes());
    place[2..6].copy_from_slice(&(entry.offset & !DELETED | deleted).to_be_bytes());
    place[6..9].copy_from_slice(&packed[1..]);
    place[9..12].copy_from_slice(&original[1..]);
    place[12..].copy_from_slice(&pack[1..]);
    Ok(Some(row))
}

/// A row, and the forms that its number counts in. Rows order by hash and then by prefix, so that the hashes
/// of a shard are evenly spread whatever their prefixes are.
#[derive(Clone, Copy)]
pub(super) struct Row<'t, const N: usize> {
    pub(super) bytes: &'t [u8; N],
    pub(super) forms: &'t [Form],
}

impl<const N: usize> Row<'_, N> {
    fn place(&self) -> &[u8; PLACE] {
        self.bytes.last_chunk().expect("a row is longer than what stands behind its hash")
    }

    fn form(&self) -> &Form {
        let [high, low, ..] = *self.place();
        &self.forms[usize::from(u16::from_be_bytes([high, low]))]
    }

    /// Compares its key with that of another.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        tail(self.bytes).cmp(tail(other.bytes)).then_with(|| self.form().key().cmp(&other.form().key()))
    }

    fn compare_to(&self, key: &Key<N>) -> Ordering {
        tail(self.bytes).cmp(tail(&key.tail)).then_with(|| self.form().key().cmp(&(key.prefix, key.length)))
    }

    fn raw_offset(&self) -> u32 {
        let [_, _, a, b, c, d, ..] = *self.place();
        u32::from_be_bytes([a, b, c, d])
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.raw_offset() & DELETED != 0
    }

    pub(super) fn is_manifest(&self) -> bool {
        self.form().prefix == b'm'
    }

    /// Returns the id of its content, in the shard of this number.
    pub(super) fn id(&self, shard: u8) -> ContentId {
        let Form { prefix, length, .. } = *self.form();
        let prefix = (prefix != 0).then_some(char::from(prefix));
        let mut hash = [0; LONG];
        hash[0] = shard;
        let tail = tail(self.bytes);
        hash[1..=tail.len()].copy_from_slice(tail);
        ContentId::new(prefix, &hash[..usize::from(length)]).expect("rows are made from valid ids")
    }

    /// Returns the number of its pack.
    pub(super) fn pack(&self) -> u32 {
        let [.., a, b, c] = *self.place();
        u32::from_be_bytes([self.form().high[2], a, b, c])
    }

    pub(super) fn location(&self) -> ContentLocation {
        let [_, _, _, _, _, _, p, q, r, x, y, z, ..] = *self.place();
        let Form { compression, high, .. } = *self.form();
        ContentLocation {
            pack: self.pack(),
            offset: self.raw_offset() & !DELETED,
            packed_length: u32::from_be_bytes([high[0], p, q, r]),
            original_length: u32::from_be_bytes([high[1], x, y, z]),
            compression,
            deleted: self.is_deleted(),
            assumed: false,
        }
    }
}

/// What rows are looked up by.
struct Key<const N: usize> {
    /// As in rows; what is behind the hash means nothing.
    tail: [u8; N],
    prefix: u8,
    length: u8,
}

/// The part of a row that holds the hash.
fn tail<const N: usize>(row: &[u8; N]) -> &[u8] {
    &row[..N - PLACE]
}

/// Fills up a hash without its first byte with zeros; `None` if it is longer than rows hold.
fn padded<const N: usize>(hash: &[u8]) -> Option<[u8; N]> {
    let tail = hash.get(1..).unwrap_or_default();
    let mut row = [0; N];
    row[..N - PLACE].get_mut(..tail.len())?.copy_from_slice(tail);
    Some(row)
}

/// Returns the number of the shard that a hash belongs to.
pub(super) fn shard(hash: &[u8]) -> usize {
    hash.first().copied().unwrap_or_default().into()
}

/// Finds a content in its shard.
pub(super) fn find<const N: usize>(
    rows: &[[u8; N]],
    forms: &[Form],
    id: &ContentId,
) -> Option<ContentLocation> {
    let hash = id.hash();
    let key = Key { tail: padded(hash)?, prefix: id.prefix_byte(), length: hash.len() as u8 };
    let row = |bytes| Row { bytes, forms };
    let window = window(rows, forms, &key);
    let found = rows[window.clone()].binary_search_by(|bytes| row(bytes).compare_to(&key)).ok()?;
    Some(row(&rows[window.start + found]).location())
}

/// Narrows the search: starts where an evenly spread hash would lie and doubles the step until the key is
/// enclosed.
fn window<const N: usize>(rows: &[[u8; N]], forms: &[Form], key: &Key<N>) -> std::ops::Range<usize> {
    let guess = guess(rows, fraction(&key.tail));
    let compare = |bytes| Row { bytes, forms }.compare_to(key);
    let mut step = 4;
    if rows.get(guess).is_some_and(|row| compare(row).is_lt()) {
        let mut start = guess;
        loop {
            let end = start.saturating_add(step).min(rows.len());
            if end == rows.len() || compare(&rows[end]).is_ge() {
                return start..(end + 1).min(rows.len());
            }
            (start, step) = (end, step * 2);
        }
    }
    let mut end = (guess + 1).min(rows.len());
    loop {
        let start = end.saturating_sub(step);
        if start == 0 || compare(&rows[start]).is_le() {
            return start..end;
        }
        (end, step) = (start, step * 2);
    }
}

/// Guesses where a hash lies. Of n rows the first guess is some √n/2 off; how far, the hash found there tells
/// quite well.
fn guess<const N: usize>(rows: &[[u8; N]], wanted: u64) -> usize {
    let part = |fraction: u64| ((u128::from(fraction) * rows.len() as u128) >> 64) as usize;
    let first = part(wanted);
    let Some(found) = rows.get(first).map(fraction) else { return first };
    match wanted.checked_sub(found) {
        Some(ahead) => (first + part(ahead)).min(rows.len() - 1),
        None => first.saturating_sub(part(found - wanted)),
    }
}

/// Returns where a row lies within its shard if hashes are evenly spread, as a fraction of 2⁶⁴: the eight
/// bytes after the first of the hash.
pub(super) fn fraction<const N: usize>(row: &[u8; N]) -> u64 {
    row.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
