//! What was found once and may be wanted again, within a budget of bytes.
//!
//! Only what is asked for again is worth memory, so an [`Lru`] also knows of some thousand keys that they were
//! asked for, without their values.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Mutex;

use crate::lock::lock;

/// Bytes that a value takes beyond its own: keys, counters, and what the maps need for them.
pub(crate) const OVERHEAD: usize = 256;

/// How many keys are remembered that were asked for, in some 30 bytes each.
const REMEMBERED: usize = 4096;

/// Values by key, the least recently used of which leave first.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    /// The most bytes that are held; 0 turns the cache off.
    budget: usize,
    hasher: RandomState,
    state: Mutex<State<K, V>>,
}

#[derive(Debug)]
struct State<K, V> {
    values: HashMap<K, Held<V>>,
    /// Keys by the time of their last use.
    by_use: BTreeMap<u64, K>,
    /// The time, counted in uses.
    clock: u64,
    /// Bytes that are held.
    held: usize,
    /// Hashes of keys that were asked for, the oldest first.
    asked: VecDeque<u64>,
    known: HashSet<u64>,
}

#[derive(Debug)]
struct Held<V> {
    value: V,
    bytes: usize,
    used: u64,
}

impl<K: Copy + Eq + Hash, V: Clone> Lru<K, V> {
    /// Makes an empty cache that holds no more than `budget` bytes.
    pub(crate) fn new(budget: usize) -> Self {
        let state = State {
            values: HashMap::new(),
            by_use: BTreeMap::new(),
            clock: 0,
            held: 0,
            asked: VecDeque::new(),
            known: HashSet::new(),
        };
        Self { budget, hasher: RandomState::new(), state: Mutex::new(state) }
    }

    /// Returns the most bytes that are held.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// Returns a value that is held.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let state = &mut *lock(&self.state);
        let held = state.values.get_mut(key)?;
        state.by_use.remove(&held.used);
        state.clock += 1;
        held.used = state.clock;
        state.by_use.insert(state.clock, *key);
        Some(held.value.clone())
    }

    /// Notes that a key was asked for; returns whether it was before, not long ago.
    pub(crate) fn was_asked_for(&self, key: &K) -> bool {
        let hash = self.hasher.hash_one(key);
        let state = &mut *lock(&self.state);
        if self.budget == 0 || !state.known.insert(hash) {
            return self.budget > 0;
        }
        state.asked.push_back(hash);
        if state.asked.len() > REMEMBERED
            && let Some(oldest) = state.asked.pop_front()
        {
            state.known.remove(&oldest);
        }
        false
    }

    /// Holds a value of so many bytes, and lets go of others until all fit. One that alone is larger than the
    /// budget is not held.
    pub(crate) fn insert(&self, key: K, value: V, bytes: usize) {
        let bytes = bytes.saturating_add(OVERHEAD);
        if bytes > self.budget {
            return;
        }
        let state = &mut *lock(&self.state);
        if state.values.contains_key(&key) {
            return;
        }
        while state.held + bytes > self.budget {
            let Some((_, oldest)) = state.by_use.pop_first() else { break };
            if let Some(held) = state.values.remove(&oldest) {
                state.held -= held.bytes;
            }
        }
        state.clock += 1;
        state.by_use.insert(state.clock, key);
        state.values.insert(key, Held { value, bytes, used: state.clock });
        state.held += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(cache: &Lru<u8, u8>) -> Vec<u8> {
        let mut keys: Vec<u8> = lock(&cache.state).values.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn the_least_recently_used_leaves_first_and_the_budget_is_kept() {
        let cache = Lru::new(3 * (100 + OVERHEAD));
        for key in 0..3 {
            cache.insert(key, key, 100);
        }
        assert_eq!(cache.get(&0), Some(0));
        cache.insert(3, 3, 100);
        assert_eq!(held(&cache), [0, 2, 3]);
        // A larger one takes the place of two.
        cache.insert(4, 4, 101);
        assert_eq!(held(&cache), [3, 4]);
        assert!(cache.get(&0).is_none());
        let state = lock(&cache.state);
        assert!(state.held <= cache.budget);
        let sum: usize = state.values.values().map(|held| held.bytes).sum();
        assert_eq!((state.held, state.by_use.len()), (sum, state.values.len()));
    }

    #[test]
    fn the_same_key_is_held_once() {
        let cache = Lru::new(1 << 20);
        cache.insert(1, 1, 100);
        cache.insert(1, 1, 100);
        assert_eq!(lock(&cache.state).held, 100 + OVERHEAD);
    }

    #[test]
    fn nothing_beyond_the_budget_is_held() {
        let cache = Lru::new(1000);
        cache.insert(1, 1, 10);
        cache.insert(2, 2, 1000);
        assert_eq!(held(&cache), [1], "it throws nothing out either");
        let off = Lru::new(0);
        off.insert(1, 1, 0);
        assert!(off.get(&1).is_none());
        assert!(!off.was_asked_for(&1) && !off.was_asked_for(&1));
    }

    #[test]
    fn a_value_may_take_the_whole_budget() {
        let cache = Lru::new(100 + OVERHEAD);
        cache.insert(1, 1, 99);
        cache.insert(2, 2, 100);
        assert_eq!((held(&cache), cache.get(&2)), (vec![2], Some(2)));
    }

    #[test]
    fn a_key_is_known_for_a_while_once_it_was_asked_for() {
        let cache: Lru<usize, u8> = Lru::new(1);
        assert!(!cache.was_asked_for(&0));
        assert!(cache.was_asked_for(&0));
        for key in 1..=REMEMBERED {
            assert!(!cache.was_asked_for(&key), "{key}");
        }
        assert!(!cache.was_asked_for(&0), "that was long ago");
        let state = lock(&cache.state);
        assert_eq!((state.asked.len(), state.known.len()), (REMEMBERED, REMEMBERED));
    }
}
