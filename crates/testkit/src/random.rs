//! Numbers that look random and are the same each time.

use std::ops::Range;

/// SplitMix64.
///
/// ```
/// use kopia_testkit::random::Random;
///
/// let (mut one, mut other) = (Random::of("a test"), Random::of("a test"));
/// assert_eq!(one.next(), other.next());
/// assert!(one.within(3..5) < 5);
/// ```
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Starts anywhere.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Starts where a text says: other texts, other numbers.
    pub fn of(text: &str) -> Self {
        // FNV-1a.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// Returns the next number. An iterator without an end would say less.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ value >> 31
    }

    /// Returns the next number of a range.
    ///
    /// # Panics
    ///
    /// When the range is empty.
    pub fn within(&mut self, range: Range<usize>) -> usize {
        assert!(!range.is_empty(), "an empty range has no numbers");
        range.start + (self.next() % range.len() as u64) as usize
    }

    /// Returns so many bytes that nothing compresses.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(count);
        bytes
    }
}
