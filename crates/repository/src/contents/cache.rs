//! A bounded cache of decoded contents, for readers that jump about in files.
//!
//! What is read front to back in large files never comes here: a restore reads every content once, and so
//! does a program that copies a file. So memory is only taken where it saves reading and decoding a content
//! again. Several threads that want the same content at the same time wait for the first of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use kopia_format::ContentId;

use crate::Result;
use crate::lock::lock;
use crate::lru::Lru;

/// A decoded content.
type Plain = Arc<Vec<u8>>;

/// The content that some threads want at once, once one of them has it.
type Flight = Arc<Mutex<Option<Plain>>>;

/// Decoded contents, and those that are being decoded.
#[derive(Debug)]
pub(super) struct Cache {
    kept: Lru<ContentId, Plain>,
    flights: Mutex<HashMap<ContentId, Flight>>,
}

impl Cache {
    /// Makes an empty cache that holds no more than `budget` bytes.
    pub(super) fn new(budget: usize) -> Self {
        Self { kept: Lru::new(budget), flights: Mutex::default() }
    }

    /// Returns a content that is held.
    pub(super) fn get(&self, content: &ContentId) -> Option<Plain> {
        self.kept.get(content)
    }

    /// Returns a content that is held or being read, or has it read. It is held from then on with `keep`, or
    /// if it was read not long ago.
    pub(super) fn get_or_read(
        &self,
        content: &ContentId,
        keep: bool,
        read: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Plain> {
        if let Some(plain) = self.get(content) {
            return Ok(plain);
        }
        self.read_once(content, keep, read)
    }

    /// As [`Self::get_or_read`], of a content that was not held a moment ago.
    fn read_once(
        &self,
        content: &ContentId,
        keep: bool,
        read: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Plain> {
        let boarded = Boarded { cache: self, content, flight: self.board(content) };
        let mut landed = lock(&boarded.flight);
        // An earlier flight may have landed since, and been cleared away: then it is held.
        if let Some(plain) = landed.clone().or_else(|| self.get(content)) {
            return Ok(plain);
        }
        let plain = Arc::new(read()?);
        if self.kept.was_asked_for(content) || keep {
            self.kept.insert(*content, plain.clone(), plain.capacity());
        }
        *landed = Some(plain.clone());
        Ok(plain)
    }

    fn board(&self, content: &ContentId) -> Flight {
        lock(&self.flights).entry(*content).or_default().clone()
    }
}

/// A thread that wants a content; the last one clears up.
struct Boarded<'c> {
    cache: &'c Cache,
    content: &'c ContentId,
    flight: Flight,
}

impl Drop for Boarded<'_> {
    fn drop(&mut self) {
        let mut flights = lock(&self.cache.flights);
        // One is in the map and one is here; nobody gets another while the map is locked.
        if Arc::strong_count(&self.flight) == 2 {
            flights.remove(self.content);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::Error;

    fn content(number: u8) -> ContentId {
        ContentId::new(None, &[number; 16]).unwrap()
    }

    #[test]
    fn what_many_want_at_once_is_read_once() {
        let (cache, reads, together) = (Cache::new(0), AtomicUsize::new(0), Barrier::new(8));
        let read = || {
            reads.fetch_add(1, Ordering::Relaxed);
            // The others come while it is read.
            while Arc::strong_count(&lock(&cache.flights)[&content(1)]) < 9 {
                thread::yield_now();
            }
            Ok(vec![7])
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    assert_eq!(*cache.get_or_read(&content(1), true, read).unwrap(), [7]);
                });
            }
        });
        assert_eq!(reads.into_inner(), 1);
        assert!(lock(&cache.flights).is_empty());
    }

    #[test]
    fn what_has_landed_since_it_was_looked_for_is_not_read_again() {
        let cache = Cache::new(1 << 20);
        cache.get_or_read(&content(1), true, || Ok(vec![1])).unwrap();
        // As of a thread that had looked before that.
        assert_eq!(*cache.read_once(&content(1), true, || panic!("it is held")).unwrap(), [1]);
    }

    #[test]
    fn a_failure_is_that_of_one_reader_alone() {
        let cache = Cache::new(1 << 20);
        let failing = || Err(Error::ContentNotFound { content: content(1) });
        assert!(cache.get_or_read(&content(1), true, failing).is_err());
        assert!(lock(&cache.flights).is_empty());
        assert_eq!(*cache.get_or_read(&content(1), true, || Ok(vec![1])).unwrap(), [1]);
        assert_eq!(cache.get(&content(1)).as_deref(), Some(&vec![1]));
    }

    #[test]
    fn what_is_read_again_is_held_though_nobody_jumped_to_it() {
        let cache = Cache::new(1 << 20);
        for held in [false, true] {
            assert_eq!(cache.get(&content(1)), None);
            assert_eq!(*cache.get_or_read(&content(1), false, || Ok(vec![1])).unwrap(), [1]);
            assert_eq!(cache.get(&content(1)).is_some(), held);
        }
    }
}
