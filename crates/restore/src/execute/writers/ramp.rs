//! How many writers a target has use for: what was measured decides. It is pure; times are handed in.

use std::time::{Duration, Instant};

/// How many writers are tried first, for each that writes without them.
const FIRST: usize = 4;

/// How much faster the first writers have to be than none, and twice as many than half of them.
const FIRST_GAIN: f64 = 1.3;
const GAIN: f64 = 1.1;

/// The shortest time whose speed counts.
const SHORTEST: Duration = Duration::from_millis(30);

/// For how many windows a number stays as it is after more brought nothing.
const PATIENCE: u32 = 32;

/// How long nothing is tried after writers brought nothing; twice as long each time.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// A number of writers, and what it brought.
#[derive(Debug)]
pub(super) struct Ramp {
    most: usize,
    /// Whether the number is the caller's choice.
    is_fixed: bool,
    /// How many may write; none as long as those who decode write for themselves.
    limit: usize,
    /// The limit before the last one, and its speed, while the last one is on trial.
    before: Option<(usize, f64)>,
    patience: u32,
    /// When the window began, and what was written since.
    since: Instant,
    pub(super) writes: usize,
    units: f64,
    /// Whether something waited for a writer all the time: without that, speed says nothing of the limit.
    pub(super) was_busy: bool,
    /// Whether something could not wait for a writer, as too much was under way already: no more writers would
    /// have had anything to do, so that speed is what this number brings.
    pub(super) was_full: bool,
    pause: Duration,
    /// Until when nothing is tried.
    not_before: Option<Instant>,
}

impl Ramp {
    /// Starts without writers; there may be `most`, or there are `fixed` from the start.
    pub(super) fn new(most: usize, fixed: Option<usize>, now: Instant) -> Self {
        Self {
            most: fixed.unwrap_or(most),
            is_fixed: fixed.is_some(),
            limit: fixed.unwrap_or(0),
            before: None,
            patience: 0,
            since: now,
            writes: 0,
            units: 0.0,
            was_busy: true,
            was_full: false,
            pause: PAUSE,
            not_before: None,
        }
    }

    /// Returns how many may write side by side; 0 where those who decode are to write for themselves.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Starts a trial: those who decode wait for the target, and write so many units a second together.
    pub(super) fn start(&mut self, workers: usize, speed: f64, now: Instant) {
        let first = (workers.saturating_mul(FIRST)).min(self.most);
        if self.limit > 0 || first == 0 || self.not_before.is_some_and(|time| now < time) {
            return;
        }
        self.before = Some((0, speed));
        self.limit = first;
        self.patience = 0;
        self.begin_window(now);
    }

    /// Notes that so much was written, and whether more waits.
    pub(super) fn wrote(&mut self, units: f64, more_waits: bool, now: Instant) {
        self.writes += 1;
        self.units += units;
        self.was_busy &= more_waits;
        let time = now.saturating_duration_since(self.since);
        if self.limit == 0 || self.writes < 2 * self.limit || time < SHORTEST {
            return;
        }
        if (self.was_busy || self.was_full) && !self.is_fixed {
            self.judge(self.units / time.as_secs_f64(), now);
        }
        self.begin_window(now);
    }

    /// Notes that something could not wait for a writer.
    pub(super) fn was_refused(&mut self) {
        self.was_full = true;
    }

    /// Takes the speed of a whole window into account.
    fn judge(&mut self, speed: f64, now: Instant) {
        match self.before.take() {
            Some((0, before)) if speed < before * FIRST_GAIN => {
                self.limit = 0;
                self.not_before = Some(now + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
            Some((limit, before)) if limit > 0 && speed < before * GAIN => {
                self.limit = limit;
                self.patience = PATIENCE;
            }
            _ if self.patience > 0 => self.patience -= 1,
            _ if self.limit < self.most => {
                self.before = Some((self.limit, speed));
                self.limit = (self.limit * 2).min(self.most);
            }
            _ => {}
        }
    }

    fn begin_window(&mut self, now: Instant) {
        (self.since, self.writes, self.units) = (now, 0, 0.0);
        (self.was_busy, self.was_full) = (true, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a target on which a write takes `wait`, and of which so many can be under way; returns the limit
    /// after some seconds.
    fn settle(most: usize, wait: Duration, side_by_side: usize, seconds: f64) -> usize {
        let start = Instant::now();
        let mut ramp = Ramp::new(most, None, start);
        let mut now = start;
        while now < start + Duration::from_secs_f64(seconds) {
            if ramp.limit() == 0 {
                now += Duration::from_millis(10);
                ramp.start(2, 2.0f64.min(side_by_side as f64) / wait.as_secs_f64(), now);
                continue;
            }
            now += wait / u32::try_from(ramp.limit().min(side_by_side)).unwrap();
            ramp.wrote(1.0, true, now);
        }
        ramp.limit()
    }

    #[test]
    fn it_grows_as_long_as_that_pays() {
        let wait = Duration::from_millis(4);
        assert_eq!(settle(128, wait, 1000, 5.0), 128);
        assert_eq!(settle(20, wait, 1000, 5.0), 20, "there may be no more");
        let found = settle(128, wait, 24, 5.0);
        assert!((16..=64).contains(&found), "{found}");
    }

    #[test]
    fn more_are_tried_again_after_a_while() {
        let now = Instant::now();
        let mut ramp = Ramp::new(128, None, now);
        ramp.start(2, 10.0, now);
        ramp.judge(13.1, now);
        assert_eq!(ramp.limit(), 16);
        ramp.start(2, 1.0, now);
        assert_eq!(ramp.limit(), 16, "they have been started");
        ramp.judge(14.3, now);
        assert_eq!(ramp.limit(), 8, "that was not worth it");
        for _ in 0..PATIENCE {
            ramp.judge(13.0, now);
            assert_eq!(ramp.limit(), 8);
        }
        ramp.judge(13.0, now);
        assert_eq!(ramp.limit(), 16);
    }

    #[test]
    fn a_moment_says_nothing_of_the_speed() {
        let now = Instant::now();
        let mut ramp = Ramp::new(128, None, now);
        ramp.start(2, 10.0, now);
        for _ in 0..100 {
            ramp.wrote(1.0, true, now + SHORTEST / 2);
        }
        assert_eq!(ramp.limit(), 8);
        ramp.wrote(1.0, true, now + SHORTEST);
        assert_eq!(ramp.limit(), 16);
    }

    #[test]
    fn fewer_writes_than_two_of_each_say_nothing_of_the_speed() {
        let now = Instant::now();
        let mut ramp = Ramp::new(128, None, now);
        ramp.start(2, 10.0, now);
        for write in 1..=16 {
            assert_eq!((ramp.limit(), ramp.writes), (8, write - 1));
            ramp.wrote(1.0, true, now + SHORTEST);
        }
        assert_eq!((ramp.limit(), ramp.writes), (16, 0));
    }

    #[test]
    fn a_target_that_does_one_thing_at_a_time_gets_no_writers() {
        let wait = Duration::from_millis(1);
        let start = Instant::now();
        let mut ramp = Ramp::new(128, None, start);
        ramp.start(2, 1000.0, start);
        assert_eq!(ramp.limit(), 8);
        let mut now = start;
        while ramp.limit() > 0 {
            now += wait;
            ramp.wrote(1.0, true, now);
        }
        assert!(now < start + Duration::from_millis(100));
        ramp.start(2, 1000.0, now + PAUSE / 2);
        assert_eq!(ramp.limit(), 0, "not at once");
        ramp.start(2, 1000.0, now + PAUSE);
        assert_eq!(ramp.limit(), 8);
        // A small gain is none, and the next pause is twice as long.
        ramp.judge(1290.0, now + PAUSE);
        assert_eq!(ramp.limit(), 0);
        ramp.start(2, 1000.0, now + PAUSE * 2);
        assert_eq!(ramp.limit(), 0);
        ramp.start(2, 1000.0, now + PAUSE * 3);
        assert_eq!(ramp.limit(), 8);
    }

    #[test]
    fn nothing_is_learnt_while_writers_wait_for_work() {
        let start = Instant::now();
        let mut ramp = Ramp::new(128, None, start);
        ramp.start(2, 1000.0, start);
        for write in 1..1000 {
            ramp.wrote(1.0, false, start + Duration::from_millis(write));
        }
        assert_eq!(ramp.limit(), 8);
    }

    #[test]
    fn writers_that_memory_keeps_from_more_work_are_judged() {
        let start = Instant::now();
        let mut ramp = Ramp::new(128, None, start);
        ramp.start(2, 1000.0, start);
        // All that there is memory for is being written, so nothing waits; each write takes a millisecond as
        // it does without writers.
        for write in 1..1000 {
            ramp.was_refused();
            ramp.wrote(1.0, false, start + Duration::from_millis(write));
        }
        assert_eq!(ramp.limit(), 0, "they bring nothing");
        ramp.begin_window(start);
        assert!(!ramp.was_full, "each window is for itself");
    }

    #[test]
    fn what_a_caller_chose_stays() {
        let start = Instant::now();
        let mut ramp = Ramp::new(128, Some(300), start);
        for write in 1..10_000 {
            ramp.wrote(1.0, true, start + Duration::from_millis(write));
        }
        assert_eq!(ramp.limit(), 300);
    }
}
