//! Contents of a file that are decoded ahead of who reads it, on all cores.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;

use kopia_format::ContentId;

use super::Extent;
use super::spare::{Spare, room};
use crate::Repository;
use crate::lock::{lock, wait};

/// How many bytes may be decoded ahead of all readers of a repository.
#[derive(Debug)]
pub(crate) struct Allowance {
    whole: usize,
    left: AtomicUsize,
    spare: Spare,
}

/// The part of the allowance that buffers for those who go on may take.
const SPARE: usize = 4;

/// Bytes of the allowance, given back when dropped.
#[derive(Debug)]
struct Permit {
    allowance: Arc<Allowance>,
    bytes: usize,
}

impl Allowance {
    pub(crate) fn new(bytes: usize) -> Self {
        let spare = bytes / SPARE;
        Self { whole: bytes - spare, left: AtomicUsize::new(bytes - spare), spare: Spare::new(spare) }
    }

    /// Returns how many bytes may be decoded when nobody reads.
    pub(super) fn whole(&self) -> usize {
        self.whole
    }

    fn take(self: &Arc<Self>, bytes: usize) -> Option<Permit> {
        let less = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        Some(Permit { allowance: self.clone(), bytes })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Allowance { whole, left, spare } = &*self.allowance;
        if left.fetch_add(self.bytes, Ordering::Relaxed).saturating_add(self.bytes) == *whole {
            // Nobody reads any more.
            spare.clear();
        }
    }
}

/// Contents that follow each other, as far as they are decoded. Once nobody holds it, the rest is not read.
#[derive(Debug)]
pub(super) struct Window {
    /// The numbers of the extents.
    numbers: Range<usize>,
    slots: Mutex<Vec<Slot>>,
    changed: Condvar,
    permit: Permit,
}

#[derive(Debug, Clone)]
enum Slot {
    Awaited,
    Decoded(Arc<Vec<u8>>),
    /// It could not be had, or is not what its list says, or nobody is expected to want it any more.
    Lost,
}

impl Window {
    /// Has the extents with these numbers decoded by threads of their own; `None` if the allowance is used
    /// up or no thread can be had.
    pub(super) fn start(
        repository: &Repository,
        extents: &Arc<[Extent]>,
        numbers: Range<usize>,
    ) -> Option<Arc<Self>> {
        let window = extents.get(numbers.clone())?;
        let length = |extent: &Extent| usize::try_from(extent.length.unwrap_or(0)).unwrap_or(usize::MAX);
        let bytes = window.iter().fold(0, |sum: usize, extent| sum.saturating_add(room(length(extent))));
        let permit = repository.read_ahead().take(bytes)?;
        let slots = window.iter().map(|extent| slot(repository, extent)).collect();
        let (slots, changed) = (Mutex::new(slots), Condvar::new());
        let window = Self { numbers: numbers.clone(), slots, changed, permit };
        let window = Arc::new(window);
        let (weak, repository, extents) = (Arc::downgrade(&window), repository.clone(), extents.clone());
        let decode = move || decode(&weak, &repository, extents.get(numbers).unwrap_or_default());
        thread::Builder::new().spawn(decode).is_ok().then_some(window)
    }

    /// Returns the numbers of its extents.
    pub(super) fn numbers(&self) -> Range<usize> {
        self.numbers.clone()
    }

    /// Returns whether an extent is to be had here, now or later.
    pub(super) fn has(&self, number: usize) -> bool {
        let place = number.checked_sub(self.numbers.start);
        let slots = lock(&self.slots);
        place.and_then(|place| slots.get(place)).is_some_and(|slot| !matches!(slot, Slot::Lost))
    }

    /// Frees the extents before one; what has not come yet is not freed when it comes.
    pub(super) fn pass(&self, number: usize) {
        let mut slots = lock(&self.slots);
        let passed = number.saturating_sub(self.numbers.start).min(slots.len());
        let passed = slots[..passed].iter_mut().filter(|slot| matches!(slot, Slot::Decoded(_)));
        let passed: Vec<Slot> = passed.map(|slot| std::mem::replace(slot, Slot::Lost)).collect();
        drop(slots);
        passed.into_iter().for_each(|slot| self.free(slot));
    }

    /// Keeps the buffer of an extent for another one; what a reader or the cache still holds stays theirs.
    fn free(&self, slot: Slot) {
        if let Slot::Decoded(bytes) = slot
            && let Some(buffer) = Arc::into_inner(bytes)
        {
            self.permit.allowance.spare.keep(buffer);
        }
    }

    /// Returns the bytes of an extent, waiting for them; `None` if they could not be had so.
    pub(super) fn get(&self, number: usize) -> Option<Arc<Vec<u8>>> {
        let number = number.checked_sub(self.numbers.start)?;
        let mut slots = lock(&self.slots);
        loop {
            match slots.get(number)? {
                Slot::Awaited => slots = wait(&self.changed, slots),
                Slot::Decoded(bytes) => return Some(bytes.clone()),
                Slot::Lost => return None,
            }
        }
    }

    /// Notes the bytes of an extent, or that they could not be had.
    fn set(&self, number: usize, plain: Option<&[u8]>) {
        let copied = |plain| Slot::Decoded(Arc::new(self.permit.allowance.spare.filled(plain)));
        let slot = plain.map_or(Slot::Lost, copied);
        if let Some(place) = lock(&self.slots).get_mut(number) {
            *place = slot;
        }
        self.changed.notify_all();
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let slots = std::mem::take(self.slots.get_mut().unwrap_or_else(PoisonError::into_inner));
        slots.into_iter().for_each(|slot| self.free(slot));
    }
}

/// Returns what need not be decoded: what the cache has, and what is read by itself.
fn slot(repository: &Repository, extent: &Extent) -> Slot {
    if extent.compressed || extent.length == Some(0) {
        return Slot::Lost;
    }
    let cached = repository.contents().cached(&extent.content).filter(|bytes| extent.fits(bytes));
    cached.map_or(Slot::Awaited, Slot::Decoded)
}

/// Decodes what is awaited in a window, until nobody holds it any more.
fn decode(window: &Weak<Window>, repository: &Repository, extents: &[Extent]) {
    let _end = End(window);
    let Some(held) = window.upgrade() else { return };
    let awaited: Vec<usize> = (0..)
        .zip(lock(&held.slots).iter())
        .filter_map(|(number, slot)| matches!(slot, Slot::Awaited).then_some(number))
        .collect();
    drop(held);
    let contents: Vec<ContentId> = awaited.iter().map(|&number| extents[number].content).collect();
    let stop = || window.strong_count() == 0;
    repository.contents().read_many_until(&contents, &stop, &|place, plain| {
        let number = awaited[place];
        // A list may state fewer bytes than its contents have, so that all together would not fit into
        // memory.
        let fits = plain.ok().filter(|plain| extents[number].fits(plain));
        if let Some(window) = window.upgrade() {
            window.set(number, fits);
        }
    });
}

/// Lets nobody wait for what no thread decodes any more, even should one have panicked.
struct End<'w>(&'w Weak<Window>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let Some(window) = self.0.upgrade() else { return };
        let mut slots = lock(&window.slots);
        slots.iter_mut().filter(|slot| matches!(slot, Slot::Awaited)).for_each(|slot| *slot = Slot::Lost);
        drop(slots);
        window.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decoded_ahead_and_what_is_spare_share_the_allowance() {
        let allowance = Arc::new(Allowance::new(16 << 20));
        assert_eq!(allowance.whole(), 12 << 20);
        let permit = allowance.take(12 << 20).unwrap();
        assert!(allowance.take(1).is_none());
        allowance.spare.keep(Vec::with_capacity(1 << 20));
        assert_eq!(allowance.spare.count(), 1);
        drop(permit);
        assert_eq!(allowance.spare.count(), 0, "nobody reads any more");
        assert!(Arc::new(Allowance::new(0)).take(1).is_none());
    }
}
