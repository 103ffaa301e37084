//! Adds index blobs from many threads, then sorts and merges.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Mutex;

use kopia_format::index::{Entry, Index};
use kopia_format::{BlobId, ContentId};
use rayon::prelude::*;

use super::row::{self, Row};
use super::{Place, Rows, Shards, Table};

const LOCK: &str = "no thread panics while it holds this lock";

/// Rows that are still to be sorted, with what decides between two of the same content.
pub(crate) struct Builder {
    rows: Growing,
    packs: Mutex<Packs>,
}

enum Growing {
    Short(Vec<Mutex<Vec<Timed<16>>>>),
    Long(Vec<Mutex<Vec<Timed<32>>>>),
}

/// A row and the seconds at which it was written, as two words so that no byte is lost to alignment.
#[derive(Clone, Copy)]
struct Timed<const H: usize> {
    row: Row<H>,
    time: [u32; 2],
}

impl<const H: usize> Timed<H> {
    fn time(&self) -> u64 {
        u64::from(self.time[0]) << 32 | u64::from(self.time[1])
    }
}

/// Pack names, each kept once.
#[derive(Default)]
struct Packs {
    numbers: HashMap<BlobId, u32>,
    names: Vec<BlobId>,
}

impl Builder {
    /// Starts a table for hashes of `hash_length` bytes.
    pub(crate) fn new(hash_length: usize) -> Self {
        let rows = match hash_length {
            ..=16 => Growing::Short(empty()),
            _ => Growing::Long(empty()),
        };
        Self { rows, packs: Mutex::default() }
    }

    /// Adds all entries of an index blob.
    ///
    /// # Errors
    /// A sentence if a key is longer than the hashes of the repository.
    pub(crate) fn add<T: AsRef<[u8]>>(&self, index: &Index<T>) -> Result<(), String> {
        let numbers = self.packs.lock().expect(LOCK).number(index.packs());
        match &self.rows {
            Growing::Short(shards) => add(shards, index, &numbers),
            Growing::Long(shards) => add(shards, index, &numbers),
        }
    }

    /// Sorts, keeps one row of each content, and drops deleted ones up to the watermark (seconds since 1970).
    pub(crate) fn finish(self, watermark: Option<i64>) -> Table {
        let packs = self.packs.into_inner().expect(LOCK).names;
        let (rows, manifests) = match self.rows {
            Growing::Short(shards) => {
                let (shards, manifests) = finish(shards, &packs, watermark);
                (Rows::Short(shards), manifests)
            }
            Growing::Long(shards) => {
                let (shards, manifests) = finish(shards, &packs, watermark);
                (Rows::Long(shards), manifests)
            }
        };
        Table { rows, packs, manifests }
    }
}

impl Packs {
    /// Returns the number of each name, a new one where it was not seen before.
    fn number(&mut self, names: &[BlobId]) -> Vec<u32> {
        let Self { numbers, names: known } = self;
        let mut number = |name: &BlobId| match numbers.get(name) {
            Some(&number) => number,
            None => {
                let number = known.len() as u32;
                known.push(name.clone());
                numbers.insert(name.clone(), number);
                number
            }
        };
        names.iter().map(&mut number).collect()
    }
}

fn empty<const H: usize>() -> Vec<Mutex<Vec<Timed<H>>>> {
    (0..256).map(|_| Mutex::default()).collect()
}

fn add<const H: usize, T: AsRef<[u8]>>(
    shards: &[Mutex<Vec<Timed<H>>>],
    index: &Index<T>,
    packs: &[u32],
) -> Result<(), String> {
    // Entries come sorted, so runs of them go to the same shard; its lock is kept for the run.
    let mut entries = index.entries().peekable();
    while let Some(first) = entries.peek() {
        let number = row::shard(&first.key[1..]);
        let mut shard = shards[number].lock().expect(LOCK);
        while let Some(entry) = entries.next_if(|entry| row::shard(&entry.key[1..]) == number) {
            let timed = timed(&entry, packs)?;
            // Doubling would leave half of a large table unused.
            if shard.len() == shard.capacity() {
                let more = (shard.len() / 4).max(16);
                shard.reserve_exact(more);
            }
            shard.push(timed);
        }
    }
    Ok(())
}

fn timed<const H: usize>(entry: &Entry<'_>, packs: &[u32]) -> Result<Timed<H>, String> {
    let id = ContentId::from_key(entry.key).map_err(|error| error.to_string())?;
    let place = Place {
        pack: packs[entry.pack as usize],
        offset: entry.offset,
        packed_length: entry.packed_length,
        original_length: entry.original_length,
        // Kopia's numbers have 16 bits; what is larger stays unknown.
        compression: u16::try_from(entry.compression).unwrap_or(u16::MAX),
        deleted: entry.deleted,
    };
    let row = Row::new(&id, &place)
        .ok_or_else(|| format!("content {id} has a longer hash than this repository"))?;
    Ok(Timed { row, time: [(entry.timestamp >> 32) as u32, entry.timestamp as u32] })
}

fn finish<const H: usize>(
    shards: Vec<Mutex<Vec<Timed<H>>>>,
    packs: &[BlobId],
    watermark: Option<i64>,
) -> (Shards<H>, Vec<ContentId>) {
    let shards: Shards<H> = shards
        .into_par_iter()
        .map(|shard| {
            let mut rows = shard.into_inner().expect(LOCK);
            rows.sort_unstable_by(|a, b| a.row.key().cmp(&b.row.key()).then_with(|| preferred(a, b, packs)));
            rows.dedup_by(|later, kept| later.row.key() == kept.row.key());
            // Only after merging: a deletion that is gone must not bring an older entry back.
            rows.retain(|timed| {
                let gone = watermark.is_some_and(|mark| i128::from(timed.time()) <= i128::from(mark));
                !(timed.row.is_deleted() && gone)
            });
            rows.iter().map(|timed| timed.row).collect()
        })
        .collect();
    let live = |row: &&Row<H>| row.is_manifest() && !row.is_deleted();
    let manifests = shards.iter().flatten().filter(live).map(Row::id).collect();
    (shards, manifests)
}

/// Orders two rows of one content, the one that counts first: the later, then the one that is not deleted, then the
/// greater pack name.
fn preferred<const H: usize>(a: &Timed<H>, b: &Timed<H>, packs: &[BlobId]) -> Ordering {
    let by_time = b.time().cmp(&a.time());
    by_time
        .then_with(|| a.row.is_deleted().cmp(&b.row.is_deleted()))
        .then_with(|| packs[b.row.pack as usize].cmp(&packs[a.row.pack as usize]))
}
