//! How many shards of which size a unit has.
//!
//! All counts and sizes here are at most 256 shards of 1024 bytes a block, and lengths are those of slices,
//! so that no product can overflow: blocks · shards · size stays below the slice's length plus one block.

/// Bytes of the CRC before each shard.
pub(super) const CRC: usize = 4;
/// Bytes of the payload's length before the payload.
pub(super) const LENGTH: usize = 4;
/// The largest shard that any percentage gives, in bytes.
pub(super) const LARGEST_SHARD: usize = 1024;

const SMALL_DATA: usize = 6;
const SMALL_PARITY: usize = 2;

/// The shards of a full block and their size in bytes, which the percentage determines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) data: usize,
    pub(super) parity: usize,
    pub(super) shard: usize,
}

/// The shape of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) blocks: usize,
    /// Data shards of a block.
    pub(super) data: usize,
    /// Parity shards of a block.
    pub(super) parity: usize,
    /// Bytes of a shard, without its CRC.
    pub(super) shard: usize,
    /// Whether the zeros after the payload are stored. They are not where there are several blocks.
    pub(super) padded: bool,
}

impl Parameters {
    /// Computes the parameters of an overhead of at least 1 percent.
    ///
    /// Kopia computes with 32-bit floats; these integers give the same counts for all percentages (tested).
    pub(super) fn from_percent(percent: u32) -> Self {
        let shard: u64 = match percent {
            ..=1 => 1024,
            2 => 512,
            3 => 256,
            4..=6 => 128,
            _ => 64,
        };
        // The overhead left after the CRCs, in percent, times the shard size: percent − 400/shard > 0 for
        // all.
        let left = (u64::from(percent) * shard).saturating_sub(100 * CRC as u64).max(1);
        let (data, parity) = match (128 * left / (100 * shard)).min(128) {
            // At least two parity shards, then, and more data shards to keep the percentage.
            0 | 1 => ((200 * shard / left).clamp(128, 254), 2),
            parity => (128, parity),
        };
        // At most 254, 128 and 1024.
        Self { data: data as usize, parity: parity as usize, shard: shard as usize }
    }

    /// Returns the length, prefix included, up to which a payload gets 6 + 2 shards.
    fn small_in(self) -> usize {
        2 * CRC * (self.data + self.parity)
    }

    fn small_out(self) -> usize {
        (SMALL_DATA + SMALL_PARITY) * (CRC + self.small_in().div_ceil(SMALL_DATA))
    }

    /// Returns the stored size of one full block.
    fn block_out(self) -> usize {
        (self.data + self.parity) * (CRC + self.shard)
    }

    /// Returns the geometry of a unit of `stored` bytes.
    pub(super) fn geometry_of_stored(self, stored: usize) -> Geometry {
        let shard_in = |shards: usize| stored.div_ceil(shards).max(CRC + 1) - CRC;
        if stored <= self.small_out() {
            Geometry::small(shard_in(SMALL_DATA + SMALL_PARITY))
        } else if stored <= self.block_out() {
            self.one_block(shard_in(self.data + self.parity))
        } else {
            self.many_blocks(stored.div_ceil(self.block_out()))
        }
    }

    /// Returns the geometry for `length` bytes to be written, the length prefix included.
    #[cfg(any(test, feature = "seal"))]
    pub(super) fn geometry_of_payload(self, length: usize) -> Geometry {
        let block_in = self.data * self.shard;
        if length <= self.small_in() {
            Geometry::small(length.div_ceil(SMALL_DATA))
        } else if length <= block_in {
            self.one_block(length.div_ceil(self.data))
        } else {
            self.many_blocks(length.div_ceil(block_in))
        }
    }

    fn one_block(self, shard: usize) -> Geometry {
        Geometry { blocks: 1, data: self.data, parity: self.parity, shard, padded: true }
    }

    fn many_blocks(self, blocks: usize) -> Geometry {
        Geometry { blocks, data: self.data, parity: self.parity, shard: self.shard, padded: false }
    }
}

impl Geometry {
    fn small(shard: usize) -> Self {
        Self { blocks: 1, data: SMALL_DATA, parity: SMALL_PARITY, shard, padded: true }
    }

    /// Returns the number of shards of a block.
    pub(super) fn shards(self) -> usize {
        self.data + self.parity
    }

    /// Returns how many bytes the data shards of one block hold.
    pub(super) fn block(self) -> usize {
        self.data * self.shard
    }

    /// Returns how many bytes the data shards of all blocks hold: length, payload and zeros.
    pub(super) fn capacity(self) -> usize {
        self.blocks * self.block()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_give_kopias_counts() {
        let table = [
            (1, 254, 2, 1024),
            (2, 164, 2, 512),
            (3, 139, 2, 256),
            (4, 228, 2, 128),
            (5, 128, 2, 128),
            (6, 128, 3, 128),
            (7, 254, 2, 64),
            (8, 128, 2, 64),
            (9, 128, 3, 64),
            (10, 128, 4, 64),
            (15, 128, 11, 64),
            (20, 128, 17, 64),
            (33, 128, 34, 64),
            (50, 128, 56, 64),
            (100, 128, 120, 64),
            (u32::MAX, 128, 128, 64),
        ];
        for (percent, data, parity, shard) in table {
            assert_eq!(Parameters::from_percent(percent), Parameters { data, parity, shard }, "{percent} %");
        }
    }

    #[test]
    fn no_percentage_leaves_the_bounds() {
        for percent in (0..=2000).chain([u32::MAX]) {
            let Parameters { data, parity, shard } = Parameters::from_percent(percent);
            assert!(data + parity <= 256 && shard <= LARGEST_SHARD, "{percent} %");
        }
    }

    #[test]
    fn sizes_are_those_of_the_format_notes() {
        // percent, payload, blocks, data, parity, shard, stored.
        let table = [
            (2, 100, 1, 6, 2, 18, 176),
            (2, 5000, 1, 164, 2, 31, 5810),
            (2, 200_000, 3, 164, 2, 512, 204_664),
            (10, 100, 1, 6, 2, 18, 176),
            (10, 5000, 1, 128, 4, 40, 5808),
            (10, 200_000, 25, 128, 4, 64, 219_308),
            (100, 100, 1, 6, 2, 18, 176),
            (100, 5000, 1, 128, 120, 40, 10_912),
            (100, 200_000, 25, 128, 120, 64, 416_508),
        ];
        for (percent, payload, blocks, data, parity, shard, stored) in table {
            let parameters = Parameters::from_percent(percent);
            let expected = Geometry { blocks, data, parity, shard, padded: blocks == 1 };
            assert_eq!(parameters.geometry_of_payload(payload + LENGTH), expected, "{percent} %, {payload}");
            assert_eq!(parameters.geometry_of_stored(stored), expected, "{percent} %, {stored} stored");
        }
    }
}
