//! Which damage the error correction of a repository must repair, worked out apart from the code that does
//! it.
//!
//! Each content in a pack, each index blob and each local index is a unit of one or more blocks. A block has
//! D data shards and P parity shards, each with a CRC, and survives the loss of any P of them. So a unit that
//! keeps its length must come out whole if no block has more than P shards in which a byte differs, and
//! cannot come out otherwise. What is longer or shorter than it was has its shards elsewhere: nothing is
//! demanded of that. See Kopia's `repo/ecc`.

use std::ops::Range;

/// Percentages of the golden repositories, with data shards, parity shards, and the bytes of the largest
/// shard.
const PARAMETERS: [(u32, usize, usize, usize); 8] = [
    (1, 254, 2, 1024),
    (2, 164, 2, 512),
    (5, 128, 2, 128),
    (10, 128, 4, 64),
    (15, 128, 11, 64),
    (33, 128, 34, 64),
    (50, 128, 56, 64),
    (100, 128, 120, 64),
];

const CRC: usize = 4;

/// How a unit is divided.
pub(crate) struct Shards {
    pub(crate) blocks: usize,
    data: usize,
    pub(crate) parity: usize,
    /// Bytes of a shard, with its CRC.
    size: usize,
    /// Bytes of the unit.
    length: usize,
}

impl Shards {
    /// Those of a unit of so many bytes, in a repository with this percentage.
    pub(crate) fn of(percent: u32, length: usize) -> Self {
        let known = PARAMETERS.iter().find(|known| known.0 == percent);
        let &(_, data, parity, largest) =
            known.expect("the percentages of the golden repositories are listed");
        let all = data + parity;
        let block = all * (CRC + largest);
        let size = |shards: usize| length.div_ceil(shards).max(CRC + 1);
        if length <= 8 * (CRC + (8 * all).div_ceil(6)) {
            Self { blocks: 1, data: 6, parity: 2, size: size(8), length }
        } else if length <= block {
            Self { blocks: 1, data, parity, size: size(all), length }
        } else {
            Self { blocks: length.div_ceil(block), data, parity, size: CRC + largest, length }
        }
    }

    /// The shards of a block that are stored, each as its bytes.
    pub(crate) fn of_block(&self, block: usize) -> Vec<Range<usize>> {
        // All parity shards of all blocks come first.
        let parity = (0..self.parity).map(|number| block * self.parity + number);
        let data = (0..self.data).map(|number| self.blocks * self.parity + block * self.data + number);
        let bytes = |slot: usize| slot * self.size..((slot + 1) * self.size).min(self.length);
        // Zeros at the end of several blocks are not stored.
        parity.chain(data).map(bytes).filter(|range| range.start < range.end).collect()
    }
}

/// Says whether a unit of a repository with this percentage can be repaired; `None` where nothing is
/// demanded.
pub(crate) fn is_repaired(percent: u32, before: &[u8], after: &[u8]) -> Option<bool> {
    if before.len() != after.len() {
        return None;
    }
    let shards = Shards::of(percent, before.len());
    let damaged = |block| {
        let all = shards.of_block(block).into_iter();
        all.filter(|range| before[range.clone()] != after[range.clone()]).count()
    };
    Some((0..shards.blocks).all(|block| damaged(block) <= shards.parity))
}

#[test]
fn as_many_shards_as_there_are_parity_shards() {
    // 8 shards of 4 + 18 bytes, 2 of them parity.
    let before = [1; 176];
    let with = |zeros: &[usize]| {
        let mut after = before;
        zeros.iter().for_each(|byte| after[*byte] = 0);
        is_repaired(2, &before, &after)
    };
    assert_eq!(with(&[0, 21, 22, 43]), Some(true));
    assert_eq!(with(&[0, 22, 44]), Some(false));
    assert_eq!(is_repaired(2, &before, &before[..175]), None);
    // 3 blocks: 6 parity shards first, of 516 bytes each, then 164 data shards of each block.
    let before = vec![1; 204_664];
    let with = |shards: &[usize]| {
        let mut after = before.clone();
        shards.iter().for_each(|shard| after[shard * 516] = 0);
        is_repaired(2, &before, &after)
    };
    assert_eq!(with(&[0, 1, 2, 3, 4, 5]), Some(true));
    assert_eq!(with(&[0, 1, 6]), Some(false));
    assert_eq!(with(&[0, 1, 6 + 164, 6 + 164 + 163]), Some(true));
    assert_eq!(with(&[6, 6 + 163, 6 + 162]), Some(false));
}
