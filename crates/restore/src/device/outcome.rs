//! What a restore to a device did.

use std::ops::Range;

use crate::reason::Reason;

/// How many lost ranges an outcome keeps; observers are told of all.
pub(super) const KEPT: usize = 10_000;

/// The end of a restore to a device that ran to the end, with everything forced to the device.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DeviceOutcome {
    /// How many bytes of the file belong on the device. What the device has beyond them was left alone.
    pub size: u64,
    /// How many bytes the device has.
    pub device_size: u64,
    /// Bytes that were written.
    pub written: u64,
    /// Bytes of zeros that the device was told to make itself, by discarding or zeroing.
    pub zeroed: u64,
    /// Bytes that were on the device already.
    pub kept: u64,
    /// How many bytes are lost: zero with [`Options::salvage`](crate::Options::salvage), else as they were.
    pub lost_bytes: u64,
    /// How often bytes are lost, in ranges that are not joined.
    pub lost_count: u64,
    /// The first 10,000 lost ranges, in order; neighbours with one reason are joined.
    pub lost: Vec<LostRange>,
    /// Whether the file has something else than zeros beyond the size that its backup states. That is nowhere.
    pub goes_on: bool,
    /// How many bytes were read again and are right, if that was asked for.
    pub verified: Option<u64>,
}

/// Bytes that are not on the device as they were backed up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LostRange {
    /// Where they belong, in bytes.
    pub range: Range<u64>,
    /// Why.
    pub reason: Reason,
}

impl DeviceOutcome {
    /// Returns whether everything that was backed up is on the device.
    pub fn is_complete(&self) -> bool {
        self.lost_count == 0 && !self.goes_on
    }

    pub(super) fn lose(&mut self, range: Range<u64>, reason: Reason) {
        self.lost_bytes = self.lost_bytes.saturating_add(range.end.saturating_sub(range.start));
        self.lost_count += 1;
        self.lost.push(LostRange { range, reason });
    }

    /// Puts lost ranges into order, and joins those that meet and have one reason.
    pub(super) fn settle(&mut self) {
        self.lost.sort_by_key(|lost| (lost.range.start, lost.range.end));
        let mut joined: Vec<LostRange> = Vec::new();
        for lost in std::mem::take(&mut self.lost) {
            let same = |last: &&mut LostRange| {
                last.range.end == lost.range.start && last.reason.to_string() == lost.reason.to_string()
            };
            match joined.last_mut().filter(same) {
                Some(last) => last.range.end = lost.range.end,
                None => joined.push(lost),
            }
        }
        self.lost = joined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_that_are_lost_for_one_reason_are_joined() {
        let mut outcome = DeviceOutcome::default();
        assert!(outcome.is_complete());
        let other = Reason::BeyondSize { size: 1 };
        for (range, reason) in [
            (30..40, Reason::ReadsDifferent),
            (0..10, Reason::ReadsDifferent),
            (50..60, Reason::ReadsDifferent),
            (20..30, other.clone()),
            (10..20, Reason::ReadsDifferent),
        ] {
            outcome.lose(range, reason);
        }
        outcome.settle();
        let lost: Vec<_> = outcome.lost.iter().map(|lost| (lost.range.clone(), lost.reason.word())).collect();
        let (different, beyond) = (Reason::ReadsDifferent.word(), other.word());
        assert_eq!(lost, [(0..20, different), (20..30, beyond), (30..40, different), (50..60, different)]);
        assert_eq!((outcome.lost_bytes, outcome.lost_count, outcome.is_complete()), (50, 5, false));
        assert!(!DeviceOutcome { goes_on: true, ..DeviceOutcome::default() }.is_complete());
    }
}
