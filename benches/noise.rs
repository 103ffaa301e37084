//! Numbers that look random and are the same every time.

/// Marsaglia's xorshift with 64 bits: no good for secrets, good enough that nothing compresses it.
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// Starts a sequence; any seed will do.
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero, and neighbouring seeds should not begin alike.
        let mut noise = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            noise.next();
        }
        noise
    }

    /// Returns the next 64 bits.
    #[expect(clippy::should_implement_trait, reason = "it never ends, so an Option would only be in the way")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number from 0 to `limit`, without it; 0 for a limit of 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The upper half of a product: the lower bits of xorshift are its weakest.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// Returns a number from 0 to 1, without 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Appends bytes that do not compress.
    pub fn bytes(&mut self, length: usize, to: &mut Vec<u8>) {
        let end = to.len() + length;
        while to.len() < end {
            to.extend_from_slice(&self.next().to_le_bytes());
        }
        to.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same() {
        let take = |seed| {
            let (mut noise, mut bytes) = (Noise::new(seed), Vec::new());
            noise.bytes(11, &mut bytes);
            bytes
        };
        assert_eq!(take(7), take(7));
        assert_eq!(take(7).len(), 11);
        assert_ne!(take(0), take(1));
    }

    #[test]
    fn numbers_stay_in_their_range_and_fill_it() {
        let mut noise = Noise::new(3);
        let mut seen = [0; 10];
        for _ in 0..10_000 {
            seen[noise.below(10) as usize] += 1;
            assert!((0.0..1.0).contains(&noise.fraction()));
        }
        assert!(seen.iter().all(|count| (800..1200).contains(count)), "{seen:?}");
        assert_eq!(noise.below(0), 0);
    }
}
