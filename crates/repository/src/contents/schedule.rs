//! In which order contents are read: pure, so that it can be tested without a repository.
//!
//! Contents are sorted by pack and offset, so that packs are read front to back whatever order the files have. Uses of one
//! content come to lie side by side: it is read and decoded once. Neighbours are merged into ranges that are read at once.

use std::ops::Range;

use kopia_storage::ReadProfile;

use crate::ContentLocation;
use crate::contents::Located;

/// The most contents in one range, so that all threads have something to do.
const CONTENTS: usize = 128;

/// How ranges may be merged.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most bytes between two contents that are read along and thrown away.
    pub gap: u64,
    /// The most bytes that are read at once, unless a single content has more.
    pub bytes: u64,
    /// The most contents in one range, so that all threads have something to do.
    pub contents: usize,
}

impl From<ReadProfile> for Limits {
    fn from(profile: ReadProfile) -> Self {
        Self { gap: profile.merge_gap, bytes: profile.merge_limit as u64, contents: CONTENTS }
    }
}

/// A range of a pack, and the contents in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadStep {
    /// The number of the pack; [`crate::Repository::pack`] has the name.
    pub pack: u32,
    /// The range of the pack, in bytes.
    pub bytes: Range<u64>,
    /// Which of the sorted uses it serves.
    pub uses: Range<usize>,
    /// Whether it begins where the read before it ends, or a little later in the same pack: the system reads on by itself.
    pub follows: bool,
}

impl ReadStep {
    /// Returns how many bytes are read.
    pub fn length(&self) -> usize {
        // Both ends are sums of two 32-bit numbers.
        (self.bytes.end - self.bytes.start) as usize
    }
}

/// Sorts `uses` by their location and cuts them into reads.
pub fn schedule<U: Located>(uses: &mut [U], limits: Limits) -> Vec<ReadStep> {
    uses.sort_by(|a, b| {
        let key = |location: ContentLocation| (location.pack, location.offset, location.packed_length);
        // An index of an attacker can put several contents at one location.
        key(a.location()).cmp(&key(b.location())).then_with(|| a.content().cmp(&b.content()))
    });
    let mut reads: Vec<ReadStep> = Vec::new();
    let mut contents = 0;
    for (number, location) in uses.iter().map(Located::location).enumerate() {
        let bytes = location.range();
        if let Some(read) = reads.last_mut().filter(|read| read.pack == location.pack) {
            let merged = read.bytes.start..read.bytes.end.max(bytes.end);
            let known = bytes.end <= read.bytes.end;
            let near = bytes.start <= read.bytes.end.saturating_add(limits.gap);
            let small = merged.end - merged.start <= limits.bytes && contents < limits.contents;
            if known || near && small {
                contents += usize::from(!known);
                read.bytes = merged;
                read.uses.end = number + 1;
                continue;
            }
        }
        contents = 1;
        let follows = reads.last().is_some_and(|read| {
            read.pack == location.pack && bytes.start <= read.bytes.end.saturating_add(limits.gap)
        });
        reads.push(ReadStep { pack: location.pack, bytes, uses: number..number + 1, follows });
    }
    reads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(pack: u32, offset: u32, packed_length: u32) -> ContentLocation {
        ContentLocation { pack, offset, packed_length, original_length: 0, compression: 0, deleted: false }
    }

    impl Located for ContentLocation {
        fn content(&self) -> kopia_format::ContentId {
            kopia_format::ContentId::new(None, &[0; 16]).unwrap()
        }

        fn location(&self) -> ContentLocation {
            *self
        }
    }

    fn reads(places: &[(u32, u32, u32)], limits: Limits) -> Vec<(u32, Range<u64>, usize)> {
        let mut uses: Vec<_> =
            places.iter().map(|&(pack, offset, length)| location(pack, offset, length)).collect();
        let reads = schedule(&mut uses, limits);
        let covered: Vec<_> = reads.iter().flat_map(|read| read.uses.clone()).collect();
        assert_eq!(covered, (0..places.len()).collect::<Vec<_>>(), "each use is served once");
        for read in &reads {
            for item in &uses[read.uses.clone()] {
                assert!(
                    read.pack == item.pack
                        && read.bytes.start <= item.range().start
                        && item.range().end <= read.bytes.end
                );
            }
        }
        reads.into_iter().map(|read| (read.pack, read.bytes, read.uses.len())).collect()
    }

    const LIMITS: Limits = Limits { gap: 10, bytes: 100, contents: 4 };

    #[test]
    fn neighbours_are_merged() {
        for (places, expected) in [
            (&[][..], vec![]),
            (&[(0, 5, 5)], vec![(0, 5..10, 1)]),
            // Sorted, adjacent, and over a small gap.
            (&[(0, 20, 5), (0, 5, 5), (0, 10, 5)], vec![(0, 5..25, 3)]),
            // Too far, another pack.
            (&[(0, 5, 5), (0, 21, 5), (1, 26, 5)], vec![(0, 5..10, 1), (0, 21..26, 1), (1, 26..31, 1)]),
            // Too many bytes.
            (&[(0, 0, 60), (0, 60, 40), (0, 100, 1)], vec![(0, 0..100, 2), (0, 100..101, 1)]),
            // A single content may be larger than a range.
            (&[(0, 0, 1000), (0, 1000, 1)], vec![(0, 0..1000, 1), (0, 1000..1001, 1)]),
            // Too many contents, but uses of the same one stay together.
            (&[(0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1)], vec![(0, 0..4, 4), (0, 4..5, 1)]),
            (&[(0, 3, 1), (0, 3, 1), (0, 3, 1), (0, 3, 1), (0, 3, 1), (0, 3, 1)], vec![(0, 3..4, 6)]),
            // Overlapping places, as only a hostile index has them.
            (&[(0, 0, 10), (0, 5, 10), (0, 5, 2)], vec![(0, 0..15, 3)]),
            (&[(0, u32::MAX, u32::MAX)], vec![(0, u64::from(u32::MAX)..2 * u64::from(u32::MAX), 1)]),
        ] {
            assert_eq!(reads(places, LIMITS), expected, "{places:?}");
        }
    }
}
