//! A table that lies in a file: rows are gathered there, sorted shard by shard, and mapped.
//!
//! Memory is taken for the rows that are just being gathered, 16 MiB at most, and for the shards that are
//! just being sorted, one of 256 for each core.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;

use kopia_storage::{MappedFile, ScratchFile};

use super::merge::Unsorted;
use crate::lock::{into_inner, lock};

/// How many rows of a shard are gathered in memory before they are written.
const GATHERED: usize = if cfg!(test) { 16 } else { 1900 };

/// The files of a table that is being built.
pub(super) struct Files {
    gathered: ScratchFile,
    sorted: ScratchFile,
    /// The first error; what is added after it is dropped.
    failure: Mutex<Option<io::Error>>,
}

/// Where rows of one shard lie that were written together: their times follow them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gathered {
    offset: u64,
    count: usize,
}

impl Files {
    /// Makes both in a directory.
    pub(super) fn create(directory: &Path) -> io::Result<Self> {
        let create = || ScratchFile::create(directory);
        Ok(Self { gathered: create()?, sorted: create()?, failure: Mutex::default() })
    }

    /// Writes the rows of a shard once there are enough of them.
    pub(super) fn gather<const N: usize>(&self, shard: &mut Unsorted<N>) {
        if shard.rows.len() >= GATHERED {
            let times = shard.times.iter().flat_map(|time| time.to_le_bytes());
            let bytes: Vec<u8> = shard.rows.as_flattened().iter().copied().chain(times).collect();
            match self.gathered.append(&bytes) {
                Ok(offset) => shard.gathered.push(Gathered { offset, count: shard.rows.len() }),
                Err(error) => _ = lock(&self.failure).get_or_insert(error),
            }
            shard.rows.clear();
            shard.times.clear();
        }
    }

    /// Reads the rows of a shard that were written, so that all of them are in memory.
    pub(super) fn collect<const N: usize>(&self, shard: &mut Unsorted<N>) -> io::Result<()> {
        let count = shard.gathered.iter().map(|part| part.count).sum();
        shard.rows.reserve_exact(count);
        shard.times.reserve_exact(count);
        let mut bytes = Vec::new();
        for Gathered { offset, count } in std::mem::take(&mut shard.gathered) {
            bytes.resize(count * (N + size_of::<u32>()), 0);
            self.gathered.read_at(&mut bytes, offset)?;
            let (rows, times) = bytes.split_at(count * N);
            shard.rows.extend_from_slice(rows.as_chunks().0);
            shard.times.extend(times.as_chunks().0.iter().map(|time| u32::from_le_bytes(*time)));
        }
        Ok(())
    }

    /// Writes the sorted rows of a shard, and returns where they lie.
    pub(super) fn keep<const N: usize>(&self, rows: &[[u8; N]]) -> io::Result<Range<usize>> {
        let bytes = rows.as_flattened();
        let start = usize::try_from(self.sorted.append(bytes)?).map_err(io::Error::other)?;
        Ok(start..start + bytes.len())
    }

    /// Returns what was kept.
    ///
    /// # Errors
    /// What the system said at any time.
    pub(super) fn finish(self) -> io::Result<MappedFile> {
        into_inner(self.failure).map_or_else(|| self.sorted.map(), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_leave_memory_once_there_are_enough_and_come_back_with_their_times() {
        let place = tempfile::tempdir().unwrap();
        let files = Files::create(place.path()).unwrap();
        let mut shard = Unsorted::<4> { rows: Vec::new(), times: Vec::new(), gathered: Vec::new() };
        let all = 0..2 * GATHERED as u32 + 3;
        for number in all.clone() {
            shard.rows.push(number.to_be_bytes());
            shard.times.push(number + 7);
            files.gather(&mut shard);
            assert!(shard.rows.len() < GATHERED);
        }
        assert_eq!((shard.gathered.len(), shard.rows.len(), shard.times.len()), (2, 3, 3));
        files.collect(&mut shard).unwrap();
        let mut rows: Vec<_> = std::iter::zip(shard.rows, shard.times).collect();
        rows.sort_unstable();
        assert_eq!(rows, all.map(|number| (number.to_be_bytes(), number + 7)).collect::<Vec<_>>());
    }
}
