//! Adds index blobs from many threads, then sorts and merges.

use std::collections::HashMap;
use std::sync::Mutex;

use kopia_format::BlobId;
use kopia_format::index::Index;
use rayon::prelude::*;

use super::merge::{Merged, merge};
use super::row::{self, Row};
use super::{PackNames, Rows, Shards, Table};

const LOCK: &str = "no thread panics while it holds this lock";

/// The bytes of the smallest entry of an index blob without its hash: the prefix, and 16 in version 2.
const SMALLEST_ENTRY: usize = 17;

/// How many entries of a large index blob are taken before their memory is given back.
const AT_ONCE: usize = if cfg!(test) { 300 } else { 1 << 18 };

/// Rows that are still to be sorted.
pub(crate) struct Builder {
    rows: Growing,
    packs: Mutex<Packs>,
}

enum Growing {
    Short(Vec<Mutex<Vec<Row<16>>>>),
    Long(Vec<Mutex<Vec<Row<32>>>>),
}

impl Growing {
    fn add<T: AsRef<[u8]>>(&self, index: &Index<T>, first: usize, packs: &[u32]) -> Result<(), String> {
        match self {
            Self::Short(shards) => add(shards, index, first, packs),
            Self::Long(shards) => add(shards, index, first, packs),
        }
    }
}

/// Pack names, each kept once.
struct Packs {
    numbers: HashMap<BlobId, u32>,
    names: Vec<BlobId>,
    /// How many were known before; these keep their numbers.
    known: usize,
    /// Which were named by what was added, by number.
    named: Vec<bool>,
}

impl Builder {
    /// Starts a table for hashes of `hash_length` bytes and index blobs of `bytes` bytes in all; packs that
    /// are `known` keep their numbers.
    pub(crate) fn new(hash_length: usize, bytes: u64, known: &PackNames) -> Self {
        let rows = bytes / (hash_length + SMALLEST_ENTRY) as u64;
        let rows = match hash_length {
            ..=16 => Growing::Short(empty(rows)),
            _ => Growing::Long(empty(rows)),
        };
        Self { rows, packs: Mutex::new(Packs::new(known)) }
    }

    /// Adds all entries of an index blob.
    ///
    /// # Errors
    /// A sentence if a key is longer than the hashes of the repository.
    pub(crate) fn add<T: AsRef<[u8]>>(&self, index: &Index<T>) -> Result<(), String> {
        let numbers = self.packs.lock().expect(LOCK).number(index.packs());
        self.rows.add(index, 0, &numbers)
    }

    /// As [`Self::add`], but takes the entries from the end on, and gives back their memory as it goes: rows
    /// take about as much.
    ///
    /// # Errors
    /// As for [`Self::add`].
    pub(crate) fn add_large(&self, mut index: Index<Vec<u8>>) -> Result<(), String> {
        let numbers = self.packs.lock().expect(LOCK).number(index.packs());
        while !index.is_empty() {
            let first = index.len().saturating_sub(AT_ONCE);
            self.rows.add(&index, first, &numbers)?;
            index.truncate(first);
        }
        Ok(())
    }

    /// Sorts, keeps one row of each content, and drops deleted ones up to the watermark (seconds since 1970).
    ///
    /// Besides the table, returns the names of packs that were not known before, in the order of their
    /// numbers.
    pub(crate) fn finish(self, watermark: Option<i64>) -> (Table, Vec<BlobId>) {
        let Packs { numbers, mut names, known, named } = self.packs.into_inner().expect(LOCK);
        drop(numbers);
        let (rows, merged) = match self.rows {
            Growing::Short(shards) => {
                let (shards, merged) = finish(shards, &names, watermark);
                (Rows::Short(shards), merged)
            }
            Growing::Long(shards) => {
                let (shards, merged) = finish(shards, &names, watermark);
                (Rows::Long(shards), merged)
            }
        };
        let Merged { manifests, totals, newest, living } = merged;
        let table = Table { rows, named, living, manifests, totals, newest };
        (table, names.split_off(known))
    }
}

impl Packs {
    fn new(known: &PackNames) -> Self {
        let names: Vec<BlobId> = known.iter().cloned().collect();
        let numbers = names.iter().cloned().zip(0..).collect();
        Self { numbers, known: names.len(), named: vec![false; names.len()], names }
    }

    /// Returns the number of each name, a new one where it was not seen before.
    fn number(&mut self, wanted: &[BlobId]) -> Vec<u32> {
        let Self { numbers, names, named, .. } = self;
        let mut number = |name: &BlobId| match numbers.get(name) {
            Some(&number) => {
                named[number as usize] = true;
                number
            }
            None => {
                let number = names.len() as u32;
                names.push(name.clone());
                named.push(true);
                numbers.insert(name.clone(), number);
                number
            }
        };
        wanted.iter().map(&mut number).collect()
    }
}

/// Makes empty shards with address space for so many evenly spread rows.
///
/// Memory is used only where rows are written, and a vector that has enough need not move while it grows.
fn empty<const H: usize>(rows: u64) -> Vec<Mutex<Vec<Row<H>>>> {
    let mean = rows / 256;
    // Few shards have more than four standard deviations above the mean.
    let capacity = usize::try_from(mean + 4 * mean.isqrt()).unwrap_or(0);
    let shard = || {
        let mut shard = Vec::new();
        // Lengths of blobs may lie; without the space, vectors grow as they must.
        let _ = shard.try_reserve_exact(capacity);
        Mutex::new(shard)
    };
    (0..256).map(|_| shard()).collect()
}

fn add<const H: usize, T: AsRef<[u8]>>(
    shards: &[Mutex<Vec<Row<H>>>],
    index: &Index<T>,
    first: usize,
    packs: &[u32],
) -> Result<(), String> {
    // Entries come sorted, so runs of them go to the same shard; its lock is kept for the run.
    let mut entries = index.entries_from(first).peekable();
    while let Some(first) = entries.peek() {
        let number = row::shard(&first.key[1..]);
        let mut shard = shards[number].lock().expect(LOCK);
        while let Some(entry) = entries.next_if(|entry| row::shard(&entry.key[1..]) == number) {
            let row = Row::new(&entry, packs[entry.pack as usize]).ok_or_else(|| {
                format!(
                    "a content has a hash of {} bytes, longer than this repository's",
                    entry.key.len() - 1
                )
            })?;
            // Doubling would leave half of a large table unused.
            if shard.len() == shard.capacity() {
                let more = (shard.len() / 4).max(16);
                shard.reserve_exact(more);
            }
            shard.push(row);
        }
    }
    Ok(())
}

fn finish<const H: usize>(
    shards: Vec<Mutex<Vec<Row<H>>>>,
    packs: &[BlobId],
    watermark: Option<i64>,
) -> (Shards<H>, Merged) {
    let merge = |shard: Mutex<Vec<Row<H>>>| {
        let mut rows = shard.into_inner().expect(LOCK);
        let merged = merge(&mut rows, packs, watermark);
        (rows, merged)
    };
    let (shards, merged): (Shards<H>, Vec<Merged>) = shards.into_par_iter().map(merge).unzip();
    (shards, merged.into_iter().sum())
}
