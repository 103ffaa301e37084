//! Sorted rows, in memory or in a file.

use std::ops::Range;

use kopia_storage::MappedFile;

/// Sorted rows by the first byte of the hash.
#[derive(Debug)]
pub(super) enum Shards<const N: usize> {
    Memory(Vec<Vec<[u8; N]>>),
    File { file: MappedFile, shards: Vec<Range<usize>> },
}

impl<const N: usize> Shards<N> {
    /// Returns the rows of the shard with this number.
    pub(super) fn get(&self, number: usize) -> &[[u8; N]] {
        match self {
            Self::Memory(shards) => shards.get(number).map_or(&[], Vec::as_slice),
            Self::File { file, shards } => {
                let bytes = shards.get(number).and_then(|range| file.get(range.clone()));
                bytes.unwrap_or_default().as_chunks().0
            }
        }
    }

    /// Returns the rows of all shards, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[[u8; N]]> {
        (0..256).map(|number| self.get(number))
    }
}
