//! What stands of an entry before its bytes, after them, and in the list at the end.
//!
//! Authority: PKWARE's APPNOTE.TXT 6.3; the fields for Unix are of Info-ZIP's `extrafld.txt`.

use super::time::dos;
use crate::batch::Meta;

/// Numbers that do not fit stand in an extra field, and this in their place.
const LONG: u32 = u32::MAX;

/// From this length on an entry that is followed by its lengths has them in 8 bytes: it may get longer by
/// compression, but not that much.
const FOLLOWED_LONG: u64 = 0xf000_0000;

/// What bits of the mode say what an entry is.
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// Names are UTF-8; lengths follow.
const UTF8: u16 = 1 << 11;
const FOLLOWED: u16 = 1 << 3;

/// How an entry is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Stored,
    Deflate,
}

/// What is known of an entry.
#[derive(Debug, Clone)]
pub(super) struct Record {
    name: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    /// Seconds since 1970.
    seconds: i64,
    pub(super) method: Method,
    /// Whether its lengths follow its bytes.
    pub(super) is_followed: bool,
    pub(super) sum: crc32fast::Hasher,
    /// How many bytes it has in the archive, and how many by itself.
    pub(super) packed: u64,
    pub(super) length: u64,
    /// Where it begins in the archive.
    pub(super) offset: u64,
}

impl Record {
    pub(super) fn directory(meta: &Meta) -> Self {
        let mut record = Self::new(meta, DIRECTORY, 0);
        record.name.push(b'/');
        record
    }

    pub(super) fn symlink(meta: &Meta, length: u64) -> Self {
        Self::new(meta, SYMLINK, length)
    }

    pub(super) fn file(meta: &Meta, length: u64) -> Self {
        Self::new(meta, FILE, length)
    }

    fn new(meta: &Meta, kind: u32, length: u64) -> Self {
        let attributes = meta.attributes;
        Self {
            name: meta.path.as_bytes().to_vec(),
            mode: kind | attributes.mode,
            owner: attributes.owner,
            seconds: attributes.modified.seconds(),
            method: Method::Stored,
            is_followed: false,
            sum: crc32fast::Hasher::new(),
            packed: 0,
            length,
            offset: 0,
        }
    }

    /// Returns how many bytes its name has.
    pub(super) fn name_length(&self) -> usize {
        self.name.len()
    }

    /// Returns what comes before its bytes.
    pub(super) fn header(&self) -> Vec<u8> {
        let (sum, packed, length) =
            if self.is_followed { (0, 0, 0) } else { (self.sum(), self.packed, self.length) };
        let long = self.is_long();
        let short = |number: u64| if long { LONG } else { number as u32 };
        let mut extra = Vec::new();
        if long {
            field(&mut extra, 1, &[length.to_le_bytes(), packed.to_le_bytes()].concat());
        }
        self.unix(&mut extra);
        let mut to = Vec::with_capacity(64 + self.name.len());
        to.extend(0x0403_4b50_u32.to_le_bytes());
        self.common(&mut to, long);
        to.extend(sum.to_le_bytes());
        to.extend(short(packed).to_le_bytes());
        to.extend(short(length).to_le_bytes());
        to.extend((self.name.len() as u16).to_le_bytes());
        to.extend((extra.len() as u16).to_le_bytes());
        to.extend(&self.name);
        to.extend(extra);
        to
    }

    /// Returns what follows its bytes, where its header did not say how many there are.
    pub(super) fn descriptor(&self) -> Vec<u8> {
        let mut to = 0x0807_4b50_u32.to_le_bytes().to_vec();
        to.extend(self.sum().to_le_bytes());
        for number in [self.packed, self.length] {
            if self.is_long() {
                to.extend(number.to_le_bytes());
            } else {
                to.extend((number as u32).to_le_bytes());
            }
        }
        to
    }

    /// Appends it to the list at the end.
    pub(super) fn list(&self, to: &mut Vec<u8>) {
        let (mut extra, mut long) = (Vec::new(), Vec::new());
        let mut short = |number: u64| {
            u32::try_from(number).ok().filter(|&number| number < LONG).unwrap_or_else(|| {
                long.extend(number.to_le_bytes());
                LONG
            })
        };
        let (length, packed, offset) = (short(self.length), short(self.packed), short(self.offset));
        let is_long = self.is_long() || !long.is_empty();
        if !long.is_empty() {
            field(&mut extra, 1, &long);
        }
        self.unix(&mut extra);
        to.extend(0x0201_4b50_u32.to_le_bytes());
        // Made on Unix, by version 6.3.
        to.extend([63, 3]);
        self.common(to, is_long);
        to.extend(self.sum().to_le_bytes());
        to.extend(packed.to_le_bytes());
        to.extend(length.to_le_bytes());
        to.extend((self.name.len() as u16).to_le_bytes());
        to.extend((extra.len() as u16).to_le_bytes());
        // No comment, on disk 0, bytes and no text.
        to.extend([0; 6]);
        let is_directory = self.mode & 0o170_000 == DIRECTORY;
        to.extend((self.mode << 16 | u32::from(is_directory) << 4).to_le_bytes());
        to.extend(offset.to_le_bytes());
        to.extend(&self.name);
        to.extend(extra);
    }

    /// Appends the fields that both have: version, flags, method, time.
    fn common(&self, to: &mut Vec<u8>, long: bool) {
        let version: u16 = if long { 45 } else { 20 };
        let flags = if self.is_followed { UTF8 | FOLLOWED } else { UTF8 };
        let method: u16 = if self.method == Method::Stored { 0 } else { 8 };
        let (time, date) = dos(self.seconds);
        [version, flags, method, time, date].iter().for_each(|number| to.extend(number.to_le_bytes()));
    }

    /// Appends time and owner as Unix has them.
    fn unix(&self, to: &mut Vec<u8>) {
        if let Ok(seconds) = i32::try_from(self.seconds) {
            let mut time = vec![1];
            time.extend(seconds.to_le_bytes());
            field(to, 0x5455, &time);
        }
        let mut owner = vec![1, 4];
        owner.extend(self.owner.0.to_le_bytes());
        owner.push(4);
        owner.extend(self.owner.1.to_le_bytes());
        field(to, 0x7875, &owner);
    }

    /// Returns whether its lengths take 8 bytes each.
    fn is_long(&self) -> bool {
        if self.is_followed {
            self.length >= FOLLOWED_LONG
        } else {
            self.length.max(self.packed) >= u64::from(LONG)
        }
    }

    fn sum(&self) -> u32 {
        self.sum.clone().finalize()
    }
}

/// Appends an extra field.
fn field(to: &mut Vec<u8>, id: u16, bytes: &[u8]) {
    to.extend(id.to_le_bytes());
    to.extend((bytes.len() as u16).to_le_bytes());
    to.extend(bytes);
}

/// Returns what comes after the list: how many entries it has, where it begins, how long it is.
pub(super) fn end(count: u64, start: u64, length: u64) -> Vec<u8> {
    let mut to = Vec::new();
    if count >= u64::from(u16::MAX) || start >= u64::from(LONG) || length >= u64::from(LONG) {
        to.extend(0x0606_4b50_u32.to_le_bytes());
        // How long the rest of this is; version 4.5 on both sides.
        to.extend(44_u64.to_le_bytes());
        to.extend([45, 3, 45, 0]);
        to.extend([0; 8]);
        [count, count, length, start].iter().for_each(|number| to.extend(number.to_le_bytes()));
        to.extend(0x0706_4b50_u32.to_le_bytes());
        to.extend([0; 4]);
        to.extend((start + length).to_le_bytes());
        to.extend(1_u32.to_le_bytes());
    }
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let short = |number: u64| u32::try_from(number).unwrap_or(LONG);
    to.extend(0x0605_4b50_u32.to_le_bytes());
    to.extend([0; 4]);
    to.extend(count.to_le_bytes());
    to.extend(count.to_le_bytes());
    to.extend(short(length).to_le_bytes());
    to.extend(short(start).to_le_bytes());
    to.extend([0; 2]);
    to
}
