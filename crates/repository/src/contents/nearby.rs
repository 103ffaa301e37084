//! Metadata that lies beside what is read, kept where a round trip costs more than the bytes.
//!
//! Directories are found one level after the other, and a tree of ten levels takes ten round trips though all
//! its directories lie side by side: kopia writes a directory after those in it, so they come before it in
//! the same pack. So a short read from a pack of metadata begins earlier, and what came along is kept. What
//! may come along has to be earned: a little at first, more once something was of use.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::lock::lock;

/// Longer reads are left as they are: they bring what is wanted by themselves.
const SHORT: u64 = 512 << 10;

/// How many bytes may come along at first, and how many more for each read that was spared or made shorter.
const AT_FIRST: u64 = 256 << 10;
const EARNED: u64 = 512 << 10;

/// The most bytes that come along with one read.
const MOST: u64 = 2 << 20;

/// The most bytes that are kept.
const KEPT: usize = 8 << 20;

/// Ranges of packs that were read, the last one first.
#[derive(Debug)]
pub(super) struct Nearby {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ranges: VecDeque<Kept>,
    bytes: usize,
    /// How many bytes may come along.
    allowance: u64,
}

#[derive(Debug, Clone)]
struct Kept {
    pack: u32,
    start: u64,
    bytes: Arc<Vec<u8>>,
}

impl Kept {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// What there is of a range already.
#[derive(Debug)]
pub(super) enum There {
    /// All of it: these are the bytes.
    All(Vec<u8>),
    /// Perhaps its end, and the rest is to be read.
    Part(Missing),
    /// Nothing, and it is too long to be kept.
    Nothing,
}

/// What is to be read of a range, and beside it.
#[derive(Debug)]
pub(super) struct Missing {
    /// What to read; more than is wanted if it begins before that.
    pub(super) read: Range<u64>,
    /// Where the wanted range begins in what is read.
    pub(super) before: usize,
    /// What was kept from the end of `read` on, at least up to the end of the wanted range.
    end: Option<Kept>,
}

impl Nearby {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { ranges: VecDeque::new(), bytes: 0, allowance: AT_FIRST }) }
    }

    /// Looks for a range in what is kept; decides what to read if there is not all of it.
    pub(super) fn look_for(&self, pack: u32, range: &Range<u64>) -> There {
        let mut state = lock(&self.state);
        let of_pack = || state.ranges.iter().filter(|kept| kept.pack == pack);
        // Directories come before those that they are in, so it is the end that is there.
        let reaches = |kept: &&Kept| kept.start < range.end && range.end <= kept.end();
        let end = of_pack().filter(reaches).min_by_key(|kept| kept.start).cloned();
        let below = of_pack().map(Kept::end).filter(|end| *end <= range.start).max().unwrap_or(0);
        if end.is_some() {
            state.allowance = (state.allowance + EARNED).min(MOST);
        }
        if let Some(kept) = end.as_ref().filter(|kept| kept.start <= range.start) {
            let bytes = kept.bytes.clone();
            let within = (range.start - kept.start) as usize..(range.end - kept.start) as usize;
            drop(state);
            return There::All(bytes[within].to_vec());
        }
        let until = end.as_ref().map_or(range.end, |kept| kept.start);
        let mut start = range.start;
        if until - range.start <= SHORT {
            start = range.start.saturating_sub(state.allowance).max(below);
            state.allowance -= range.start - start;
        } else if end.is_none() {
            return There::Nothing;
        }
        There::Part(Missing { read: start..until, before: (range.start - start) as usize, end })
    }

    /// Keeps what was read, and returns the wanted range of `length` bytes; nothing if too little was read.
    pub(super) fn complete(
        &self,
        pack: u32,
        missing: &Missing,
        bytes: &[u8],
        length: usize,
    ) -> Option<Vec<u8>> {
        let end = missing.end.as_ref().map_or(&[][..], |kept| &kept.bytes);
        let mut all = Vec::with_capacity(bytes.len() + end.len());
        all.extend_from_slice(bytes);
        all.extend_from_slice(end);
        let wanted = all.get(missing.before..missing.before.checked_add(length)?)?.to_vec();
        // One range must not drive out all others.
        if all.len() > KEPT / 2 {
            all.truncate(bytes.len());
        }
        self.keep(Kept { pack, start: missing.read.start, bytes: Arc::new(all) });
        Some(wanted)
    }

    /// Keeps a range, in place of those that lie in it.
    fn keep(&self, new: Kept) {
        let mut state = lock(&self.state);
        let State { ranges, bytes, .. } = &mut *state;
        ranges.retain(|old| {
            let lies_in_it = old.pack == new.pack && new.start <= old.start && old.end() <= new.end();
            *bytes -= if lies_in_it { old.bytes.len() } else { 0 };
            !lies_in_it
        });
        *bytes += new.bytes.len();
        ranges.push_front(new);
        while *bytes > KEPT {
            let Some(oldest) = ranges.pop_back() else { break };
            *bytes -= oldest.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a range of a pack in which each byte is the lowest of its offset; returns what was read for it.
    fn read(nearby: &Nearby, pack: u32, range: Range<u64>) -> Option<Range<u64>> {
        let bytes = |range: &Range<u64>| range.clone().map(|offset| offset as u8).collect::<Vec<_>>();
        let (got, read) = match nearby.look_for(pack, &range) {
            There::All(got) => (got, None),
            There::Part(missing) => {
                let length = (range.end - range.start) as usize;
                let got = nearby.complete(pack, &missing, &bytes(&missing.read), length);
                (got.expect("enough was read"), Some(missing.read))
            }
            There::Nothing => (bytes(&range), Some(range.clone())),
        };
        assert_eq!(got, bytes(&range));
        read
    }

    #[test]
    fn what_came_along_is_found() {
        let nearby = Nearby::new();
        assert_eq!(read(&nearby, 1, 100..110), Some(0..110));
        assert_eq!(read(&nearby, 1, 5..8), None);
        assert_eq!(read(&nearby, 1, 108..110), None);
        assert_eq!(read(&nearby, 1, 110..120), Some(110..120));
        assert_eq!(read(&nearby, 1, 300..310), Some(120..310), "what is there already is not read again");
        assert_eq!(read(&nearby, 2, 5..8), Some(0..8), "another pack");
    }

    #[test]
    fn what_comes_along_is_earned() {
        let nearby = Nearby::new();
        let far = 1 << 30;
        assert_eq!(read(&nearby, 1, far..far + 10), Some(far - AT_FIRST..far + 10));
        let before = far - AT_FIRST - 10..far - AT_FIRST;
        assert_eq!(read(&nearby, 1, before.clone()), Some(before), "what follows it was of no use");
        assert_eq!(read(&nearby, 2, far..far + 10), Some(far..far + 10), "nothing was of use");
        assert_eq!(read(&nearby, 1, far - 20..far - 10), None);
        assert_eq!(read(&nearby, 3, far..far + 10), Some(far - EARNED..far + 10));
        for _ in 0..20 {
            assert_eq!(read(&nearby, 1, far - 20..far - 10), None);
        }
        assert_eq!(read(&nearby, 4, far..far + 10), Some(far - MOST..far + 10));
    }

    #[test]
    fn of_a_range_whose_end_is_there_the_beginning_alone_is_read() {
        let nearby = Nearby::new();
        let far = 1 << 30;
        let first = far - AT_FIRST;
        assert_eq!(read(&nearby, 1, far..far + 10), Some(first..far + 10));
        // A level of directories that reaches from before what is kept into it.
        let second = first - 1000 - EARNED;
        assert_eq!(read(&nearby, 1, first - 1000..far - 5), Some(second..first));
        assert_eq!(read(&nearby, 1, second..far + 10), None, "both are one now");
        assert_eq!(lock(&nearby.state).ranges.len(), 1);
    }

    #[test]
    fn a_longer_range_takes_the_place_of_its_beginning() {
        let nearby = Nearby::new();
        assert_eq!(read(&nearby, 1, 0..10), Some(0..10));
        assert_eq!(read(&nearby, 2, 0..10), Some(0..10));
        assert_eq!(read(&nearby, 1, 0..30), Some(0..30));
        let state = lock(&nearby.state);
        assert_eq!((state.ranges.len(), state.bytes), (2, 40));
    }

    #[test]
    fn long_reads_bring_nothing_along() {
        let nearby = Nearby::new();
        let far = 1 << 30;
        let long = far..far + SHORT + 1;
        assert_eq!(read(&nearby, 1, long.clone()), Some(long));
        assert!(lock(&nearby.state).ranges.is_empty());
        // But the end of one may be there.
        assert_eq!(read(&nearby, 2, far..far + 10), Some(far - AT_FIRST..far + 10));
        let start = far - AT_FIRST - SHORT - 1;
        assert_eq!(read(&nearby, 2, start..far), Some(start..far - AT_FIRST));
    }

    #[test]
    fn no_more_than_some_is_kept() {
        let nearby = Nearby::new();
        let packs = KEPT as u64 / SHORT;
        for pack in 0..=packs {
            assert_eq!(read(&nearby, pack as u32, 0..SHORT), Some(0..SHORT));
        }
        assert!((1..=packs).all(|pack| read(&nearby, pack as u32, 0..1).is_none()));
        assert_eq!(read(&nearby, 0, 0..1), Some(0..1));
        let state = lock(&nearby.state);
        assert!(state.bytes <= KEPT);
        assert_eq!(state.bytes, state.ranges.iter().map(|kept| kept.bytes.len()).sum::<usize>());
    }

    #[test]
    fn a_range_does_not_grow_without_end() {
        let nearby = Nearby::new();
        let far = 1 << 30;
        assert_eq!(read(&nearby, 2, 0..10), Some(0..10));
        assert_eq!(read(&nearby, 1, far..far + 10), Some(far - AT_FIRST..far + 10));
        let mut end = far - AT_FIRST;
        for _ in 0..20 {
            let read = read(&nearby, 1, end - 1..end + 1).expect("it begins before what is there");
            assert_eq!(read.end, end);
            assert!(read.start < end - 1, "each is of use, so more may come along");
            end = read.start;
            assert!(lock(&nearby.state).ranges.iter().all(|kept| kept.bytes.len() <= KEPT / 2));
        }
    }

    #[test]
    fn too_little_is_noticed() {
        let nearby = Nearby::new();
        let There::Part(missing) = nearby.look_for(1, &(100..110)) else { panic!("nothing is kept yet") };
        assert_eq!(nearby.complete(1, &missing, &[0; 105], 10), None);
        assert!(lock(&nearby.state).ranges.is_empty());
    }
}
