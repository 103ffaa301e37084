//! How many reads of packs are under way at once: as many as the link has use for, and the store bears.
//!
//! It begins with what the store's profile says, allows more as long as more reads bring more bytes, and
//! fewer once the store is busy; then a read waits and is tried again, rather than to fail. What it decides
//! is pure: times are handed in.

use std::io;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use kopia_storage::{Error, ReadAhead, ReadProfile, Result};

use crate::lock::{lock, wait};

/// How much faster more reads have to be to be worth it.
const GAIN: f64 = 1.05;

/// The shortest time whose speed counts.
const SHORTEST: Duration = Duration::from_millis(20);

/// For how many windows the number of reads stays as it is after more brought nothing, or were refused.
const PATIENCE: u32 = 16;

/// How often a read is tried that a store refuses because it is busy, whatever that has tried itself, and how
/// long it waits before the second time; each time after that twice as long.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(100);

/// Lets a number of reads through at once, and learns which number is best.
pub(crate) struct Pace {
    /// Nothing where bytes are near: then nobody waits.
    ramp: Option<Mutex<Ramp>>,
    changed: Condvar,
}

impl Pace {
    pub(crate) fn new(profile: ReadProfile) -> Self {
        let ramp =
            (profile.ahead == ReadAhead::Threads).then(|| Mutex::new(Ramp::new(profile, Instant::now())));
        Self { ramp, changed: Condvar::new() }
    }

    /// Reads once it is its turn, and again while the store says that it is busy; `read` returns bytes, whose
    /// number `length` tells.
    pub(super) fn read<T>(
        &self,
        mut read: impl FnMut() -> Result<T>,
        length: impl Fn(&T) -> usize,
    ) -> Result<T> {
        let Some(ramp) = &self.ramp else { return read() };
        let mut pauses = pauses();
        loop {
            let begun = self.begin(ramp);
            let result = read();
            let bytes = match &result {
                Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::ResourceBusy => None,
                result => Some(result.as_ref().map_or(0, &length)),
            };
            lock(ramp).end(begun, bytes, Instant::now());
            self.changed.notify_all();
            match pauses.next() {
                Some(pause) if bytes.is_none() => thread::sleep(pause),
                _ => return result,
            }
        }
    }

    /// Waits until one more read may be under way; returns when that was.
    fn begin(&self, ramp: &Mutex<Ramp>) -> Instant {
        let mut ramp = lock(ramp);
        while !ramp.has_room() {
            ramp.was_full = true;
            ramp = wait(&self.changed, ramp);
        }
        ramp.reading += 1;
        Instant::now()
    }
}

/// Returns how long to wait before each time but the first that a read is tried.
fn pauses() -> impl Iterator<Item = Duration> {
    (1..TRIES).map(|tried| PAUSE * 2u32.pow(tried - 1))
}

/// How many reads may be under way, and what that number brought.
#[derive(Debug)]
struct Ramp {
    limit: usize,
    most: usize,
    reading: usize,
    /// Whether a read had to wait since the window began: without that, speed says nothing of the limit.
    was_full: bool,
    /// When the window began, and what came since.
    since: Instant,
    reads: usize,
    bytes: usize,
    /// The limit before the last one, and how many bytes came in a second by it, while the last one is on
    /// trial.
    before: Option<(usize, f64)>,
    patience: u32,
    /// When the limit was last lowered because the store was busy.
    lowered: Option<Instant>,
}

impl Ramp {
    fn new(profile: ReadProfile, now: Instant) -> Self {
        let limit = profile.parallel_reads.max(1);
        Self {
            limit,
            most: profile.most_reads.max(limit),
            reading: 0,
            was_full: false,
            since: now,
            reads: 0,
            bytes: 0,
            before: None,
            patience: 0,
            lowered: None,
        }
    }

    fn has_room(&self) -> bool {
        self.reading < self.limit
    }

    /// Ends a read that began at `begun`, with so many bytes or, if the store was busy, none.
    fn end(&mut self, begun: Instant, bytes: Option<usize>, now: Instant) {
        self.reading = self.reading.saturating_sub(1);
        let Some(bytes) = bytes else { return self.lower(begun, now) };
        self.reads += 1;
        self.bytes += bytes;
        let time = now.saturating_duration_since(self.since);
        if self.reads < self.limit || time < SHORTEST {
            return;
        }
        if self.was_full {
            self.judge(self.bytes as f64 / time.as_secs_f64());
        }
        self.begin_window(now);
    }

    /// Takes the speed of a whole window into account.
    fn judge(&mut self, speed: f64) {
        match self.before.take() {
            Some((limit, before)) if speed < before * GAIN => {
                self.limit = limit;
                self.patience = PATIENCE;
            }
            _ if self.patience > 0 => self.patience -= 1,
            _ if self.limit < self.most => {
                self.before = Some((self.limit, speed));
                self.limit = (self.limit + self.limit.div_ceil(2)).min(self.most);
            }
            _ => {}
        }
    }

    /// Halves the number of reads, once for all that were refused together.
    fn lower(&mut self, begun: Instant, now: Instant) {
        if self.lowered.is_some_and(|lowered| begun < lowered) {
            return;
        }
        self.limit = (self.limit / 2).max(1);
        self.lowered = Some(now);
        self.before = None;
        self.patience = PATIENCE;
        self.begin_window(now);
    }

    fn begin_window(&mut self, now: Instant) {
        (self.since, self.reads, self.bytes, self.was_full) = (now, 0, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kopia_storage::ErrorKind;

    use super::*;

    /// Plays a link of so many bytes a second and a round trip of 100 ms, on which each read brings 1 MB, for
    /// some windows; returns the limits.
    fn play(ramp: &mut Ramp, now: &mut Instant, link: f64, windows: usize) -> Vec<usize> {
        let mut limits = Vec::new();
        for _ in 0..windows {
            let reads = ramp.limit;
            let seconds = (0.1f64).max(reads as f64 * 1e6 / link);
            *now += Duration::from_secs_f64(seconds);
            for _ in 0..reads {
                ramp.was_full = true;
                ramp.end(*now, Some(1_000_000), *now);
            }
            limits.push(ramp.limit);
        }
        limits
    }

    fn ramp() -> (Ramp, Instant) {
        let now = Instant::now();
        (Ramp::new(ReadProfile::NETWORK, now), now)
    }

    #[test]
    fn it_grows_while_that_brings_more() {
        let (mut ramp, mut now) = ramp();
        assert_eq!(play(&mut ramp, &mut now, 1e12, 5), [24, 36, 54, 64, 64]);
        // 300 MB a second are 30 reads at once: more wait for each other.
        let (mut ramp, mut now) = self::ramp();
        let limits = play(&mut ramp, &mut now, 300e6, 40);
        assert_eq!(limits[..5], [24, 36, 54, 36, 36]);
        assert!(limits.iter().all(|limit| (24..=54).contains(limit)), "{limits:?}");
        assert!(limits[5..].contains(&54), "it is tried again: {limits:?}");
    }

    #[test]
    fn there_is_room_up_to_the_limit() {
        let (mut ramp, now) = ramp();
        ramp.reading = ramp.limit - 1;
        assert!(ramp.has_room());
        ramp.reading += 1;
        assert!(!ramp.has_room());
        ramp.end(now, Some(1), now);
        assert!(ramp.has_room());
    }

    #[test]
    fn a_moment_says_nothing_of_the_speed() {
        let (mut ramp, now) = ramp();
        for _ in 0..100 {
            ramp.was_full = true;
            ramp.end(now, Some(1_000_000), now + SHORTEST / 2);
        }
        assert_eq!((ramp.limit, ramp.reads), (16, 100));
        ramp.end(now, Some(1_000_000), now + SHORTEST * 2);
        assert_eq!((ramp.limit, ramp.reads), (24, 0));
    }

    #[test]
    fn fewer_reads_than_may_be_under_way_say_nothing_of_the_speed() {
        let (mut ramp, now) = ramp();
        for read in 1..=16 {
            assert_eq!((ramp.limit, ramp.reads), (16, read - 1));
            ramp.was_full = true;
            ramp.end(now, Some(1_000_000), now + SHORTEST * 2);
        }
        assert_eq!((ramp.limit, ramp.reads), (24, 0));
    }

    #[test]
    fn a_small_gain_is_none() {
        for (speed, expected) in [(104.0, 16), (106.0, 36)] {
            let (mut ramp, _) = ramp();
            ramp.judge(100.0);
            assert_eq!(ramp.limit, 24);
            ramp.judge(speed);
            assert_eq!(ramp.limit, expected, "{speed}");
        }
    }

    #[test]
    fn it_stays_where_nobody_waits() {
        let (mut ramp, now) = ramp();
        for turn in 1..1000 {
            let now = now + Duration::from_millis(turn);
            ramp.end(now, Some(1000), now);
        }
        assert_eq!(ramp.limit, 16);
        let (mut near, mut now) = (Ramp::new(ReadProfile::SPINNING, now), now);
        assert_eq!(play(&mut near, &mut now, 1e12, 3), [1, 1, 1]);
    }

    #[test]
    fn a_busy_store_is_asked_for_less_once_for_all_that_it_refused() {
        let (mut ramp, now) = ramp();
        for _ in 0..16 {
            ramp.end(now, None, now + Duration::from_millis(1));
        }
        assert_eq!(ramp.limit, 8);
        let mut later = now + Duration::from_millis(2);
        ramp.end(later, None, later);
        assert_eq!(ramp.limit, 4);
        let limits = play(&mut ramp, &mut later, 1e12, 20);
        assert!(limits[..16].iter().all(|&limit| limit == 4), "{limits:?}");
        assert_eq!(limits[17..], [9, 14, 21], "{limits:?}");
    }

    #[test]
    fn a_read_is_tried_again_as_long_as_the_store_is_busy() {
        let (pace, tries) = (Pace::new(ReadProfile::NETWORK), Cell::new(0));
        let blob = || "p1".parse().unwrap();
        let fail = |kind: io::ErrorKind| Error::Read {
            blob: blob(),
            place: String::new(),
            offset: 0,
            source: kind.into(),
        };
        let read = || {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(fail(io::ErrorKind::ResourceBusy)) } else { Ok(7) }
        };
        assert_eq!(pace.read(read, |_| 1).unwrap(), 7);
        let broken = || Err::<(), _>(fail(io::ErrorKind::InvalidData));
        assert_eq!(pace.read(broken, |()| 1).unwrap_err().kind(), ErrorKind::Broken);
        assert_eq!(lock(pace.ramp.as_ref().unwrap()).limit, 4);
    }

    #[test]
    fn pauses_double_and_come_to_an_end() {
        let pauses: Vec<_> = pauses().map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600]);
    }

    #[test]
    fn reads_that_are_under_way_are_counted() {
        let pace = Pace::new(ReadProfile::NETWORK);
        let reading = || lock(pace.ramp.as_ref().unwrap()).reading;
        let inner = || pace.read(|| Ok(reading()), |_| 1);
        let outer = pace.read(|| Ok((reading(), inner()?, reading())), |_| 1);
        assert_eq!((outer.unwrap(), reading()), ((1, 2, 1), 0));
    }
}
