//! Memory for decoded pieces that wait for who writes their file: bounded, and used again.

use std::sync::Mutex;

use crate::lock;

/// How many bytes one worker may leave to others, and all together: Kopia's pieces have 4 MiB on average,
/// and 8 at most unless somebody chose another splitter.
const OF_WORKER: usize = 8 << 20;
const OF_ALL: usize = 32 << 20;

/// Memory for copies of pieces. To take new memory for each would cost about as much as decoding it.
pub(in crate::execute) struct Copies {
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many bytes there are, idle ones included.
    taken: usize,
    idle: Vec<Vec<u8>>,
}

impl Copies {
    /// Starts without any, for so many workers.
    pub(in crate::execute) fn new(workers: usize) -> Self {
        Self { most: workers.saturating_mul(OF_WORKER).min(OF_ALL), state: Mutex::default() }
    }

    /// Copies bytes, if there is memory for them.
    pub(super) fn copy(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut copy = self.take(bytes.len())?;
        copy.extend_from_slice(bytes);
        Some(copy)
    }

    /// Takes empty memory that is large enough.
    fn take(&self, length: usize) -> Option<Vec<u8>> {
        // Given back once the lock is: the system takes its time for that, as for new memory.
        let mut short = Vec::new();
        let mut state = lock::lock(&self.state);
        if let Some(place) = state.idle.iter().rposition(|idle| idle.capacity() >= length) {
            return Some(state.idle.swap_remove(place));
        }
        // Idle ones are all too short.
        while state.taken.saturating_add(length) > self.most {
            let idle = state.idle.pop()?;
            state.taken = state.taken.saturating_sub(idle.capacity());
            short.push(idle);
        }
        state.taken += length;
        drop(state);
        drop(short);
        let memory = Vec::with_capacity(length);
        // The system may give more than was asked for.
        lock::lock(&self.state).taken += memory.capacity() - length;
        Some(memory)
    }

    /// Keeps memory for the next piece.
    pub(super) fn give_back(&self, mut copy: Vec<u8>) {
        copy.clear();
        lock::lock(&self.state).idle.push(copy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_used_again() {
        let copies = Copies::new(1);
        let half = vec![1; OF_WORKER / 2];
        let first = copies.copy(&half).unwrap();
        let second = copies.copy(&half).unwrap();
        assert_eq!(first, half);
        assert!(copies.copy(&[1]).is_none(), "more than one worker may have");
        let place = second.as_ptr();
        copies.give_back(second);
        let again = copies.copy(&[2, 3]).unwrap();
        assert_eq!((again.as_ptr(), &again[..]), (place, &[2, 3][..]));
        copies.give_back(again);
        copies.give_back(first);
        // Two short ones make room for a long one.
        let whole = copies.copy(&vec![4; OF_WORKER]).unwrap();
        assert!(copies.copy(&[1]).is_none());
        copies.give_back(whole);
        assert!(copies.copy(&vec![5; OF_WORKER + 1]).is_none());
        assert_eq!(lock::lock(&copies.state).taken, 0);
    }
}
