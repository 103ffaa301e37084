//! In which order contents are read: pure, so that it can be tested without a repository.
//!
//! Contents are sorted by pack and offset, so that packs are read front to back whatever order the files
//! have. Uses of one content come to lie side by side: it is read and decoded once. Neighbours are merged
//! into ranges that are read at once.

use std::ops::Range;

use kopia_format::ContentId;
use kopia_storage::{ReadAhead, ReadProfile};

use super::ContentLocation;
use super::served::Portion;
use super::turn::is_huge;

/// The most contents in one range, so that all threads have something to do; where each read takes long, some
/// MiB of even the smallest files.
const CONTENTS: usize = 128;
const FAR_CONTENTS: usize = 4096;

/// A need for a content.
pub trait Located {
    /// Returns the content.
    fn content(&self) -> ContentId;

    /// Returns where the content is read from.
    fn location(&self) -> ContentLocation;
}

/// How ranges may be merged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The most bytes between two contents that are read along and thrown away.
    pub(super) gap: u64,
    /// The most bytes that are read at once, unless a single content has more.
    pub(super) bytes: u64,
    /// The most contents in one range.
    pub(super) contents: usize,
}

impl From<ReadProfile> for Limits {
    fn from(profile: ReadProfile) -> Self {
        let contents = match profile.ahead {
            ReadAhead::Hints => CONTENTS,
            ReadAhead::Threads => FAR_CONTENTS,
        };
        Self { gap: profile.merge_gap, bytes: profile.merge_limit as u64, contents }
    }
}

/// Contents that are read at once, as they are neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadStep {
    /// The number of the pack; 0 where there are none.
    pub(super) pack: u32,
    /// The range of the pack, in bytes; where there is none, about as many bytes.
    pub(super) bytes: Range<u64>,
    /// Which of the sorted needs it serves.
    pub(super) serves: Range<usize>,
    /// Whether it begins where the step before it ends, or a little later in the same pack: the system reads
    /// on by itself.
    pub(super) follows: bool,
    /// What is asked for where contents come from a server.
    pub(super) portion: Option<Portion>,
    /// Whether a content in it is so large that it is decoded beside no other such one.
    pub(super) is_huge: bool,
}

impl ReadStep {
    /// Returns how many bytes are read.
    pub fn length(&self) -> usize {
        // Both ends are sums of two 32-bit numbers.
        (self.bytes.end - self.bytes.start) as usize
    }

    /// Returns how many bytes are read ahead of who decodes them.
    pub(super) fn length_ahead(&self) -> usize {
        if self.is_huge { 0 } else { self.length() }
    }

    /// Returns a number that all steps from one pack share; `None` where contents come from no packs.
    pub fn pack(&self) -> Option<u32> {
        self.portion.is_none().then_some(self.pack)
    }

    /// Returns which of the scheduled needs it serves.
    pub fn serves(&self) -> Range<usize> {
        self.serves.clone()
    }
}

/// Sorts needs by location and cuts them into steps.
pub(super) fn schedule<L: Located>(located: &mut [L], limits: Limits) -> Vec<ReadStep> {
    located.sort_by(|a, b| {
        // An index of an attacker can put several contents at one location.
        a.location().order().cmp(&b.location().order()).then_with(|| a.content().cmp(&b.content()))
    });
    let mut steps: Vec<ReadStep> = Vec::new();
    let mut contents = 0;
    for (number, location) in located.iter().map(Located::location).enumerate() {
        let bytes = location.range();
        let last = steps.last_mut().filter(|step| step.pack == location.pack);
        let near = last.as_ref().is_some_and(|step| bytes.start <= step.bytes.end.saturating_add(limits.gap));
        if let Some(step) = last {
            let merged = step.bytes.start..step.bytes.end.max(bytes.end);
            let known = bytes.end <= step.bytes.end;
            let small = merged.end - merged.start <= limits.bytes && contents < limits.contents;
            if known || near && small {
                contents += usize::from(!known);
                step.bytes = merged;
                step.serves.end = number + 1;
                step.is_huge |= is_huge(&location);
                continue;
            }
        }
        contents = 1;
        steps.push(ReadStep {
            pack: location.pack,
            bytes,
            serves: number..number + 1,
            follows: near,
            portion: None,
            is_huge: is_huge(&location),
        });
    }
    steps
}

/// Cuts needs, sorted by location, into groups of the same content.
pub(super) fn same_content<L: Located>(located: &[L]) -> impl Iterator<Item = &[L]> {
    located.chunk_by(|a, b| a.location().range() == b.location().range() && a.content() == b.content())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(pack: u32, offset: u32, packed_length: u32) -> ContentLocation {
        ContentLocation {
            pack,
            offset,
            packed_length,
            original_length: 0,
            compression: 0,
            deleted: false,
            assumed: false,
        }
    }

    impl Located for ContentLocation {
        fn content(&self) -> ContentId {
            ContentId::new(None, &[0; 16]).unwrap()
        }

        fn location(&self) -> ContentLocation {
            *self
        }
    }

    struct Need(ContentId, ContentLocation);

    impl Located for Need {
        fn content(&self) -> ContentId {
            self.0
        }

        fn location(&self) -> ContentLocation {
            self.1
        }
    }

    #[test]
    fn needs_of_one_content_at_one_place_are_met_together_and_no_others() {
        let need = |(number, offset): (u8, u32)| {
            Need(ContentId::new(None, &[number; 16]).unwrap(), location(0, offset, 4))
        };
        // An index of an attacker can put several contents at one location; one that has moved is at two.
        let needs = [(1, 5), (1, 5), (2, 5), (2, 9), (3, 20)].map(need);
        let together: Vec<_> = same_content(&needs).map(|same| same.len()).collect();
        assert_eq!(together, [2, 1, 1, 1]);
    }

    fn reads(places: &[(u32, u32, u32)], limits: Limits) -> Vec<(u32, Range<u64>, usize)> {
        let mut located: Vec<_> =
            places.iter().map(|&(pack, offset, length)| location(pack, offset, length)).collect();
        let steps = schedule(&mut located, limits);
        let covered: Vec<_> = steps.iter().flat_map(|step| step.serves.clone()).collect();
        assert_eq!(covered, (0..places.len()).collect::<Vec<_>>(), "each need is served once");
        for step in &steps {
            assert_eq!(step.bytes.start + step.length() as u64, step.bytes.end);
            for item in &located[step.serves.clone()] {
                assert!(
                    step.pack == item.pack
                        && step.bytes.start <= item.range().start
                        && item.range().end <= step.bytes.end
                );
            }
        }
        steps.into_iter().map(|step| (step.pack, step.bytes, step.serves.len())).collect()
    }

    #[test]
    fn a_huge_content_makes_its_step_huge_which_is_not_read_ahead() {
        let huge = |lengths: &[u32]| {
            let mut offset = 0;
            let mut located: Vec<_> = lengths
                .iter()
                .map(|&length| {
                    let place = location(0, offset, length);
                    offset += length;
                    place
                })
                .collect();
            let steps = schedule(&mut located, Limits { bytes: 1 << 30, ..LIMITS });
            assert!(
                steps.iter().all(|step| step.length_ahead() == if step.is_huge { 0 } else { step.length() })
            );
            steps.iter().map(|step| step.is_huge).collect::<Vec<_>>()
        };
        assert_eq!(huge(&[1 << 25, 1 << 25]), [false], "together they may be long");
        assert_eq!(huge(&[1 << 26]), [true]);
        assert_eq!(huge(&[1, 1 << 26]), [true]);
        let mut twice = [location(0, 0, 1 << 26); 2];
        assert!(schedule(&mut twice, LIMITS).iter().all(|step| step.is_huge), "whoever needs it, it is huge");
    }

    const LIMITS: Limits = Limits { gap: 10, bytes: 100, contents: 4 };

    #[test]
    fn neighbours_are_merged() {
        for (places, expected) in [
            (&[][..], vec![]),
            (&[(0, 5, 5)], vec![(0, 5..10, 1)]),
            // Sorted, adjacent, and over a small gap.
            (&[(0, 20, 5), (0, 5, 5), (0, 10, 5)], vec![(0, 5..25, 3)]),
            (&[(0, 5, 5), (0, 20, 5)], vec![(0, 5..25, 2)]),
            // Too far, another pack.
            (&[(0, 5, 5), (0, 21, 5), (1, 26, 5)], vec![(0, 5..10, 1), (0, 21..26, 1), (1, 26..31, 1)]),
            // Too many bytes.
            (&[(0, 0, 60), (0, 60, 40), (0, 100, 1)], vec![(0, 0..100, 2), (0, 100..101, 1)]),
            (&[(0, 900, 60), (0, 960, 40), (0, 1000, 1)], vec![(0, 900..1000, 2), (0, 1000..1001, 1)]),
            // A single content may be larger than a range.
            (&[(0, 0, 1000), (0, 1000, 1)], vec![(0, 0..1000, 1), (0, 1000..1001, 1)]),
            // Too many contents, but located of the same one stay together.
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
