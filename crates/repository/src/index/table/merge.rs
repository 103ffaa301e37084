//! Sorts the rows of a shard and keeps one of each content.

use std::cmp::Ordering;
use std::iter::Sum;

use kopia_format::BlobId;

use super::row::Row;
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

/// Sorts rows of one shard in place and keeps one of each content.
///
/// Deleted ones are dropped up to the watermark (seconds since 1970).
pub(super) fn merge<const H: usize>(
    rows: &mut Vec<Row<H>>,
    packs: &[BlobId],
    watermark: Option<i64>,
) -> Merged {
    sort(rows, packs);
    rows.dedup_by(|later, kept| later.key() == kept.key());
    let mut merged = Merged::default();
    // Only after merging: a deletion that is gone must not bring an older entry back.
    rows.retain(|row| {
        let gone = row.is_deleted() && watermark.is_some_and(|mark| i64::from(row.time) <= mark);
        if !gone {
            merged.count(&row.location(), row.time);
            if row.is_manifest() {
                let manifests = &mut merged.manifests;
                if row.is_deleted() { &mut manifests.deleted } else { &mut manifests.live }.push(row.id());
            }
        }
        !gone
    });
    rows.shrink_to_fit();
    merged
}

/// Sorts by key, and rows of the same content so that the one that counts comes first.
///
/// Rows are large, and nearly all of them are told apart by eight bytes of their hash. So these are sorted
/// with the places of their rows, three times as fast, and then each row is moved once.
fn sort<const H: usize>(rows: &mut [Row<H>], packs: &[BlobId]) {
    let mut order: Vec<(u64, usize)> =
        rows.iter().enumerate().map(|(place, row)| (row.fraction(), place)).collect();
    order.sort_unstable_by(|a, b| {
        let full = || {
            let (a, b) = (&rows[a.1], &rows[b.1]);
            a.key().cmp(&b.key()).then_with(|| preferred(a, b, packs))
        };
        a.0.cmp(&b.0).then_with(full)
    });
    for start in 0..order.len() {
        // Each cycle of the permutation is walked once; places that are done point to themselves.
        let mut to = start;
        let first = rows[start];
        loop {
            let from = std::mem::replace(&mut order[to].1, to);
            if from == start {
                rows[to] = first;
                break;
            }
            rows[to] = rows[from];
            to = from;
        }
    }
}

/// Orders two rows of one content, the one that counts first: the later, then the one that is not deleted,
/// then the greater pack name.
fn preferred<const H: usize>(a: &Row<H>, b: &Row<H>, packs: &[BlobId]) -> Ordering {
    let by_time = b.time.cmp(&a.time);
    by_time
        .then_with(|| a.is_deleted().cmp(&b.is_deleted()))
        .then_with(|| packs[b.pack as usize].cmp(&packs[a.pack as usize]))
}
