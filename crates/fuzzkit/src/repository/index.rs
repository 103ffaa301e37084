//! The index that says where contents lie, as kopia would write it; the layout stands in
//! `kopia_format::index`.

use kopia_format::ContentId;

use super::build::PACK;

/// The time of all entries, in seconds since 1970.
const TIME: u32 = 1_767_225_600;

/// A content and its place.
pub(super) struct Row {
    pub(super) id: ContentId,
    pub(super) offset: usize,
    pub(super) packed: usize,
    pub(super) original: u32,
    pub(super) compression: u32,
}

/// Writes an index of version 2 with hashes of one byte. A compression takes a format of its own.
pub(super) fn write(rows: &[Row]) -> Vec<u8> {
    let mut formats: Vec<u32> = rows.iter().map(|row| row.compression).chain([0]).collect();
    formats.sort_unstable();
    formats.dedup();
    formats.truncate(255);
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| row.id);
    let mut index = vec![2, 2, 0, 19];
    index.extend((rows.len() as u32).to_be_bytes());
    index.extend(1u32.to_be_bytes());
    index.push(formats.len() as u8);
    index.extend(TIME.to_be_bytes());
    for row in sorted {
        let (original, packed) = (row.original, row.packed as u32);
        let format = formats.binary_search(&row.compression).unwrap_or_default();
        index.extend([row.id.prefix_byte(), row.id.hash()[0], 0, 0, 0, 0]);
        index.extend((row.offset as u32).to_be_bytes());
        index.extend(&original.to_be_bytes()[1..]);
        index.extend(&packed.to_be_bytes()[1..]);
        index.extend([0, 0, format as u8, 0, ((original >> 24) << 4 | packed >> 24) as u8]);
    }
    let name_at = index.len() + 5 + 6 * formats.len();
    index.push(PACK.len() as u8);
    index.extend((name_at as u32).to_be_bytes());
    for format in formats {
        index.extend(format.to_be_bytes());
        index.extend([2, 0]);
    }
    index.extend(PACK.as_bytes());
    index
}

/// Writes the end of a pack: where its own index lies. The name of an index blob has the hash that is the key
/// to it.
pub(super) fn postamble(name: &str, offset: usize, length: usize) -> Vec<u8> {
    let hash = name.trim_start_matches("xn0_").get(..32).expect("it begins with a hash");
    let digit = |at: usize| u8::from_str_radix(&hash[at..at + 2], 16).expect("hexadecimal digits");
    let mut end = vec![1, 16];
    end.extend((0..32).step_by(2).map(digit));
    for number in [offset, length] {
        uvarint(number, &mut end);
    }
    let checksum = crc32fast::hash(&end);
    end.extend(checksum.to_be_bytes());
    end.push(end.len() as u8);
    end
}

fn uvarint(mut number: usize, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}
