//! Numbers that stand in the place of others.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The number that means "leave it as it is" to the system, and is nobody's.
const NOBODYS: u32 = u32::MAX;

/// Which numbers stand in the place of those that were backed up. By default each stands for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdMap {
    /// By the first number of each range; none overlaps another.
    ranges: BTreeMap<u32, Range>,
    /// What all other numbers become.
    rest: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    last: u32,
    to: u32,
}

/// A range of numbers is empty, or does not end before 4294967295, which no user and no group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("numbers of users and groups are below 4294967295, and ranges go from the lower to the higher one")]
#[non_exhaustive]
pub struct NoSuchId;

impl IdMap {
    /// Maps a range to as many numbers from `to` on. What has been mapped before stays so.
    ///
    /// # Errors
    /// [`NoSuchId`] if some of the numbers are not one.
    pub fn add(&mut self, from: RangeInclusive<u32>, to: u32) -> Result<(), NoSuchId> {
        let (first, last) = (*from.start(), *from.end());
        let length = last.checked_sub(first).ok_or(NoSuchId)?;
        let end = to.checked_add(length).ok_or(NoSuchId)?;
        if last == NOBODYS || end == NOBODYS {
            return Err(NoSuchId);
        }
        let mut next = first;
        while next <= last {
            if let Some(range) = self.range_of(next) {
                next = range.1.last + 1;
                continue;
            }
            let until = self.ranges.range(next..).next().map_or(last, |(start, _)| last.min(start - 1));
            self.ranges.insert(next, Range { last: until, to: to + (next - first) });
            next = until + 1;
        }
        Ok(())
    }

    /// Maps all numbers that no range has to a single one.
    ///
    /// # Errors
    /// [`NoSuchId`] if it is not one.
    pub fn set_rest(&mut self, to: u32) -> Result<(), NoSuchId> {
        if to == NOBODYS {
            return Err(NoSuchId);
        }
        self.rest = Some(to);
        Ok(())
    }

    /// Returns the number that stands in the place of one.
    pub fn get(&self, id: u32) -> u32 {
        match self.range_of(id) {
            Some((first, range)) => range.to + (id - first),
            None => self.rest.unwrap_or(id),
        }
    }

    /// Returns what all numbers become that no range has, if that is not themselves.
    pub(super) fn rest(&self) -> Option<u32> {
        self.rest
    }

    /// Returns whether a number is mapped by a range.
    pub(super) fn has(&self, id: u32) -> bool {
        self.range_of(id).is_some()
    }

    /// Returns whether the number in the place of one means the same user or group. Nobody else means root.
    pub(super) fn keeps_identity(&self, id: u32) -> bool {
        let to = self.get(id);
        to == id || to != 0 && self.has(id)
    }

    /// Finds the range that has a number, with where it begins.
    fn range_of(&self, id: u32) -> Option<(u32, Range)> {
        let (first, range) = self.ranges.range(..=id).next_back()?;
        (id <= range.last).then_some((*first, *range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_maps_a_number_counts() {
        let mut map = IdMap::default();
        map.add(10..=19, 110).unwrap();
        map.add(30..=39, 230).unwrap();
        map.add(5..=44, 1005).unwrap();
        map.add(12..=12, 7).unwrap();
        map.add(51..=51, 1).unwrap();
        map.add(50..=53, 2050).unwrap();
        for (from, to) in [
            (4, 4),
            (5, 1005),
            (9, 1009),
            (10, 110),
            (12, 112),
            (19, 119),
            (20, 1020),
            (29, 1029),
            (30, 230),
            (40, 1040),
            (44, 1044),
            (45, 45),
            (50, 2050),
            (51, 1),
            (52, 2052),
            (53, 2053),
            (u32::MAX, u32::MAX),
        ] {
            assert_eq!(map.get(from), to, "{from}");
        }
        map.set_rest(3).unwrap();
        assert_eq!([map.get(4), map.get(5), map.get(u32::MAX)], [3, 1005, 3]);
    }

    #[test]
    fn a_number_that_nobody_has_is_refused() {
        let mut map = IdMap::default();
        let last = u32::MAX - 1;
        map.add(last..=last, last).unwrap();
        map.add(0..=last, 0).unwrap();
        assert_eq!([map.get(last), map.get(last - 1)], [last, last - 1]);
        #[expect(clippy::reversed_empty_ranges, reason = "it is refused")]
        let wrong = [(0..=u32::MAX, 0), (0..=1, last), (0..=0, u32::MAX), (2..=1, 5), (1..=2, u32::MAX)];
        for (from, to) in wrong {
            assert_eq!(map.add(from, to), Err(NoSuchId));
        }
        assert_eq!(map.set_rest(u32::MAX), Err(NoSuchId));
    }

    #[test]
    fn whoever_gets_the_rest_is_somebody_else() {
        let mut map = IdMap::default();
        map.add(5..=6, 7).unwrap();
        map.add(9..=9, 0).unwrap();
        assert!(map.keeps_identity(1) && map.keeps_identity(5) && !map.keeps_identity(9));
        map.set_rest(2).unwrap();
        assert!(!map.keeps_identity(1) && map.keeps_identity(2) && map.keeps_identity(6));
        let mut root = IdMap::default();
        root.set_rest(0).unwrap();
        assert!(root.keeps_identity(0) && !root.keeps_identity(1));
    }
}
