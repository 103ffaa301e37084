//! Buffers that go from one content to the next.
//!
//! The system hands memory over page by page, each of them cleared first; for contents of some MiB, that takes
//! as long as copying them. So who reads on gets the buffers of what was read.

use std::sync::Mutex;

use crate::lock::lock;

/// Smaller ones are taken from the heap faster than from here.
const SMALLEST: usize = 256 << 10;

/// Returns how large the buffer for so many bytes may be.
pub(super) fn room(length: usize) -> usize {
    if length < SMALLEST { length } else { length.saturating_add(length / 4) }
}

/// Buffers that are free to be filled again, by their size.
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

    /// Returns a copy of bytes, in a buffer from here if there is one. A smaller one grows, which costs less than
    /// a new one: the system moves its pages.
    pub(super) fn filled(&self, bytes: &[u8]) -> Vec<u8> {
        if bytes.len() < SMALLEST {
            return bytes.to_vec();
        }
        let kept = {
            let mut buffers = lock(&self.buffers);
            let larger = buffers.partition_point(|buffer| buffer.capacity() <= room(bytes.len()));
            larger.checked_sub(1).map(|place| buffers.remove(place))
        };
        let mut buffer = kept.unwrap_or_default();
        buffer.clear();
        buffer.reserve_exact(bytes.len());
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

    /// Returns how many buffers are kept.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.buffers).len()
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
    fn a_buffer_is_filled_again_unless_it_is_much_too_large() {
        let spare = Spare::new(5 * SMALLEST);
        for pieces in [2, 3] {
            spare.keep(Vec::with_capacity(pieces * SMALLEST));
        }
        let kept =
            || lock(&spare.buffers).iter().map(|buffer| buffer.capacity() / SMALLEST).collect::<Vec<_>>();
        assert!(spare.filled(&vec![1; SMALLEST - 1]).capacity() < SMALLEST);
        assert!(spare.filled(&vec![1; SMALLEST]).capacity() <= room(SMALLEST));
        assert_eq!(kept(), [2, 3], "for so few bytes both are much too large");
        let filled = spare.filled(&vec![2; 2 * SMALLEST + 1]);
        assert_eq!((&*filled, kept()), (&*vec![2; 2 * SMALLEST + 1], vec![3]), "the smaller one has grown");
        let place = lock(&spare.buffers)[0].as_ptr();
        let filled = spare.filled(&vec![3; 3 * SMALLEST - 1]);
        assert_eq!((&*filled, filled.as_ptr()), (&*vec![3; 3 * SMALLEST - 1], place));
        assert!(kept().is_empty());
    }

    #[test]
    fn a_buffer_that_is_a_quarter_larger_is_filled_again() {
        let spare = Spare::new(2 * SMALLEST);
        let buffer: Vec<u8> = Vec::with_capacity(SMALLEST / 4 * 5);
        let place = buffer.as_ptr();
        spare.keep(buffer);
        let bytes = vec![1_u8; SMALLEST];
        let filled = spare.filled(&bytes);
        assert_eq!((filled.as_ptr(), spare.count()), (place, 0));
        assert!(filled == bytes);
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
