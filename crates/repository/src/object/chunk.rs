//! Bytes of a file that were decoded together.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// Bytes of a file, which are not copied: a part of a content that others may hold, too.
#[derive(Clone, Default)]
pub struct Chunk {
    bytes: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Chunk {
    /// Takes the bytes from `start` on; none if there are none.
    pub(super) fn new(bytes: Arc<Vec<u8>>, start: usize) -> Self {
        let range = start.min(bytes.len())..bytes.len();
        Self { bytes, range }
    }

    /// Drops the first bytes.
    pub(super) fn advance(&mut self, count: usize) {
        self.range.start = self.range.start.saturating_add(count).min(self.range.end);
    }

    /// Drops all but the first `count` bytes.
    pub fn truncate(&mut self, count: usize) {
        self.range.end = self.range.end.min(self.range.start.saturating_add(count));
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_bytes_that_are_left_of_it() {
        let mut chunk = Chunk::new(Arc::new(b"abcdef".to_vec()), 1);
        chunk.advance(1);
        chunk.truncate(3);
        assert_eq!((chunk.as_ref(), &*chunk), (&b"cde"[..], &b"cde"[..]));
        chunk.truncate(4);
        chunk.advance(9);
        assert!(chunk.is_empty() && Chunk::new(Arc::new(vec![1]), 2).is_empty());
    }
}
