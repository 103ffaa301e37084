//! How fast work gets on, and how long what is left takes at that pace.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back the pace is measured: long enough to even out what is uneven, short enough to follow when
/// small files come after large ones.
const WINDOW: Duration = Duration::from_secs(30);

/// How often it is measured.
const STEP: Duration = Duration::from_millis(250);

/// The shortest time from which anything is concluded.
const SHORTEST: Duration = Duration::from_millis(900);

/// How much was done at some time.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    at: Duration,
    bytes: u64,
    work: u64,
}

/// Measures over the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    samples: VecDeque<Sample>,
    last: Sample,
}

impl Pace {
    /// Takes down how much is done at a time since the start, in bytes and in what takes time.
    pub(crate) fn take(&mut self, at: Duration, bytes: u64, work: u64) {
        self.last = Sample { at, bytes, work };
        // Before the first is done, nothing is known of how fast it goes: folders may be read for minutes.
        if work == 0 {
            self.samples.clear();
        }
        if self.samples.back().is_none_or(|newest| at.saturating_sub(newest.at) >= STEP) {
            self.samples.push_back(self.last);
        }
        while self.samples.len() > 2 && at.saturating_sub(self.samples[1].at) >= WINDOW {
            self.samples.pop_front();
        }
    }

    /// Returns how many bytes are done in a second, as long as that is known.
    pub(crate) fn bytes_per_second(&self) -> Option<u64> {
        let (first, seconds) = self.since()?;
        Some((self.last.bytes.saturating_sub(first.bytes) as f64 / seconds) as u64)
    }

    /// Returns how long what is left of all work takes; nothing at the start, and while nothing gets on.
    pub(crate) fn left(&self, total: u64) -> Option<Duration> {
        let (first, seconds) = self.since()?;
        let done = self.last.work.saturating_sub(first.work);
        let left = total.saturating_sub(self.last.work);
        if done == 0 {
            return None;
        }
        Duration::try_from_secs_f64(left as f64 * seconds / done as f64).ok()
    }

    fn since(&self) -> Option<(Sample, f64)> {
        let first = *self.samples.front()?;
        let time = self.last.at.saturating_sub(first.at);
        (time >= SHORTEST).then_some((first, time.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: &[(u64, u64)]) -> Pace {
        let mut pace = Pace::default();
        seconds.iter().for_each(|&(at, done)| pace.take(Duration::from_secs(at), done, done));
        pace
    }

    #[test]
    fn nothing_is_said_before_something_is_known() {
        assert_eq!((after(&[]).left(100), after(&[(0, 0)]).left(100)), (None, None));
        // Folders are read for ten seconds, then 10 a second are done: 90 are left.
        let read_first = after(&[(0, 0), (9, 0), (10, 0), (11, 10)]);
        assert_eq!(read_first.left(100), Some(Duration::from_secs(9)));
        assert_eq!(read_first.bytes_per_second(), Some(10));
        assert_eq!(after(&[(0, 0), (1, 5), (40, 5), (80, 5)]).left(100), None, "nothing gets on any more");
    }

    #[test]
    fn the_pace_is_that_of_the_last_half_minute() {
        let mut pace = Pace::default();
        // 1000 a second for a minute, and then 10 a second for another one.
        for second in 0..=120 {
            let done = if second <= 60 { second * 1000 } else { 60_000 + (second - 60) * 10 };
            pace.take(Duration::from_secs(second), done, done);
        }
        assert_eq!(pace.bytes_per_second(), Some(10));
        assert_eq!(pace.left(60_600 + 300), Some(Duration::from_secs(30)));
        assert!(pace.samples.len() <= 32, "{}", pace.samples.len());
    }
}
