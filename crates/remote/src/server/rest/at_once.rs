//! Many requests at once, within a budget of bytes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};

/// How many requests one call has under way at most. The client limits those of all calls together.
const THREADS: usize = 8;

/// Does some work for each number below `count` on several threads.
///
/// What comes of it is given to `visit`, in no order.
pub(super) fn each<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync, mut visit: impl FnMut(usize, T)) {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count);
    if count > 1 {
        // No more waits to be visited than one for each thread.
        let (sender, results) = sync_channel(0);
        thread::scope(|scope| {
            for _ in 0..count.min(THREADS) {
                let (sender, take, work) = (sender.clone(), &take, &work);
                let run = move || {
                    while let Some(number) = take() {
                        if sender.send((number, work(number))).is_err() {
                            break;
                        }
                    }
                };
                if Builder::new().spawn_scoped(scope, run).is_err() {
                    break;
                }
            }
            drop(sender);
            results.into_iter().for_each(|(number, result)| visit(number, result));
        });
    }
    // Where no thread could be had, this one does it.
    while let Some(number) = take() {
        visit(number, work(number));
    }
}

/// A budget of bytes.
#[derive(Debug)]
pub(super) struct Room {
    size: u64,
    used: Mutex<u64>,
    changed: Condvar,
}

/// A part of a budget, until it is dropped.
#[derive(Debug)]
pub(super) struct Part<'r> {
    room: &'r Room,
    bytes: u64,
}

impl Room {
    pub(super) fn new(size: u64) -> Self {
        Self { size, used: Mutex::new(0), changed: Condvar::new() }
    }

    /// Waits until so many bytes are free; more than there are at all get all.
    pub(super) fn take(&self, bytes: u64) -> Part<'_> {
        let bytes = bytes.min(self.size);
        let mut used = self.used();
        while *used > self.size - bytes {
            used = self.changed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
        Part { room: self, bytes }
    }

    fn used(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        *self.room.used() -= self.bytes;
        self.room.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn each_number_is_worked_on_once_and_several_at_once() {
        for count in [0, 1, 2, 7, 100] {
            let mut seen = vec![0; count];
            each(
                count,
                |number| number * 2,
                |number, twice| {
                    assert_eq!(twice, number * 2);
                    seen[number] += 1;
                },
            );
            assert!(seen.iter().all(|seen| *seen == 1), "{count}: {seen:?}");
        }
        // It would never end if they were not under way together.
        let together = Barrier::new(THREADS);
        each(THREADS, |_| together.wait(), |_, _| {});
    }

    #[test]
    fn no_more_than_the_budget_is_taken() {
        let (room, most) = (Room::new(10), Mutex::new((0_u64, 0_u64)));
        each(
            50,
            |number| {
                let _part = room.take(if number == 7 { 1000 } else { 3 });
                let mut held = most.lock().unwrap();
                held.0 += 1;
                held.1 = held.1.max(held.0);
                drop(held);
                most.lock().unwrap().0 -= 1;
            },
            |_, ()| {},
        );
        assert!(most.lock().unwrap().1 <= 3);
        assert_eq!(*room.used(), 0);
    }
}
