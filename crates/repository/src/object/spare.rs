//! Buffers that go from one content to the next.
//!
//! The system hands memory over page by page, each of them cleared first; for contents of some MiB, that takes
//! as long as copying them. So who reads on gets the buffers of what was read.

use std::sync::Mutex;

use crate::lock::lock;

/// Smaller ones are taken from the heap faster than from here.
const SMALLEST: usize = 256 << 10;

/// Buffers that are free to be filled again.
#[derive(Debug)]
pub(super) struct Spare {
    most: usize,
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl Spare {
    /// Makes a place for buffers of at most so many bytes together.
    pub(super) fn new(most: usize) -> Self {
        Self { most, buffers: Mutex::default() }
    }

    /// Returns a copy of bytes, in a buffer from here if one fits: one that is much too large would take more
    /// memory than is counted for its bytes.
    pub(super) fn filled(&self, bytes: &[u8]) -> Vec<u8> {
        if bytes.len() < SMALLEST {
            return bytes.to_vec();
        }
        // Of a few lengths, so that they fit; what nobody touches takes no memory.
        let capacity = bytes.len().checked_next_power_of_two().unwrap_or(bytes.len());
        let fits = |buffer: &Vec<u8>| (bytes.len()..=capacity).contains(&buffer.capacity());
        let kept = {
            let mut buffers = lock(&self.buffers);
            let place = buffers.iter().position(fits);
            place.map(|place| buffers.remove(place))
        };
        let mut buffer = kept.unwrap_or_else(|| Vec::with_capacity(capacity));
        buffer.clear();
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Keeps a buffer for later, in the place of smaller ones if there is no room: those fit less often.
    pub(super) fn keep(&self, buffer: Vec<u8>) {
        if !(SMALLEST..=self.most).contains(&buffer.capacity()) {
            return;
        }
        let mut buffers = lock(&self.buffers);
        buffers.push(buffer);
        buffers.sort_by_key(Vec::capacity);
        let mut bytes: usize = buffers.iter().map(Vec::capacity).sum();
        let surplus = buffers.iter().take_while(|buffer| {
            let is_surplus = bytes > self.most;
            bytes -= buffer.capacity();
            is_surplus
        });
        let surplus = surplus.count();
        let dropped: Vec<Vec<u8>> = buffers.drain(..surplus).collect();
        drop(buffers);
        drop(dropped);
    }

    /// Gives their memory back.
    pub(super) fn clear(&self) {
        let dropped = std::mem::take(&mut *lock(&self.buffers));
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_filled_again_where_it_fits() {
        let spare = Spare::new(4 * SMALLEST);
        let first = spare.filled(&vec![1; 3 * SMALLEST]);
        let place = first.as_ptr();
        spare.keep(first);
        for (length, why) in [(2 * SMALLEST, "much too large"), (4 * SMALLEST + 1, "too small")] {
            let other = spare.filled(&vec![2; length]);
            assert_ne!(other.as_ptr(), place, "{why}");
        }
        for length in [2 * SMALLEST + 1, 4 * SMALLEST] {
            let again = spare.filled(&vec![3; length]);
            assert_eq!((again.as_ptr(), &*again), (place, &*vec![3; length]));
            spare.keep(again);
        }
    }

    #[test]
    fn it_keeps_no_more_than_it_may_and_the_largest() {
        let spare = Spare::new(3 * SMALLEST);
        spare.keep(Vec::with_capacity(4 * SMALLEST));
        spare.keep(Vec::with_capacity(SMALLEST - 1));
        assert!(lock(&spare.buffers).is_empty());
        for pieces in [1, 2, 1] {
            spare.keep(Vec::with_capacity(pieces * SMALLEST));
        }
        let kept =
            || lock(&spare.buffers).iter().map(|buffer| buffer.capacity() / SMALLEST).collect::<Vec<_>>();
        assert_eq!(kept(), [1, 2]);
        spare.keep(Vec::with_capacity(3 * SMALLEST));
        assert_eq!(kept(), [3]);
        spare.clear();
        assert!(kept().is_empty());
    }
}
