//! The kinds of damage, each at a place, as something that can be listed before it is done.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::RepositoryCopy;
use crate::random::Random;

/// What a disk loses at once, in bytes.
const SECTOR: usize = 512;

/// How many bytes at the head and at the tail of a blob are its head and its tail.
const EDGE: usize = 64;

/// The blobs of a repository by their ids.
pub type Blobs = BTreeMap<String, Vec<u8>>;

/// What happens to the bytes of one blob.
///
/// ```
/// use kopia_testkit::damage::Damage;
///
/// let blobs = [("p1".to_owned(), b"bytes".to_vec()), ("p2".to_owned(), vec![])].into();
/// let changes = Damage::Truncate(3).changes("p1", &blobs);
/// assert_eq!(changes[0].after.as_deref(), Some(&b"byt"[..]));
/// assert_eq!(Damage::Swap("p2".to_owned()).changes("p1", &blobs).len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Only the first bytes, this many, are left.
    Truncate(usize),
    /// One bit of this byte is turned over.
    FlipBit(usize, u32),
    /// These bytes are zero.
    Zero(Range<usize>),
    /// The blob is gone.
    Delete,
    /// There is more at the end.
    Append(Vec<u8>),
    /// The blob and the one of this id have each other's bytes.
    Swap(String),
}

/// What becomes of one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// Its bytes; nothing if it is gone.
    pub after: Option<Vec<u8>>,
}

impl Damage {
    /// Lists every kind of damage to a blob, at its head, in its middle and at its tail; `other` is a blob to
    /// swap it with. `more` is a number of further places for each kind that has one.
    ///
    /// # Panics
    ///
    /// When the blob is empty.
    pub fn every(length: usize, other: Option<&str>, more: usize, random: &mut Random) -> Vec<Self> {
        let (head, tail) = (0..EDGE.min(length), length.saturating_sub(EDGE)..length);
        let middle = length / 4..length - length / 4;
        let mut all = vec![Self::Delete, Self::Append(random.bytes(1 + length % EDGE))];
        all.extend(other.map(|other| Self::Swap(other.to_owned())));
        all.extend([0, random.within(middle.clone()), length - 1].map(Self::Truncate));
        for place in [head, middle, tail] {
            all.push(Self::FlipBit(random.within(place.clone()), random.within(0..8) as u32));
            all.push(Self::Zero(sector(random.within(place), length)));
        }
        for _ in 0..more {
            all.push(Self::Truncate(random.within(0..length)));
            all.push(Self::FlipBit(random.within(0..length), random.within(0..8) as u32));
            all.push(Self::Zero(sector(random.within(0..length), length)));
        }
        all
    }

    /// Returns what becomes of the blobs that it concerns.
    ///
    /// # Panics
    ///
    /// When there are no such blobs, or no such bytes in them.
    pub fn changes(&self, id: &str, blobs: &Blobs) -> Vec<Change> {
        let bytes_of = |id: &str| blobs.get(id).unwrap_or_else(|| panic!("no blob {id:?}")).clone();
        let mut bytes = bytes_of(id);
        match self {
            Self::Truncate(length) => {
                assert!(*length < bytes.len(), "it has only {} bytes", bytes.len());
                bytes.truncate(*length);
            }
            Self::FlipBit(byte, bit) => bytes[*byte] ^= 1 << bit,
            Self::Zero(range) => bytes[range.clone()].fill(0),
            Self::Append(more) => bytes.extend(more),
            Self::Delete => return vec![Change { id: id.to_owned(), after: None }],
            Self::Swap(other) => {
                let there = Change { id: other.clone(), after: Some(bytes) };
                return vec![Change { id: id.to_owned(), after: Some(bytes_of(other)) }, there];
            }
        }
        vec![Change { id: id.to_owned(), after: Some(bytes) }]
    }
}

/// The sector that a byte lies in.
fn sector(byte: usize, length: usize) -> Range<usize> {
    let start = byte / SECTOR * SECTOR;
    start..(start + SECTOR).min(length)
}

/// In few words: what, and where.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncate(length) => write!(f, "cut to {length} bytes"),
            Self::FlipBit(byte, bit) => write!(f, "bit {bit} of byte {byte} flipped"),
            Self::Zero(range) => write!(f, "bytes {} to {} zero", range.start, range.end),
            Self::Delete => write!(f, "deleted"),
            Self::Append(more) => write!(f, "{} bytes appended", more.len()),
            Self::Swap(other) => write!(f, "swapped with {other}"),
        }
    }
}

impl RepositoryCopy {
    /// Does what `changes` say.
    ///
    /// # Panics
    ///
    /// When it cannot be done.
    pub fn change(&self, changes: &[Change]) {
        for Change { id, after } in changes {
            match after {
                Some(bytes) => self.blob(id).write(bytes),
                None => self.blob(id).delete(),
            }
        }
    }
}
