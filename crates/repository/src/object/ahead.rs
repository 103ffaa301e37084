//! Contents of a file that are decoded ahead of who reads it, on all cores.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;

use kopia_format::ContentId;

use super::Extent;
use crate::Repository;
use crate::lock::{lock, wait};

/// How many bytes may be decoded ahead of all readers of a repository.
#[derive(Debug)]
pub(crate) struct Allowance {
    whole: usize,
    left: AtomicUsize,
}

/// Bytes of the allowance, given back when dropped.
#[derive(Debug)]
struct Permit {
    allowance: Arc<Allowance>,
    bytes: usize,
}

impl Allowance {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { whole: bytes, left: AtomicUsize::new(bytes) }
    }

    /// Returns how many bytes there are when nobody reads.
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
        self.allowance.left.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// Contents that follow each other, as far as they are decoded. Once nobody holds it, the rest is not read.
#[derive(Debug)]
pub(super) struct Window {
    /// The number of the first extent.
    first: usize,
    slots: Mutex<Vec<Slot>>,
    changed: Condvar,
    _permit: Permit,
}

#[derive(Debug, Clone)]
enum Slot {
    Awaited,
    Decoded(Arc<Vec<u8>>),
    /// It could not be had, or is not what its list says.
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
        let bytes = window.iter().fold(0, |sum: u64, extent| sum.saturating_add(extent.length.unwrap_or(0)));
        let permit = repository.read_ahead().take(usize::try_from(bytes).ok()?)?;
        let slots = window.iter().map(|extent| slot(repository, extent)).collect();
        let first = numbers.start;
        let window = Self { first, slots: Mutex::new(slots), changed: Condvar::new(), _permit: permit };
        let window = Arc::new(window);
        let (weak, repository, extents) = (Arc::downgrade(&window), repository.clone(), extents.clone());
        let decode = move || decode(&weak, &repository, extents.get(numbers).unwrap_or_default());
        thread::Builder::new().spawn(decode).is_ok().then_some(window)
    }

    /// Returns the numbers of its extents.
    pub(super) fn numbers(&self) -> Range<usize> {
        self.first..self.first + lock(&self.slots).len()
    }

    /// Returns the bytes of an extent, waiting for them; `None` if they could not be had so.
    pub(super) fn get(&self, number: usize) -> Option<Arc<Vec<u8>>> {
        let number = number.checked_sub(self.first)?;
        let mut slots = lock(&self.slots);
        loop {
            match slots.get(number)? {
                Slot::Awaited => slots = wait(&self.changed, slots),
                Slot::Decoded(bytes) => return Some(bytes.clone()),
                Slot::Lost => return None,
            }
        }
    }

    fn set(&self, number: usize, slot: Slot) {
        if let Some(place) = lock(&self.slots).get_mut(number) {
            *place = slot;
        }
        self.changed.notify_all();
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
            window.set(number, fits.map_or(Slot::Lost, |plain| Slot::Decoded(Arc::new(plain.to_vec()))));
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
