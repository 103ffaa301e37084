//! Huge contents, one at a time.
//!
//! Splitters cut files into contents of 16 MiB at most; kopia's format allows 256, sealed and compressed as a
//! whole. To decode one takes several times its length, so that as many as there are cores would take some
//! GiB. One by one they take the memory of one.

use std::sync::{Condvar, Mutex};
use std::thread::{self, ThreadId};

use super::ContentLocation;
use crate::lock::{lock, wait};

/// The most bytes of a content that is decoded beside others.
pub(super) const HUGE: usize = 32 << 20;

/// Returns whether a content has to wait for its turn.
pub(super) fn is_huge(location: &ContentLocation) -> bool {
    location.packed_length as usize > HUGE || location.original_length as usize > HUGE
}

/// The turn of those who decode huge contents.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Whose turn it is.
    holder: Mutex<Option<ThreadId>>,
    changed: Condvar,
}

impl Turn {
    /// Waits for the turn, which is held until what is returned is dropped.
    ///
    /// Nothing is returned to a thread that holds it already: what it reads meanwhile is part of its turn.
    pub(super) fn take(&self) -> Option<Held<'_>> {
        let this = thread::current().id();
        let mut holder = lock(&self.holder);
        while let Some(other) = *holder {
            if other == this {
                return None;
            }
            holder = wait(&self.changed, holder);
        }
        *holder = Some(this);
        Some(Held(self))
    }
}

/// Gives the turn to the next when it is dropped.
pub(super) struct Held<'t>(&'t Turn);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *lock(&self.0.holder) = None;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_thread_has_the_turn_and_may_take_it_again() {
        let (turn, inside, rounds) = (Turn::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let held = turn.take();
                        assert!(held.is_some() && turn.take().is_none());
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        rounds.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!((rounds.into_inner(), turn.take().is_some()), (400, true));
    }

    #[test]
    fn a_content_is_huge_by_either_length() {
        let of = |packed_length, original_length| {
            let location = ContentLocation {
                pack: 0,
                offset: 0,
                packed_length,
                original_length,
                compression: 0,
                deleted: false,
                assumed: false,
            };
            is_huge(&location)
        };
        let most = HUGE as u32;
        assert!(!of(most, most) && of(most + 1, 0) && of(0, most + 1));
    }
}
