//! Memory for decoded contents, used again and again.
//!
//! Large vectors would be given back to the system when they are written and touched anew for the next
//! content, which costs more than decoding the fastest compression.

use std::sync::Mutex;

use crate::lock::lock;

/// Smaller vectors come from the allocator, which keeps them.
const SMALL: usize = 64 << 10;

/// Vectors that nothing is in at the moment.
pub(crate) struct Buffers {
    idle: Mutex<Idle>,
    /// How many bytes are kept.
    most: usize,
}

#[derive(Default)]
struct Idle {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Buffers {
    /// Keeps so many bytes at most.
    pub(crate) fn new(most: u64) -> Self {
        Self { idle: Mutex::default(), most: usize::try_from(most).unwrap_or(usize::MAX) }
    }

    /// Copies bytes into memory that was used before, if there is some.
    pub(crate) fn copy(&self, bytes: &[u8]) -> Vec<u8> {
        if bytes.len() < SMALL {
            return bytes.to_vec();
        }
        let mut buffer = self.take(bytes.len()).unwrap_or_else(|| {
            // Contents of one file differ in length by a factor of four; pages that nothing is written to
            // take no memory.
            Vec::with_capacity(bytes.len().checked_next_power_of_two().unwrap_or(bytes.len()))
        });
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Takes the smallest vector that has room for so many bytes.
    fn take(&self, length: usize) -> Option<Vec<u8>> {
        let mut idle = lock(&self.idle);
        let fitting = idle.buffers.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= length);
        let (place, _) = fitting.min_by_key(|(_, buffer)| buffer.capacity())?;
        let buffer = idle.buffers.swap_remove(place);
        idle.bytes -= buffer.capacity();
        Some(buffer)
    }

    /// Gives memory back.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() < SMALL {
            return;
        }
        let mut idle = lock(&self.idle);
        if idle.bytes + buffer.capacity() <= self.most {
            buffer.clear();
            idle.bytes += buffer.capacity();
            idle.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_bounded() {
        let buffers = Buffers::new(1 << 20);
        let first = buffers.copy(&vec![1; 100_000]);
        let place = first.as_ptr();
        buffers.give(first);
        let second = buffers.copy(&vec![2; 90_000]);
        assert_eq!((second.as_ptr(), second.len(), second[0]), (place, 90_000, 2));
        for _ in 0..100 {
            buffers.give(Vec::with_capacity(100_000));
        }
        assert_eq!(lock(&buffers.idle).buffers.len(), 10);
    }
}
