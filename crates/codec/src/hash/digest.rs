//! The output of a hash.

use std::fmt;

/// A keyed hash of up to 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    /// Zero after `length`, so that the derived comparisons hold.
    bytes: [u8; 32],
    length: u8,
}

impl Digest {
    /// Takes the first `length` bytes of a hash, an algorithm's output length: at most 32.
    pub(super) fn cut(full: &[u8], length: usize) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(full).take(length) {
            *to = *from;
        }
        Self { bytes, length: length as u8 }
    }

    /// Returns the digest: 16, 28 or 32 bytes.
    #[expect(clippy::indexing_slicing, reason = "no algorithm's output is longer than 32 bytes")]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Digest {
    /// Writes lowercase hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
