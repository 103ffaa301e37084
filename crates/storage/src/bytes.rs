//! Bytes of a blob: copied, or a part of a memory map.
//!
//! Readers see a slice either way, and give the memory back to be used for the next range.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::filesystem::Map;

/// A range of a blob: bytes of its own, or a part of a memory map that it keeps alive.
pub struct BlobBytes {
    /// The bytes, or unused memory if there is a map.
    buffer: Vec<u8>,
    mapped: Option<(Arc<Map>, Range<usize>)>,
}

impl BlobBytes {
    /// Wraps a range of a map and keeps `buffer` for [`into_buffer`](Self::into_buffer). The range must lie
    /// in the map.
    pub(crate) fn mapped(map: Arc<Map>, range: Range<usize>, buffer: Vec<u8>) -> Self {
        debug_assert!(map.get(range.clone()).is_some(), "the caller compared the range with the length");
        Self { buffer, mapped: Some((map, range)) }
    }

    /// Returns whether the bytes lie in a memory map and were not copied.
    pub fn is_mapped(&self) -> bool {
        self.mapped.is_some()
    }

    /// Gives back the memory that [`read_range`](crate::BlobStore::read_range) was given, for the next range.
    /// What it holds means nothing.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

impl From<Vec<u8>> for BlobBytes {
    fn from(buffer: Vec<u8>) -> Self {
        Self { buffer, mapped: None }
    }
}

impl Deref for BlobBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.mapped {
            None => &self.buffer,
            Some((map, range)) => map.get(range.clone()).unwrap_or_default(),
        }
    }
}

impl AsRef<[u8]> for BlobBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for BlobBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_mapped() { "mapped" } else { "copied" };
        write!(f, "BlobBytes({} bytes, {kind})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_a_slice_either_way() {
        let bytes = BlobBytes::from(b"some".to_vec());
        assert_eq!((&*bytes, bytes.as_ref()), (&b"some"[..], &b"some"[..]));
    }
}
