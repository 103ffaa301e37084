//! All active indexes, merged once into one sorted table.
//!
//! A repository of ten million contents must fit, so a content takes 30 bytes (46 where hashes are longer
//! than 16 bytes), 4 more while the table grows, and pack names are kept once. The rows are cut into 256
//! shards by the first byte of the hash: index blobs are added from many threads with little waiting, shards
//! are sorted in parallel, where they are. On request they lie in a file, which the system keeps in memory as
//! far as there is any.
//!
//! Hashes are evenly spread, so a lookup starts where the hash should lie and gallops from there: two or
//! three cache misses instead of the fifteen of a binary search. The rule of what wins is
//! `repo/content/index/merged.go`.

mod builder;
mod file;
mod forms;
mod merge;
mod names;
mod row;
mod shards;

pub(crate) use builder::Builder;
pub(crate) use names::PackNames;

use kopia_format::ContentId;

use super::ContentLocation;
use forms::Form;
use row::{LONG, Row, SHORT};
use shards::Shards;

/// The merged table.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Rows,
    /// What rows have in common, by number.
    forms: Vec<Form>,
    /// Which packs its indexes name, by number: those that entries of deleted contents name, too.
    named: Vec<bool>,
    /// Which of them hold contents that are not deleted, by number.
    living: Vec<bool>,
    manifests: Manifests,
    totals: Totals,
    /// When the newest content was written or deleted, in seconds since 1970.
    newest: u32,
}

/// Contents that hold manifests.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    /// Those that count.
    pub(crate) live: Vec<ContentId>,
    /// Those that are marked deleted and can still be read.
    pub(crate) deleted: Vec<ContentId>,
}

/// How many contents a table holds, and how large they are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Contents, without deleted ones.
    pub(crate) contents: u64,
    /// Contents that are marked deleted and can still be read.
    pub(crate) deleted: u64,
    /// Bytes that contents take in packs, without deleted ones.
    pub(crate) packed_bytes: u64,
    /// Bytes of contents when opened and decompressed, without deleted ones.
    pub(crate) original_bytes: u64,
}

impl Totals {
    fn count(&mut self, location: &ContentLocation) {
        if location.deleted {
            self.deleted += 1;
        } else {
            self.contents += 1;
            self.packed_bytes += u64::from(location.packed_length);
            self.original_bytes += u64::from(location.original_length);
        }
    }

    fn add(&mut self, other: &Self) {
        self.contents += other.contents;
        self.deleted += other.deleted;
        self.packed_bytes += other.packed_bytes;
        self.original_bytes += other.original_bytes;
    }
}

#[derive(Debug)]
enum Rows {
    /// Hashes of at most 16 bytes, as nearly all repositories have.
    Short(Shards<SHORT>),
    Long(Shards<LONG>),
}

impl Table {
    /// Finds a content, deleted or not.
    pub(crate) fn find(&self, id: &ContentId) -> Option<ContentLocation> {
        match &self.rows {
            Rows::Short(shards) => row::find(shards.get(row::shard(id.hash())), &self.forms, id),
            Rows::Long(shards) => row::find(shards.get(row::shard(id.hash())), &self.forms, id),
        }
    }

    /// Returns the number of contents, deleted ones included.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        match &self.rows {
            Rows::Short(shards) => shards.iter().map(<[_]>::len).sum(),
            Rows::Long(shards) => shards.iter().map(<[_]>::len).sum(),
        }
    }

    /// Returns the sums over all contents.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Calls `visit` for every content, in the order of hashes.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(ContentId, ContentLocation)) {
        match &self.rows {
            Rows::Short(shards) => self.for_each_in(shards, &mut visit),
            Rows::Long(shards) => self.for_each_in(shards, &mut visit),
        }
    }

    fn for_each_in<const N: usize>(
        &self,
        shards: &Shards<N>,
        visit: &mut impl FnMut(ContentId, ContentLocation),
    ) {
        for (number, shard) in shards.iter().enumerate() {
            for bytes in shard {
                let row = Row { bytes, forms: &self.forms };
                visit(row.id(number as u8), row.location());
            }
        }
    }

    /// Returns the contents that hold manifests.
    pub(crate) fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// Returns whether an index entry names the pack of this number.
    pub(crate) fn is_indexed(&self, pack: usize) -> bool {
        self.named.get(pack).is_some_and(|named| *named)
    }

    /// Returns the number of packs that hold contents which are not deleted.
    pub(crate) fn living_pack_count(&self) -> usize {
        self.living.iter().filter(|living| **living).count()
    }

    /// Returns when the newest content was written or deleted, in seconds since 1970; 0 if there is none.
    pub(crate) fn newest(&self) -> i64 {
        self.newest.into()
    }

    /// Returns the number of packs that indexes name.
    pub(crate) fn pack_count(&self) -> usize {
        self.named.iter().filter(|named| **named).count()
    }
}

#[cfg(test)]
pub(crate) mod tests;
