//! Adds index blobs from many threads, then sorts and merges.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use kopia_format::BlobId;
use kopia_format::index::Index;
use rayon::prelude::*;

use super::file::Files;
use super::forms::{Forms, RecentForms};
use super::merge::{Merged, Merger, Unsorted};
use super::row::{self, LONG, SHORT};
use super::shards::Shards;
use super::{PackNames, Rows, Table};

const LOCK: &str = "no thread panics while it holds this lock";

/// The bytes of the smallest entry of an index blob without its hash: the prefix, and 16 in version 2.
const SMALLEST_ENTRY: usize = 17;

/// How many entries of a large index blob are taken before their memory is given back.
const AT_ONCE: usize = if cfg!(test) { 300 } else { 1 << 18 };

/// Rows that are still to be sorted.
pub(crate) struct Builder {
    rows: Growing,
    /// Where rows go, if not into memory.
    files: Option<Files>,
    forms: Forms,
    packs: Mutex<Packs>,
}

enum Growing {
    Short(Vec<Mutex<Unsorted<SHORT>>>),
    Long(Vec<Mutex<Unsorted<LONG>>>),
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
        Self { rows, files: None, forms: Forms::default(), packs: Mutex::new(Packs::new(known)) }
    }

    /// As [`Self::new`], of a table in a file below a directory.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn in_file(hash_length: usize, known: &PackNames, directory: &Path) -> io::Result<Self> {
        Ok(Self { files: Some(Files::create(directory)?), ..Self::new(hash_length, 0, known) })
    }

    /// Adds all entries of an index blob.
    ///
    /// # Errors
    /// A sentence if a key is longer than the hashes of the repository, or there are too many kinds of
    /// contents.
    pub(crate) fn add<T: AsRef<[u8]>>(&self, index: &Index<T>) -> Result<(), String> {
        let numbers = self.packs.lock().expect(LOCK).number(index.packs());
        self.add_from(index, 0, &numbers)
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
            self.add_from(&index, first, &numbers)?;
            index.truncate(first);
        }
        Ok(())
    }

    fn add_from<T: AsRef<[u8]>>(&self, index: &Index<T>, first: usize, packs: &[u32]) -> Result<(), String> {
        let forms = RecentForms::new(&self.forms);
        let files = self.files.as_ref();
        match &self.rows {
            Growing::Short(shards) => add(shards, files, index, (first, packs), forms),
            Growing::Long(shards) => add(shards, files, index, (first, packs), forms),
        }
    }

    /// Sorts, keeps one row of each content, and drops deleted ones up to the watermark (seconds since 1970).
    ///
    /// Besides the table, returns the names of packs that were not known before, in the order of their
    /// numbers.
    ///
    /// # Errors
    /// What the system says of the file.
    pub(crate) fn finish(self, watermark: Option<i64>) -> io::Result<(Table, Vec<BlobId>)> {
        let Packs { numbers, mut names, known, named } = self.packs.into_inner().expect(LOCK);
        drop(numbers);
        let forms = self.forms.into_list();
        let merger = Merger { packs: &names, forms: &forms, watermark };
        let (rows, merged) = match self.rows {
            Growing::Short(shards) => {
                let (shards, merged) = finish(shards, self.files, &merger)?;
                (Rows::Short(shards), merged)
            }
            Growing::Long(shards) => {
                let (shards, merged) = finish(shards, self.files, &merger)?;
                (Rows::Long(shards), merged)
            }
        };
        let Merged { manifests, totals, newest, living } = merged;
        let table = Table { rows, forms, named, living, manifests, totals, newest };
        Ok((table, names.split_off(known)))
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
fn empty<const N: usize>(rows: u64) -> Vec<Mutex<Unsorted<N>>> {
    let mean = rows / 256;
    // Few shards have more than four standard deviations above the mean.
    let capacity = usize::try_from(mean + 4 * mean.isqrt()).unwrap_or(0);
    let shard = || {
        let mut shard = Unsorted { rows: Vec::new(), times: Vec::new(), gathered: Vec::new() };
        // Lengths of blobs may lie; without the space, vectors grow as they must.
        let _ = shard.rows.try_reserve_exact(capacity);
        let _ = shard.times.try_reserve_exact(capacity);
        Mutex::new(shard)
    };
    (0..256).map(|_| shard()).collect()
}

fn add<const N: usize, T: AsRef<[u8]>>(
    shards: &[Mutex<Unsorted<N>>],
    files: Option<&Files>,
    index: &Index<T>,
    (first, packs): (usize, &[u32]),
    mut forms: RecentForms<'_>,
) -> Result<(), String> {
    // Entries come sorted, so runs of them go to the same shard; its lock is kept for the run.
    let mut entries = index.entries_from(first).peekable();
    while let Some(first) = entries.peek() {
        let number = row::shard(&first.key[1..]);
        let mut shard = shards[number].lock().expect(LOCK);
        while let Some(entry) = entries.next_if(|entry| row::shard(&entry.key[1..]) == number) {
            let row = row::write(&entry, packs[entry.pack as usize], |form| forms.number(form))?;
            let row = row.ok_or_else(|| {
                format!(
                    "a content has a hash of {} bytes, longer than this repository's",
                    entry.key.len() - 1
                )
            })?;
            push(&mut shard.rows, row);
            push(&mut shard.times, u32::try_from(entry.timestamp).unwrap_or(u32::MAX));
            if let Some(files) = files {
                files.gather(&mut shard);
            }
        }
    }
    Ok(())
}

/// Adds to a vector. Doubling would leave half of a large table unused.
fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        let more = (list.len() / 4).max(16);
        list.reserve_exact(more);
    }
    list.push(item);
}

fn finish<const N: usize>(
    shards: Vec<Mutex<Unsorted<N>>>,
    files: Option<Files>,
    merger: &Merger<'_>,
) -> io::Result<(Shards<N>, Merged)> {
    let shards = shards.into_par_iter().map(|shard| shard.into_inner().expect(LOCK)).enumerate();
    let Some(files) = files else {
        let merged = shards.map(|(number, shard)| merger.merge(number as u8, shard));
        let (shards, merged): (Vec<_>, Vec<Merged>) = merged.unzip();
        return Ok((Shards::Memory(shards), merged.into_iter().sum()));
    };
    let merged = shards.map(|(number, mut shard)| {
        files.collect(&mut shard)?;
        let (rows, merged) = merger.merge(number as u8, shard);
        Ok((files.keep(&rows)?, merged))
    });
    let merged: io::Result<Vec<_>> = merged.collect();
    let (shards, merged): (_, Vec<Merged>) = merged?.into_iter().unzip();
    Ok((Shards::File { file: files.finish()?, shards }, merged.into_iter().sum()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::table::tests::index;

    #[test]
    fn shards_have_space_for_evenly_spread_rows() {
        // 25,600 rows, 100 a shard, and four times the square root of that.
        let builder = Builder::new(16, 33 * 25_600, &PackNames::default());
        let Growing::Short(shards) = &builder.rows else { panic!("hashes of 16 bytes fit into short rows") };
        assert_eq!(shards.len(), 256);
        for shard in shards {
            let shard = shard.lock().unwrap();
            assert_eq!((shard.rows.capacity(), shard.times.capacity()), (140, 140));
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_no_reason_to_fail() {
        let builder = Builder::new(16, u64::MAX, &PackNames::default());
        let index = Index::parse(index(&[(&[0, 0xaa, 0xbb][..], 1, false, "p1", 1)])).unwrap();
        builder.add(&index).unwrap();
        assert_eq!(builder.finish(None).unwrap().0.len(), 1);
    }

    #[test]
    fn lists_grow_by_a_quarter() {
        let (mut list, mut grown) = (Vec::<u32>::new(), 0);
        for number in 0..10_000 {
            let before = list.capacity();
            push(&mut list, number);
            assert!(list.capacity() <= list.len() * 5 / 4 + 16, "{} for {}", list.capacity(), list.len());
            grown += usize::from(list.capacity() != before);
        }
        assert!(grown <= 40, "{grown} times");
    }
}
