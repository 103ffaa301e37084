//! Sorts the rows of a shard and keeps one of each content.

use std::cmp::Ordering;
use std::iter::Sum;

use kopia_format::BlobId;

use super::file::Gathered;
use super::forms::Form;
use super::row::{self, Row};
use super::{Manifests, Totals};
use crate::index::ContentLocation;

/// What is found out about rows in passing.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) manifests: Manifests,
    pub(super) totals: Totals,
    /// The time of the newest row.
    pub(super) newest: u32,
    /// Which packs hold contents that are not deleted, by number.
    pub(super) living: Vec<bool>,
}

impl Merged {
    fn count(&mut self, row: &ContentLocation, time: u32) {
        self.totals.count(row);
        self.newest = self.newest.max(time);
        let pack = row.pack as usize;
        if !row.deleted && !self.living.get(pack).is_some_and(|living| *living) {
            if self.living.len() <= pack {
                self.living.resize(pack + 1, false);
            }
            self.living[pack] = true;
        }
    }
}

impl Sum for Merged {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |mut sum, part| {
            sum.manifests.live.extend(part.manifests.live);
            sum.manifests.deleted.extend(part.manifests.deleted);
            sum.totals.add(&part.totals);
            sum.newest = sum.newest.max(part.newest);
            if sum.living.len() < part.living.len() {
                sum.living.resize(part.living.len(), false);
            }
            std::iter::zip(&mut sum.living, part.living).for_each(|(sum, part)| *sum |= part);
            sum
        })
    }
}

/// The rows of a shard as they come, each with its time: seconds since 1970, which decide between rows of one
/// content. All times after 2106 are the same.
pub(super) struct Unsorted<const N: usize> {
    pub(super) rows: Vec<[u8; N]>,
    pub(super) times: Vec<u32>,
    /// Those that were written to a file.
    pub(super) gathered: Vec<Gathered>,
}

/// What it takes to sort and merge.
pub(super) struct Merger<'a> {
    pub(super) packs: &'a [BlobId],
    pub(super) forms: &'a [Form],
    /// Up to when deleted contents are dropped, in seconds since 1970.
    pub(super) watermark: Option<i64>,
}

impl Merger<'_> {
    /// Sorts the rows of the shard with this number and keeps one of each content.
    pub(super) fn merge<const N: usize>(&self, shard: u8, unsorted: Unsorted<N>) -> (Vec<[u8; N]>, Merged) {
        let Unsorted { mut rows, mut times, .. } = unsorted;
        self.sort(&mut rows, &mut times);
        let mut merged = Merged::default();
        let (mut kept, mut last): (usize, Option<[u8; N]>) = (0, None);
        for place in 0..rows.len() {
            let (bytes, time) = (rows[place], times[place]);
            let row = self.row(&bytes);
            if last.is_some_and(|last| self.row(&last).compare(&row).is_eq()) {
                continue;
            }
            last = Some(bytes);
            // Only after merging: a deletion that is gone must not bring an older entry back.
            if row.is_deleted() && self.watermark.is_some_and(|mark| i64::from(time) <= mark) {
                continue;
            }
            merged.count(&row.location(), time);
            if row.is_manifest() {
                let manifests = &mut merged.manifests;
                if row.is_deleted() { &mut manifests.deleted } else { &mut manifests.live }
                    .push(row.id(shard));
            }
            rows[kept] = bytes;
            kept += 1;
        }
        drop(times);
        rows.truncate(kept);
        rows.shrink_to_fit();
        (rows, merged)
    }

    fn row<'r, const N: usize>(&'r self, bytes: &'r [u8; N]) -> Row<'r, N> {
        Row { bytes, forms: self.forms }
    }

    /// Sorts by key, and rows of the same content so that the one that counts comes first.
    ///
    /// Rows are large, and nearly all of them are told apart by eight bytes of their hash. So these are
    /// sorted with the places of their rows, three times as fast, and then each row is moved once.
    fn sort<const N: usize>(&self, rows: &mut [[u8; N]], times: &mut [u32]) {
        let mut order: Vec<(u64, usize)> =
            rows.iter().enumerate().map(|(place, row)| (row::fraction(row), place)).collect();
        order.sort_unstable_by(|a, b| {
            let full = || {
                let [one, other] = [a.1, b.1].map(|place| (self.row(&rows[place]), times[place]));
                one.0.compare(&other.0).then_with(|| self.preferred(one, other))
            };
            a.0.cmp(&b.0).then_with(full)
        });
        for start in 0..order.len() {
            // Each cycle of the permutation is walked once; places that are done point to themselves.
            let mut to = start;
            let first = (rows[start], times[start]);
            loop {
                let from = std::mem::replace(&mut order[to].1, to);
                if from == start {
                    (rows[to], times[to]) = first;
                    break;
                }
                (rows[to], times[to]) = (rows[from], times[from]);
                to = from;
            }
        }
    }

    /// Orders two rows of one content, the one that counts first: the later, then the one that is not
    /// deleted, then the greater pack name.
    fn preferred<const N: usize>(&self, a: (Row<'_, N>, u32), b: (Row<'_, N>, u32)) -> Ordering {
        let pack = |row: Row<'_, N>| &self.packs[row.pack() as usize];
        let by_time = b.1.cmp(&a.1);
        by_time.then_with(|| a.0.is_deleted().cmp(&b.0.is_deleted())).then_with(|| pack(b.0).cmp(pack(a.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_has_what_each_of_its_parts_has() {
        let content = |number: u8| vec![format!("m{number:032x}").parse().unwrap()];
        let part = |number: u8, newest, living: &[bool]| Merged {
            manifests: Manifests { live: content(number), deleted: content(number + 100) },
            totals: Totals { contents: 1, deleted: 2, packed_bytes: 3, original_bytes: 4 },
            newest,
            living: living.to_vec(),
        };
        let parts = [part(1, 5, &[true, false]), part(2, 9, &[false, false, false, true]), part(3, 7, &[])];
        let sum: Merged = parts.into_iter().sum();
        assert_eq!(sum.manifests.live, [content(1), content(2), content(3)].concat());
        assert_eq!(sum.manifests.deleted, [content(101), content(102), content(103)].concat());
        assert_eq!(sum.totals, Totals { contents: 3, deleted: 6, packed_bytes: 9, original_bytes: 12 });
        assert_eq!((sum.newest, sum.living), (9, vec![true, false, false, true]));
    }
}
