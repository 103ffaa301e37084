//! Version 2: packs and formats stand in tables, and entries hold their numbers.

use std::ops::RangeInclusive;

use super::{DELETED, Entry, Header, WHAT, fixed, pack_name, records};
use crate::bytes::{Cursor, slice, uint};
use crate::{BlobId, Error, Result};

pub(super) const ENTRY_SIZES: RangeInclusive<u16> = 16..=19;

const PACK_SIZE: usize = 5;
const FORMAT_SIZE: usize = 6;

#[derive(Debug, Clone)]
pub(super) struct Tables {
    base_time: u32,
    formats: Vec<Format>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Format {
    compression: u32,
    version: u8,
}

/// Parses the rest of the header and both tables, and checks that entries stay within them.
pub(super) fn parse(
    cursor: &mut Cursor<'_>,
    bytes: &[u8],
    header: &mut Header,
) -> Result<(Tables, Vec<BlobId>)> {
    let pack_count = cursor.u32()? as usize;
    let format_count = usize::from(cursor.u8()?);
    let base_time = cursor.u32()?;
    header.start = cursor.position();
    let entries = records(bytes, header)?;

    let table = |start: Option<usize>, count: usize, size: usize, what: &str| {
        start.and_then(|start| slice(bytes, start, count.checked_mul(size)?)).ok_or_else(|| {
            Error::corrupt(WHAT, format!("{count} {what} do not fit into {} bytes", bytes.len()))
        })
    };
    let packs_start =
        header.count.checked_mul(header.stride()).and_then(|length| length.checked_add(header.start));
    let packs = table(packs_start, pack_count, PACK_SIZE, "packs")?;
    let formats_start = packs_start.and_then(|start| start.checked_add(packs.len()));
    let formats = table(formats_start, format_count, FORMAT_SIZE, "formats")?;

    // Names that overlap would take far more memory than the blob.
    let (packs, _) = packs.as_chunks::<PACK_SIZE>();
    let names: usize = packs.iter().map(|&[length, ..]| usize::from(length)).sum();
    if names > bytes.len() {
        return Err(Error::corrupt(WHAT, format!("pack names of {names} bytes in {} bytes", bytes.len())));
    }
    let pack = |[length, offset @ ..]: &[u8; PACK_SIZE]| pack_name(bytes, uint(offset) as u32, *length);
    let packs = packs.iter().map(pack).collect::<Result<Vec<_>>>()?;
    let formats = formats.as_chunks().0.iter().map(format).collect::<Result<Vec<_>>>()?;

    for (number, (_, value)) in entries.enumerate() {
        let (pack, format) = (pack_number(value) as usize, format_number(value));
        if pack >= packs.len() || format >= formats.len() {
            let why = format!(
                "entry {number} has pack {pack} of {} and format {format} of {}",
                packs.len(),
                formats.len()
            );
            return Err(Error::corrupt(WHAT, why));
        }
    }
    Ok((Tables { base_time, formats }, packs))
}

fn format(bytes: &[u8; FORMAT_SIZE]) -> Result<Format> {
    match bytes[5] {
        0 => Ok(Format { compression: uint(&bytes[..4]) as u32, version: bytes[4] }),
        // Kopia reserves the number for repositories with several keys and writes none.
        id => Err(Error::unsupported("encryption key id", id)),
    }
}

fn pack_number(value: &[u8]) -> u32 {
    let &[.., high, low] = fixed::<16>(value);
    u32::from_be_bytes([0, value.get(17).copied().unwrap_or(0), high, low])
}

fn format_number(value: &[u8]) -> usize {
    value.get(16).map_or(0, |&byte| byte.into())
}

pub(super) fn entry<'a>(key: &'a [u8], value: &'a [u8], tables: &Tables) -> Entry<'a> {
    let fields: &[u8; 16] = fixed(value);
    let offset = uint(&fields[4..8]) as u32;
    let high = value.get(18).copied().unwrap_or(0);
    let format = tables.formats.get(format_number(value)).copied().unwrap_or_default();
    Entry {
        key,
        timestamp: uint(&fields[..4]).saturating_add(tables.base_time.into()),
        deleted: offset & DELETED != 0,
        pack: pack_number(value),
        offset: offset & !DELETED,
        original_length: u32::from_be_bytes([high >> 4, fields[8], fields[9], fields[10]]),
        packed_length: u32::from_be_bytes([high & 15, fields[11], fields[12], fields[13]]),
        compression: format.compression,
        format_version: format.version,
    }
}
