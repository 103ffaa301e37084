//! Error correction: damaged bytes, repaired.
//!
//! A repository may be made with an overhead in percent for error correction. Then each content in a pack,
//! each index blob and each local index is stored as shards with a CRC each, and Reed-Solomon parity shards
//! beside them. It wraps the encrypted bytes: read, [`Ecc::decode`], then decrypt. The authority is Kopia's
//! `repo/ecc`.
//!
//! ```
//! use kopia_codec::ecc::Ecc;
//!
//! let ecc = Ecc::new("REED-SOLOMON-CRC32", 5)?;
//! // "hello kopia" at 5 percent: 6 data and 2 parity shards of 3 bytes.
//! let mut stored = *b"\xdf\xac\x63\x8d\xeb\xa6\x8f\xaf\xbf\xf3\x07\xdc\xa0\x8b\xff\x41\xd9\x12\x00\x00\x00\
//!     \x63\xe8\x42\x8b\x0b\x68\x65\xaa\xc9\xb3\x34\x6c\x6c\x6f\x9c\x08\x51\x57\x20\x6b\x6f\
//!     \x25\x3a\x30\x62\x70\x69\x61\xff\x41\xd9\x12\x00\x00\x00";
//! stored[30] ^= 1;
//! let mut payload = Vec::new();
//! let repair = ecc.decode(&stored, &mut payload)?;
//! assert_eq!(payload, b"hello kopia");
//! assert_eq!(repair.damaged_shards, 1);
//! # Ok::<(), kopia_codec::Error>(())
//! ```

#[cfg(any(test, feature = "seal"))]
#[expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "only tests write repositories")]
mod encode;
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "single bytes index tables of 256, and logarithms below 255 are added in wider integers"
)]
mod galois;
#[expect(clippy::arithmetic_side_effects, reason = "the module's first comment says why nothing overflows")]
mod geometry;
#[cfg(test)]
mod tests;
#[expect(clippy::arithmetic_side_effects, reason = "offsets of shards that the geometry counts")]
mod unit;

use self::geometry::{LENGTH, Parameters};
use self::unit::{Unit, padding};
use crate::{Error, Result};

const WHAT: &str = "error correction";

/// The error correction of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecc {
    parameters: Parameters,
}

/// What [`Ecc::decode`] repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Repair {
    /// Shards with a wrong CRC, data and parity, in all blocks. The payload is whole nevertheless.
    pub damaged_shards: usize,
}

impl Ecc {
    /// Makes the error correction of the format's `ecc` and `eccOverheadPercent`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for any algorithm but `REED-SOLOMON-CRC32`; [`Error::Corrupt`] for 0 percent,
    /// which means no error correction at all: such a repository's bytes must not be decoded.
    pub fn new(algorithm_name: &str, overhead_percent: u32) -> Result<Self> {
        if algorithm_name != "REED-SOLOMON-CRC32" {
            return Err(Error::Unsupported { what: WHAT, found: algorithm_name.into() });
        }
        if overhead_percent == 0 {
            return Err(Error::corrupt(WHAT, "an overhead of 0 percent"));
        }
        Ok(Self { parameters: Parameters::from_percent(overhead_percent) })
    }

    /// Replaces the contents of `out` by the payload of `stored`, repairing it where needed.
    ///
    /// Where nothing is damaged this costs one CRC of each shard and one copy. A block survives the loss of
    /// as many shards as it has parity shards.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if a block has lost more shards than that, or if the length that is stored does not
    /// fit. `out` is empty then.
    pub fn decode(&self, stored: &[u8], out: &mut Vec<u8>) -> Result<Repair> {
        out.clear();
        let result = self.decode_blocks(stored, out);
        if result.is_err() {
            out.clear();
        }
        result
    }

    fn decode_blocks(&self, stored: &[u8], out: &mut Vec<u8>) -> Result<Repair> {
        let geometry = self.parameters.geometry_of_stored(stored.len());
        let mut unit = Unit::new(stored, geometry);
        let room = geometry.capacity().saturating_sub(LENGTH);
        let mut payload = Payload { out, length: [0; LENGTH], seen: 0, missing: 0, room };
        let mut repair = Repair::default();
        let mut damaged = Vec::new();
        for block in 0..geometry.blocks {
            damaged.clear();
            damaged.extend((0..geometry.shards()).filter(|&number| !unit.is_good(block, number)));
            if damaged.len() > geometry.parity {
                let why = format!(
                    "block {} of {}: {} of {} shards are damaged, no more than {} can be rebuilt",
                    block.saturating_add(1),
                    geometry.blocks,
                    damaged.len(),
                    geometry.shards(),
                    geometry.parity,
                );
                return Err(Error::corrupt(WHAT, why));
            }
            repair.damaged_shards = repair.damaged_shards.saturating_add(damaged.len());
            let damages_data = damaged.first().is_some_and(|&number| number < geometry.data);
            let rebuilt = if damages_data { unit.rebuild(block, &damaged) } else { Vec::new() };
            let mut rebuilt = damaged.iter().zip(&rebuilt).peekable();
            for number in 0..geometry.data {
                let bytes = match rebuilt.next_if(|(at, _)| **at == number) {
                    Some((_, bytes)) => bytes,
                    None => unit.bytes(block, number),
                };
                payload.push(bytes)?;
                payload.push(padding(bytes, geometry.shard))?;
            }
            if block == 0 {
                unit.learn_length(u32::from_be_bytes(payload.length));
            }
        }
        Ok(repair)
    }
}

/// Collects the payload from data shards in order, after the length in front of it.
///
/// The length can span shards, which may be one byte long.
struct Payload<'a> {
    out: &'a mut Vec<u8>,
    length: [u8; LENGTH],
    /// How many bytes of `length` were read.
    seen: usize,
    /// How many bytes of the payload are still missing.
    missing: usize,
    /// The longest payload that the shards could hold.
    room: usize,
}

impl Payload<'_> {
    fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        if self.seen < LENGTH {
            let unread = self.length.iter_mut().skip(self.seen);
            let (head, rest) = bytes.split_at(bytes.len().min(unread.len()));
            unread.zip(head).for_each(|(to, from)| *to = *from);
            self.seen = self.seen.saturating_add(head.len());
            bytes = rest;
            if self.seen == LENGTH {
                let length = u32::from_be_bytes(self.length);
                self.missing =
                    usize::try_from(length).ok().filter(|&length| length <= self.room).ok_or_else(|| {
                        Error::corrupt(WHAT, format!("a length of {length} bytes, room for {}", self.room))
                    })?;
                self.out.reserve(self.missing);
            }
        }
        let taken = bytes.get(..self.missing).unwrap_or(bytes);
        self.out.extend_from_slice(taken);
        self.missing = self.missing.saturating_sub(taken.len());
        Ok(())
    }
}
