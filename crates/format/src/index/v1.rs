//! Version 1: every entry refers to its pack by the offset and length of the name in the blob.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::{DELETED, ENCRYPTION_OVERHEAD, Entry, Header, WHAT, fixed, pack_name, records};
use crate::bytes::uint;
use crate::{BlobId, Error, Result};

pub(super) const ENTRY_SIZES: RangeInclusive<u16> = 20..=20;

/// An entry without its key.
type Value = [u8; 20];

/// The numbers given to packs, by offset and length of the name.
pub(super) type Packs = HashMap<(u32, u8), u32>;

/// Numbers the pack names in the order in which entries mention them.
pub(super) fn parse(bytes: &[u8], header: &Header) -> Result<(Packs, Vec<BlobId>)> {
    let mut numbers = Packs::new();
    let mut packs = Vec::new();
    let (mut last, mut names) = (None, 0);
    for (_, value) in records(bytes, header)? {
        let place = name_place(fixed(value));
        // Neighbours often lie in the same pack.
        if last != Some(place) && !numbers.contains_key(&place) {
            // Each name is written once; names that overlap would take far more memory than the blob.
            names = usize::from(place.1).saturating_add(names);
            if names > bytes.len() {
                let why = format!("pack names of more than {names} bytes in {} bytes", bytes.len());
                return Err(Error::corrupt(WHAT, why));
            }
            numbers.insert(place, packs.len() as u32);
            packs.push(pack_name(bytes, place.0, place.1)?);
        }
        last = Some(place);
    }
    Ok((numbers, packs))
}

/// Returns offset and length of the pack's name.
fn name_place(value: &Value) -> (u32, u8) {
    (uint(&value[8..12]) as u32, value[7])
}

pub(super) fn entry<'a>(key: &'a [u8], value: &'a [u8], packs: &Packs) -> Entry<'a> {
    let value: &Value = fixed(value);
    let offset = uint(&value[12..16]) as u32;
    let packed_length = uint(&value[16..20]) as u32;
    Entry {
        key,
        timestamp: uint(&value[..6]),
        deleted: offset & DELETED != 0,
        pack: packs.get(&name_place(value)).copied().unwrap_or_default(),
        offset: offset & !DELETED,
        packed_length,
        original_length: packed_length.saturating_sub(ENCRYPTION_OVERHEAD),
        compression: 0,
        format_version: value[6],
    }
}
