//! A bounded cache of decoded contents, for readers that jump about in a file.
//!
//! What is read front to back never comes here: a restore reads every content once, and so does a program
//! that copies a file. So memory is only taken where it saves reading and decoding a content again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use kopia_format::ContentId;

use crate::lock::lock;

/// Bytes that a cached content takes beyond its own: ids, counters, and what the maps need for them.
const OVERHEAD: usize = 256;

/// Decoded contents, the least recently used of which leave first.
#[derive(Debug)]
pub(super) struct Cache {
    /// The most bytes that are held; 0 turns the cache off.
    budget: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    contents: HashMap<ContentId, Cached>,
    /// Contents by the time of their last use.
    by_use: BTreeMap<u64, ContentId>,
    /// The time, counted in uses.
    clock: u64,
    /// Bytes that are held.
    held: usize,
}

#[derive(Debug)]
struct Cached {
    plain: Arc<Vec<u8>>,
    used: u64,
}

impl Cache {
    /// Makes an empty cache that holds no more than `budget` bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self { budget, state: Mutex::default() }
    }

    /// Returns a content that is held.
    pub(super) fn get(&self, content: &ContentId) -> Option<Arc<Vec<u8>>> {
        let state = &mut *lock(&self.state);
        let cached = state.contents.get_mut(content)?;
        state.by_use.remove(&cached.used);
        state.clock += 1;
        cached.used = state.clock;
        state.by_use.insert(state.clock, *content);
        Some(cached.plain.clone())
    }

    /// Holds a content, and lets go of others until all fit. One that alone is larger than the budget is not
    /// held.
    pub(super) fn insert(&self, content: ContentId, plain: Arc<Vec<u8>>) {
        let size = size_of(&plain);
        if size > self.budget {
            return;
        }
        let state = &mut *lock(&self.state);
        if state.contents.contains_key(&content) {
            return;
        }
        while state.held + size > self.budget {
            let Some((_, oldest)) = state.by_use.pop_first() else { break };
            if let Some(cached) = state.contents.remove(&oldest) {
                state.held -= size_of(&cached.plain);
            }
        }
        state.clock += 1;
        state.by_use.insert(state.clock, content);
        state.contents.insert(content, Cached { plain, used: state.clock });
        state.held += size;
    }
}

/// Returns how many bytes a content counts for.
fn size_of(plain: &Vec<u8>) -> usize {
    plain.capacity().saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(number: u8) -> ContentId {
        ContentId::new(None, &[number; 16]).unwrap()
    }

    fn held(cache: &Cache) -> Vec<u8> {
        let mut numbers: Vec<u8> = lock(&cache.state).contents.keys().map(|id| id.hash()[0]).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn the_least_recently_used_leaves_first_and_the_budget_is_kept() {
        let cache = Cache::new(3 * (100 + OVERHEAD));
        for number in 0..3 {
            cache.insert(content(number), Arc::new(vec![number; 100]));
        }
        assert_eq!(cache.get(&content(0)).unwrap()[0], 0);
        cache.insert(content(3), Arc::new(vec![3; 100]));
        assert_eq!(held(&cache), [0, 2, 3]);
        // A larger one takes the place of two.
        cache.insert(content(4), Arc::new(vec![4; 101]));
        assert_eq!(held(&cache), [3, 4]);
        assert!(cache.get(&content(0)).is_none());
        let state = lock(&cache.state);
        assert!(state.held <= cache.budget);
        let sum: usize = state.contents.values().map(|cached| size_of(&cached.plain)).sum();
        assert_eq!((state.held, state.by_use.len()), (sum, state.contents.len()));
    }

    #[test]
    fn the_same_content_is_held_once() {
        let cache = Cache::new(1 << 20);
        cache.insert(content(1), Arc::new(vec![1; 100]));
        cache.insert(content(1), Arc::new(vec![1; 100]));
        assert_eq!(lock(&cache.state).held, 100 + OVERHEAD);
    }

    #[test]
    fn nothing_beyond_the_budget_is_held() {
        let cache = Cache::new(1000);
        cache.insert(content(1), Arc::new(vec![1; 10]));
        cache.insert(content(2), Arc::new(vec![2; 1000]));
        assert_eq!(held(&cache), [1], "it throws nothing out either");
        let off = Cache::new(0);
        off.insert(content(1), Arc::new(Vec::new()));
        assert!(off.get(&content(1)).is_none());
    }
}
