//! A stated part of the packs.

use crate::Shard;

/// Which packs are looked at: all, unless a shard or a percentage is given.
///
/// Packs are split by the order of their names, which are random, so every part is a sample of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Part {
    /// One of several shards.
    pub shard: Shard,
    /// So many percent of the shard's packs, rounded up; all without it.
    ///
    /// [`Options::start`](super::Options::start) says which ones.
    pub percent: Option<f64>,
}

impl Part {
    /// Chooses from things that are in order.
    ///
    /// A percentage begins at this fraction of the shard, and goes on at its beginning where its end is
    /// reached.
    pub(super) fn choose<T>(self, mut all: Vec<T>, start: f64) -> Vec<T> {
        // The product of a 32-bit number and a length of a list in memory.
        let cut = |number: u32, length: usize| {
            (u128::from(number) * length as u128 / u128::from(self.shard.of())) as usize
        };
        let (begin, end) = (cut(self.shard.number(), all.len()), cut(self.shard.number() + 1, all.len()));
        all.truncate(end);
        let mut part = all.split_off(begin);
        if let Some(percent) = self.percent {
            let count = (part.len() as f64 * percent.clamp(0.0, 100.0) / 100.0).ceil();
            // All of them at 1, which is the beginning again.
            let first = (part.len() as f64 * start.clamp(0.0, 1.0)) as usize;
            part.rotate_left(first);
            part.truncate(count as usize);
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_make_up_the_whole() {
        for length in [0, 1, 7, 100] {
            for of in [1, 2, 3, 8, 101] {
                let all: Vec<usize> = (0..length).collect();
                let shards = (0..of).map(|number| Shard::new(number, of).unwrap());
                let parts = shards.map(|shard| Part { shard, percent: None }.choose(all.clone(), 0.5));
                let parts: Vec<_> = parts.collect();
                assert_eq!(parts.concat(), all, "{length} in {of}");
                let lengths = parts.iter().map(Vec::len);
                assert!(lengths.clone().max().unwrap() - lengths.min().unwrap() <= 1);
            }
        }
    }

    #[test]
    fn a_percentage_is_rounded_up() {
        let choose =
            |percent| Part { percent: Some(percent), ..Part::default() }.choose(vec![0; 10], 0.95).len();
        for (percent, expected) in
            [(0.0, 0), (0.1, 1), (10.0, 1), (11.0, 2), (100.0, 10), (250.0, 10), (-1.0, 0)]
        {
            assert_eq!(choose(percent), expected, "{percent} %");
        }
    }

    #[test]
    fn a_percentage_begins_anywhere() {
        let part = Part { percent: Some(30.0), ..Part::default() };
        let choose = |start| part.choose((0..10).collect::<Vec<_>>(), start);
        assert_eq!(choose(0.0), [0, 1, 2]);
        assert_eq!(choose(0.55), [5, 6, 7]);
        assert_eq!(choose(0.999), [9, 0, 1]);
        assert_eq!(choose(1.0), choose(0.0));
    }
}
