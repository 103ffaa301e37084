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

/// Longer reads are left alone: they bring what is wanted by themselves.
const SHORT: u64 = 512 << 10;

/// How many bytes may come along at first, and how many more for each read that was spared.
const AT_FIRST: u64 = 256 << 10;
const EARNED: u64 = 256 << 10;

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

#[derive(Debug)]
struct Kept {
    pack: u32,
    start: u64,
    bytes: Arc<[u8]>,
}

impl Nearby {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { ranges: VecDeque::new(), bytes: 0, allowance: AT_FIRST }) }
    }

    /// Returns whether a read of so many bytes is one to widen, and to keep.
    pub(super) fn concerns(length: usize) -> bool {
        length as u64 <= SHORT
    }

    /// Copies a range out of what is kept.
    pub(super) fn get(&self, pack: u32, range: &Range<u64>, buffer: &mut Vec<u8>) -> bool {
        let mut state = lock(&self.state);
        let has_it = |kept: &&Kept| {
            let end = kept.start + kept.bytes.len() as u64;
            kept.pack == pack && kept.start <= range.start && range.end <= end
        };
        let Some(kept) = state.ranges.iter().find(has_it) else { return false };
        let (bytes, start) = (kept.bytes.clone(), (range.start - kept.start) as usize);
        state.allowance = (state.allowance + EARNED).min(MOST);
        drop(state);
        buffer.clear();
        buffer.extend_from_slice(&bytes[start..start + (range.end - range.start) as usize]);
        true
    }

    /// Returns where a read begins so that something comes along; what is kept already does not come again.
    pub(super) fn widen(&self, pack: u32, range: &Range<u64>) -> u64 {
        let mut state = lock(&self.state);
        let before = state.ranges.iter().filter(|kept| kept.pack == pack);
        let ends = before.map(|kept| kept.start + kept.bytes.len() as u64).filter(|end| *end <= range.start);
        let start = range.start.saturating_sub(state.allowance).max(ends.max().unwrap_or(0));
        state.allowance -= range.start - start;
        start
    }

    /// Keeps what was read.
    pub(super) fn keep(&self, pack: u32, start: u64, bytes: &[u8]) {
        let mut state = lock(&self.state);
        state.bytes += bytes.len();
        state.ranges.push_front(Kept { pack, start, bytes: bytes.into() });
        while state.bytes > KEPT {
            let Some(oldest) = state.ranges.pop_back() else { break };
            state.bytes -= oldest.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn got(nearby: &Nearby, pack: u32, range: Range<u64>) -> Option<Vec<u8>> {
        let mut buffer = vec![9; 3];
        nearby.get(pack, &range, &mut buffer).then_some(buffer)
    }

    #[test]
    fn what_came_along_is_found() {
        let nearby = Nearby::new();
        assert_eq!(nearby.widen(1, &(100..110)), 0);
        nearby.keep(1, 0, &(0..110).collect::<Vec<_>>());
        assert_eq!(got(&nearby, 1, 5..8), Some(vec![5, 6, 7]));
        assert_eq!(got(&nearby, 1, 108..110), Some(vec![108, 109]));
        assert_eq!(got(&nearby, 1, 108..111), None);
        assert_eq!(got(&nearby, 2, 5..8), None);
        assert_eq!(nearby.widen(1, &(200..210)), 110, "what is there already is not read again");
    }

    #[test]
    fn what_comes_along_is_earned() {
        let nearby = Nearby::new();
        let far = 1 << 30;
        assert_eq!(nearby.widen(1, &(far..far + 10)), far - AT_FIRST);
        assert_eq!(nearby.widen(2, &(far..far + 10)), far, "nothing was of use");
        nearby.keep(1, far - AT_FIRST, &vec![7; AT_FIRST as usize]);
        for _ in 0..20 {
            assert!(got(&nearby, 1, far - 20..far - 10).is_some());
        }
        assert_eq!(nearby.widen(3, &(far..far + 10)), far - MOST);
    }

    #[test]
    fn no_more_than_some_is_kept() {
        let nearby = Nearby::new();
        let some = vec![1; KEPT / 4];
        (0..5).for_each(|pack| nearby.keep(pack, 0, &some));
        assert!(got(&nearby, 0, 0..1).is_none());
        assert!((1..5).all(|pack| got(&nearby, pack, 0..1).is_some()));
        nearby.keep(5, 0, &vec![1; KEPT + 1]);
        assert_eq!(lock(&nearby.state).bytes, 0, "it would not fit");
    }
}
