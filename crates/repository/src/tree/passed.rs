//! Which directories a walk has come by, as far as a small table can tell.
//!
//! Whether a directory lies in itself is asked of each one, and to compare it with all that it lies in takes
//! a deep chain's length squared. Most directories are new, and this says so at once.

use std::hash::{BuildHasher, RandomState};

use kopia_format::ObjectId;

/// How many bits the table has: 128 KiB, of which a short walk touches a few pages. Of 100,000 directories
/// one in thirty is taken for one that was passed before.
const BITS: usize = 1 << 20;

/// A Bloom filter of objects, with two bits for each.
pub(super) struct Passed {
    words: Box<[u64]>,
    hasher: RandomState,
}

impl Passed {
    /// Makes an empty table.
    pub(super) fn new() -> Self {
        Self { words: vec![0; BITS / 64].into(), hasher: RandomState::new() }
    }

    /// Notes that the walk came by a directory.
    pub(super) fn add(&mut self, object: ObjectId) {
        for (word, bit) in self.bits(object) {
            self.words[word] |= bit;
        }
    }

    /// Returns false if the walk never came by a directory; true may be wrong.
    pub(super) fn may_have(&self, object: ObjectId) -> bool {
        self.bits(object).into_iter().all(|(word, bit)| self.words[word] & bit != 0)
    }

    /// Returns the bits of an object, each as the number of its word and its value there.
    fn bits(&self, object: ObjectId) -> [(usize, u64); 2] {
        let hash = self.hasher.hash_one(object);
        [hash, hash >> 32].map(|half| (half as usize % BITS / 64, 1 << (half % 64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_passed_is_known_and_little_else() {
        let object = |number: u32| format!("k{number:032x}").parse::<ObjectId>().unwrap();
        let mut passed = Passed::new();
        assert!(!passed.may_have(object(0)));
        (0..20_000).for_each(|number| passed.add(object(number)));
        assert!((0..20_000).all(|number| passed.may_have(object(number))));
        let wrong = (20_000..40_000).filter(|&number| passed.may_have(object(number))).count();
        assert!(wrong < 200, "{wrong} of 20,000 are taken for others");
    }
}
