//! Key derivations take turns, so that many repositories that are opened at once do not take memory for all
//! of them at once. The budget is one of the process: memory is, too.

use std::sync::{Condvar, Mutex};

use kopia_codec::key::KeyDerivation;

use crate::lock::{lock, wait};

/// How many bytes all derivations together may take: two of kopia's default, each of which takes 150 ms of one
/// core.
const BUDGET: usize = 128 << 20;

static TURNS: Turns = Turns::new(BUDGET);

/// A budget of bytes.
struct Turns {
    budget: usize,
    taken: Mutex<usize>,
    changed: Condvar,
}

/// Bytes that were taken, until it is dropped.
pub(crate) struct Turn<'t> {
    turns: &'t Turns,
    bytes: usize,
}

/// Waits until there is memory for a key derivation.
pub(crate) fn turn(derivation: KeyDerivation) -> Turn<'static> {
    TURNS.take(derivation.memory())
}

impl Turns {
    const fn new(budget: usize) -> Self {
        Self { budget, taken: Mutex::new(0), changed: Condvar::new() }
    }

    /// Waits until so many bytes are left; more than the whole budget are taken once nobody else has any.
    fn take(&self, bytes: usize) -> Turn<'_> {
        let mut taken = lock(&self.taken);
        while !self.fits(*taken, bytes) {
            taken = wait(&self.changed, taken);
        }
        *taken = taken.saturating_add(bytes);
        Turn { turns: self, bytes }
    }

    /// Returns whether so many bytes may be taken beside what others have.
    fn fits(&self, taken: usize, bytes: usize) -> bool {
        taken == 0 || taken.saturating_add(bytes) <= self.budget
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.turns.taken) -= self.bytes;
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn two_of_kopias_derivations_run_at_once_and_a_third_waits() {
        let bytes = KeyDerivation::Scrypt65536.memory();
        assert!(TURNS.fits(0, bytes) && TURNS.fits(bytes, bytes) && !TURNS.fits(2 * bytes, bytes));
        assert!(!TURNS.fits(2 * bytes, 1) && TURNS.fits(2 * bytes, 0));
        // One that needs more than there is runs alone.
        assert!(TURNS.fits(0, usize::MAX) && !TURNS.fits(1, usize::MAX));
    }

    #[test]
    fn no_more_is_taken_than_there_is() {
        let (turns, held, most) = (Turns::new(100), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..16 {
                let (turns, held, most) = (&turns, &held, &most);
                scope.spawn(move || {
                    let bytes = [50, 30, 100, 1000][number % 4];
                    let _turn = turns.take(bytes);
                    let now = held.fetch_add(bytes, Ordering::SeqCst) + bytes;
                    most.fetch_max(if bytes > 100 { now - bytes } else { now }, Ordering::SeqCst);
                    thread::yield_now();
                    held.fetch_sub(bytes, Ordering::SeqCst);
                });
            }
        });
        assert!(most.into_inner() <= 100);
        assert_eq!(*lock(&turns.taken), 0);
    }
}
