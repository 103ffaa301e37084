//! Chooses the packs of a run so that all are read within a number of days, run after run.
//!
//! The pack that was read longest ago comes first. A run reads the share of all bytes that the time since the
//! run before it is of the period, so hourly, daily and weekly runs all come around in time, and a run that
//! comes late reads more. What would be overdue before the next run is read in any case, what was damaged is
//! read every time, and packs that are new since the run before are read at once, in addition: otherwise a
//! repository that grows would never have been read as a whole. Packs that are gone, as after compaction, are
//! forgotten. (Splitting packs by a hash into one part for each day would leave a part unread whenever its day
//! was missed.)

use std::cmp::Reverse;
use std::collections::BTreeMap;

use kopia_format::{BlobId, Timestamp};

use super::history::{History, Known, State};

/// How many seconds a day has, which are taken to have gone by before the first run.
const DAY: i64 = 86_400;

/// What was read when, and within how many days all is to be read again.
#[derive(Debug, Clone)]
pub struct Rotation {
    days: u32,
    /// When this run began, in seconds of Unix time.
    now: i64,
    history: History,
}

/// A pack that is there, and what it holds of what is wanted.
#[derive(Debug, Clone)]
pub(super) struct Pack {
    pub(super) id: BlobId,
    pub(super) contents: u64,
    pub(super) bytes: u64,
}

/// What a run that takes its turn leaves for the next.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Rotated {
    /// What was read when, to be kept for the next run.
    pub history: History,
    /// What is known of all packs now.
    pub standing: Standing,
}

/// How far the packs that are there were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Standing {
    /// Packs that hold any content that is wanted.
    pub packs: u64,
    /// Those of them that were read whole and found sound, in this run or one before.
    pub sound: u64,
    /// Those of them of which something could not be read.
    pub damaged: u64,
    /// Since when all of them were read and found sound, if they were; nothing where there are none.
    pub since: Option<Timestamp>,
    /// When the last of those will have been read that were not yet, if runs come regularly.
    pub complete_by: Option<Timestamp>,
}

impl Rotation {
    /// Makes one that reads all packs again within `days`, at least one, of which `history` tells.
    pub fn new(days: u32, now: Timestamp, history: History) -> Self {
        Self { days: days.max(1), now: now.seconds(), history }
    }

    fn period(&self) -> i64 {
        i64::from(self.days) * DAY
    }

    /// Returns how long ago the last run was, in seconds, at most a period.
    fn elapsed(&self) -> i64 {
        let elapsed = self.history.last.and_then(|last| self.now.checked_sub(last));
        // A clock that was set back says nothing.
        elapsed.filter(|elapsed| *elapsed >= 0).unwrap_or(DAY).min(self.period())
    }

    /// Returns what is known of a pack. It was not read if it has more in it by now, or if that is to come.
    fn known(&self, pack: &Pack) -> Known {
        let unread = Known { since: self.now, state: State::Seen };
        match self.history.packs.get(&pack.id) {
            Some(known) if known.since > self.now => unread,
            Some(known) => match known.state {
                State::Sound { contents } if contents < pack.contents => {
                    Known { since: known.since, state: State::Seen }
                }
                _ => *known,
            },
            None => unread,
        }
    }

    /// Returns whether a pack was not there in the run before.
    fn is_new(&self, pack: &Pack) -> bool {
        self.history.last.is_some() && !self.history.packs.contains_key(&pack.id)
    }

    /// Chooses from packs; returns their places in the list, in its order.
    pub(super) fn choose(&self, packs: &[Pack]) -> Vec<usize> {
        let (period, elapsed) = (self.period(), self.elapsed());
        let total: u128 = packs.iter().map(|pack| u128::from(pack.bytes)).sum();
        let share = (total * elapsed.unsigned_abs() as u128).div_ceil(period.unsigned_abs().into());
        let mut order: Vec<_> = packs.iter().map(|pack| self.known(pack)).enumerate().collect();
        // The sort is stable: what was seen or read at once stays in the order of names, which are random.
        // What was only seen comes before what was read at the same time.
        order.sort_by_key(|(_, known)| {
            let is_read = matches!(known.state, State::Sound { .. });
            (Reverse(known.state == State::Damaged), known.since, is_read)
        });
        let (new, order): (Vec<_>, Vec<_>) =
            order.into_iter().partition(|(place, _)| self.is_new(&packs[*place]));
        let mut taken = 0_u128;
        let is_due = |known: &Known| {
            known.state == State::Damaged
                || known.since.saturating_add(period) < self.now.saturating_add(elapsed)
        };
        let chosen = order.into_iter().take_while(|(place, known)| {
            let takes = taken < share || taken == 0 || is_due(known);
            taken += u128::from(packs[*place].bytes);
            takes
        });
        let mut chosen: Vec<usize> = chosen.chain(new).map(|(place, _)| place).collect();
        chosen.sort_unstable();
        chosen
    }

    /// Returns what is known after a run. `read` says of each pack whether it was read, and found sound.
    pub(super) fn after(&self, packs: &[Pack], read: impl Fn(usize) -> Option<bool>) -> Rotated {
        let mut known = BTreeMap::new();
        for (place, pack) in packs.iter().enumerate() {
            let state = match read(place) {
                Some(true) => State::Sound { contents: pack.contents },
                Some(false) => State::Damaged,
                None => {
                    known.insert(pack.id.clone(), self.known(pack));
                    continue;
                }
            };
            known.insert(pack.id.clone(), Known { since: self.now, state });
        }
        let standing = self.standing(&known);
        Rotated { history: History { last: Some(self.now), packs: known }, standing }
    }

    fn standing(&self, known: &BTreeMap<BlobId, Known>) -> Standing {
        let mut standing = Standing { packs: known.len() as u64, ..Standing::default() };
        let (mut oldest, mut last) = (None::<i64>, None::<i64>);
        for Known { since, state } in known.values() {
            match state {
                State::Sound { .. } => {
                    standing.sound += 1;
                    oldest = Some(oldest.map_or(*since, |oldest| oldest.min(*since)));
                }
                State::Damaged => standing.damaged += 1,
                State::Seen => {
                    let by = since.saturating_add(self.period()).max(self.now);
                    last = Some(last.map_or(by, |last| last.max(by)));
                }
            }
        }
        let time = |seconds: i64| Timestamp::new(seconds, 0).ok();
        standing.since = oldest.filter(|_| standing.sound == standing.packs).and_then(time);
        standing.complete_by = last.and_then(time);
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_800_000_000;

    fn pack(number: u64) -> Pack {
        Pack { id: BlobId::new(&format!("p{number:04x}")).unwrap(), contents: 3, bytes: 20 + number % 3 }
    }

    fn rotation(days: u32, now: i64, history: &History) -> Rotation {
        Rotation::new(days, Timestamp::new(now, 0).unwrap(), history.clone())
    }

    /// Runs once, with everything found sound; returns the names of what was read.
    fn run(days: u32, now: i64, packs: &[Pack], history: &mut History) -> (Vec<BlobId>, Standing) {
        let rotation = rotation(days, now, history);
        let chosen = rotation.choose(packs);
        let rotated = rotation.after(packs, |place| chosen.contains(&place).then_some(true));
        *history = rotated.history;
        (chosen.into_iter().map(|place| packs[place].id.clone()).collect(), rotated.standing)
    }

    #[test]
    fn everything_is_read_within_the_period_however_often_it_runs() {
        let packs: Vec<_> = (0..100).map(pack).collect();
        for (days, hours) in [(1, 24), (7, 24), (30, 24), (30, 1), (30, 7 * 24), (30, 13), (2, 72), (5, 24)] {
            let (mut history, mut read) = (History::default(), BTreeMap::new());
            let step = hours * 3600;
            for number in 0..400 {
                let now = START + number * step;
                let (chosen, standing) = run(days, now, &packs, &mut history);
                read.extend(chosen.into_iter().map(|id| (id, now)));
                if now - START < i64::from(days) * DAY {
                    continue;
                }
                // From then on nothing is older than the period, or than the last run.
                let oldest = read.values().min().unwrap();
                assert_eq!(read.len(), packs.len(), "{days} days, every {hours} h");
                assert!(now - oldest <= (i64::from(days) * DAY).max(step), "{days} days, every {hours} h");
                assert_eq!(standing.since.unwrap().seconds(), *oldest);
            }
        }
    }

    #[test]
    fn each_run_reads_about_its_share() {
        let packs: Vec<_> = (0..100).map(pack).collect();
        let mut history = History::default();
        for day in 0..60 {
            let (chosen, _) = run(10, START + day * DAY, &packs, &mut history);
            assert!((9..=11).contains(&chosen.len()), "day {day}: {}", chosen.len());
        }
        // Once more at once: a little, and what was read longest ago.
        let (chosen, _) = run(10, START + 59 * DAY + 60, &packs, &mut history);
        assert_eq!(chosen.len(), 1);
        let (chosen, _) = run(10, START + 59 * DAY + 60, &packs, &mut history);
        assert_eq!(chosen.len(), 1, "no time has gone by");
    }

    #[test]
    fn a_run_ends_once_its_share_is_read() {
        let packs: Vec<_> = (0..10).map(|number| Pack { bytes: 20, ..pack(number) }).collect();
        assert_eq!(rotation(10, START, &History::default()).choose(&packs).len(), 1);
    }

    #[test]
    fn what_missed_runs_left_is_caught_up_with() {
        let packs: Vec<_> = (0..100).map(pack).collect();
        let mut history = History::default();
        for day in [0, 1, 2] {
            run(30, START + day * DAY, &packs, &mut history);
        }
        let (chosen, _) = run(30, START + 9 * DAY, &packs, &mut history);
        assert!((23..=25).contains(&chosen.len()), "a week's share: {}", chosen.len());
        for day in 10..=30 {
            run(30, START + day * DAY, &packs, &mut history);
        }
        let (_, standing) = run(30, START + 31 * DAY, &packs, &mut history);
        assert!(standing.sound == 100 && standing.since.unwrap().seconds() >= START + DAY);
        let (chosen, standing) = run(30, START + 99 * DAY, &packs, &mut history);
        assert_eq!((chosen.len(), standing.since.unwrap().seconds()), (100, START + 99 * DAY));
    }

    #[test]
    fn packs_come_and_go() {
        let (mut first, mut read) = (0, BTreeMap::new());
        let mut history = History::default();
        for day in 0..60_u64 {
            // Five new ones each day, and five that were compacted away.
            let packs: Vec<_> = (first..first + 100).map(pack).collect();
            let now = START + day as i64 * DAY;
            let (chosen, standing) = run(7, now, &packs, &mut history);
            read.extend(chosen.into_iter().map(|id| (id, now)));
            assert_eq!((standing.packs, history.packs.len()), (100, 100));
            first += 5;
            // New ones are read at once, and keep nobody from knowing that everything was read.
            let late: Vec<_> = (100..first).filter(|number| !read.contains_key(&pack(*number).id)).collect();
            assert!(late.is_empty(), "day {day}: {late:?}");
            assert_eq!(standing.since.is_some(), day >= 6, "day {day}: {standing:?}");
        }
    }

    #[test]
    fn what_is_damaged_is_read_every_time_and_nothing_counts_as_whole() {
        let packs: Vec<_> = (0..10).map(pack).collect();
        let mut history = History::default();
        for day in 0..30 {
            let rotation = rotation(5, START + day * DAY, &history);
            let chosen = rotation.choose(&packs);
            assert!(day < 5 || chosen.contains(&4), "day {day}: {chosen:?}");
            let rotated = rotation.after(&packs, |place| chosen.contains(&place).then_some(place != 4));
            assert_eq!(rotated.standing.since, None);
            assert!(day < 5 || (rotated.standing.sound, rotated.standing.damaged) == (9, 1));
            history = rotated.history;
        }
        // It was mended.
        for day in 30..36 {
            run(5, START + day * DAY, &packs, &mut history);
        }
        let (_, standing) = run(5, START + 36 * DAY, &packs, &mut history);
        assert!(standing.since.is_some() && standing.damaged == 0);
    }

    #[test]
    fn all_that_is_damaged_is_read_beyond_what_a_run_has_to_read() {
        let packs: Vec<_> = (0..10).map(pack).collect();
        let damaged = [2, 4, 7];
        let first = rotation(1, START, &History::default());
        let history = first.after(&packs, |place| Some(!damaged.contains(&place))).history;
        let chosen = rotation(300, START + DAY, &history).choose(&packs);
        assert_eq!(chosen, damaged, "one of them is more than the share of a day");
    }

    #[test]
    fn what_was_read_in_this_second_was_read() {
        let packs: Vec<_> = (0..10).map(pack).collect();
        let mut history = History::default();
        assert_eq!(run(1, START, &packs, &mut history).1.sound, 10);
        assert_eq!(run(1, START, &packs, &mut history).1.sound, 10);
    }

    #[test]
    fn a_pack_in_which_more_is_wanted_was_not_read() {
        let mut packs = vec![pack(0)];
        let mut history = History::default();
        assert!(run(1, START, &packs, &mut history).1.since.is_some());
        packs[0].contents += 1;
        let unread = rotation(9, START + 60, &history).after(&packs, |_| None);
        assert_eq!((unread.standing.sound, unread.standing.since), (0, None));
        packs[0].contents -= 2;
        let unread = rotation(9, START + 60, &history).after(&packs, |_| None);
        assert_eq!(unread.standing.sound, 1);
    }

    #[test]
    fn a_clock_that_was_ahead_vouches_for_nothing() {
        let packs: Vec<_> = (0..10).map(pack).collect();
        let mut history = History::default();
        run(1, START + 1000 * DAY, &packs, &mut history);
        let (chosen, standing) = run(10, START, &packs, &mut history);
        assert_eq!((chosen.len(), standing.sound, standing.since), (2, 2, None));
        assert_eq!(standing.complete_by.unwrap().seconds(), START + 10 * DAY);
        let nothing = run(10, START, &[], &mut History::default());
        assert_eq!((nothing.0.len(), nothing.1), (0, Standing::default()));
    }
}
