//! One stored unit, seen as shards.

use super::galois::{Basis, add_product};
use super::geometry::{CRC, Geometry, LARGEST_SHARD, LENGTH};

static ZEROS: [u8; LARGEST_SHARD] = [0; LARGEST_SHARD];

/// Returns the zeros that fill `bytes` up to the size of a shard.
pub(super) fn padding(bytes: &[u8], shard: usize) -> &'static [u8] {
    ZEROS.get(bytes.len()..shard).unwrap_or_default()
}

/// The stored bytes and their geometry.
///
/// ```text
/// parity shards of block 0, of block 1, … | data shards of block 0, of block 1, … each: crc32 u32 BE ‖ shard
/// ```
///
/// Shards are numbered as the Reed-Solomon code numbers them: data 0..d, then parity d..d+p.
pub(super) struct Unit<'a> {
    stored: &'a [u8],
    geometry: Geometry,
    /// How many bytes at the front of the data shards a writer always stores.
    written: usize,
}

enum Shard<'a> {
    /// The CRC is over the bytes, filled up with zeros to the shard's size.
    Stored { crc: u32, bytes: &'a [u8] },
    /// Among the zeros after the payload, which are not stored.
    Zero,
    /// The unit ends before it.
    Missing,
}

impl<'a> Unit<'a> {
    pub(super) fn new(stored: &'a [u8], geometry: Geometry) -> Self {
        // Where there are several blocks, only the last one has zeros that are not stored.
        Self {
            stored,
            geometry,
            written: if geometry.padded { geometry.capacity() } else { geometry.block() },
        }
    }

    /// Sets the payload's length, which the first block contains.
    ///
    /// Only the length distinguishes zeros after the payload, which are not stored, from shards that a
    /// truncated unit has lost. Kopia takes both for zeros and relies on the cipher; here a small cut can
    /// still be repaired.
    pub(super) fn learn_length(&mut self, length: u32) {
        if !self.geometry.padded {
            self.written = (length as usize).saturating_add(LENGTH);
        }
    }

    fn shard(&self, block: usize, number: usize) -> Shard<'a> {
        let Geometry { blocks, data, parity, shard, .. } = self.geometry;
        let is_data = number < data;
        let slot =
            if is_data { blocks * parity + block * data + number } else { block * parity + number - data };
        let rest = self.stored.get(slot * (CRC + shard)..).unwrap_or_default();
        match rest.split_first_chunk::<CRC>() {
            Some((crc, bytes)) => {
                Shard::Stored { crc: u32::from_be_bytes(*crc), bytes: bytes.get(..shard).unwrap_or(bytes) }
            }
            None if is_data && (block * data + number) * shard >= self.written => Shard::Zero,
            None => Shard::Missing,
        }
    }

    /// Returns whether a shard has the CRC that was written with it.
    pub(super) fn is_good(&self, block: usize, number: usize) -> bool {
        match self.shard(block, number) {
            Shard::Stored { crc, bytes } => {
                let mut hasher = crc32fast::Hasher::new();
                hasher.update(bytes);
                hasher.update(padding(bytes, self.geometry.shard));
                hasher.finalize() == crc
            }
            Shard::Zero => true,
            Shard::Missing => false,
        }
    }

    /// Returns the stored bytes of a shard, without the zeros that are not stored.
    pub(super) fn bytes(&self, block: usize, number: usize) -> &'a [u8] {
        match self.shard(block, number) {
            Shard::Stored { bytes, .. } => bytes,
            Shard::Zero | Shard::Missing => &[],
        }
    }

    /// Rebuilds the damaged data shards of a block, in the order of `damaged`, which is sorted and leaves at
    /// least as many good shards as there are data shards.
    pub(super) fn rebuild(&self, block: usize, damaged: &[usize]) -> Vec<Vec<u8>> {
        let Geometry { data, shard, .. } = self.geometry;
        // Shard numbers are below 256: Geometry allows no more shards in a block.
        let points: Vec<u8> = (0..self.geometry.shards())
            .filter(|number| damaged.binary_search(number).is_err())
            .take(data)
            .map(|number| number as u8)
            .collect();
        let basis = Basis::new(&points);
        let rebuild_one = |&number: &usize| {
            let mut rebuilt = vec![0; shard];
            for (coefficient, &point) in basis.coefficients(number as u8).zip(&points) {
                add_product(&mut rebuilt, self.bytes(block, point.into()), coefficient);
            }
            rebuilt
        };
        damaged.iter().take_while(|&&number| number < data).map(rebuild_one).collect()
    }
}
