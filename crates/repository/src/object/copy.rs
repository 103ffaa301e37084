//! Copies an object, or a part of it, front to back: several contents are read and decoded at once, the next
//! ones while those before them are given out.

use std::ops::Range;
use std::sync::OnceLock;
use std::thread;

use kopia_format::ContentId;

use super::{Extent, ObjectReader};
use crate::{Error, Result};

/// How many plain bytes are decoded at once, and how many contents.
const WINDOW: u64 = 16 << 20;
const CONTENTS: usize = 256;

/// Contents that follow each other, and the bytes of those that could be had.
type Window<'e> = (&'e [Extent], Vec<OnceLock<Vec<u8>>>);

impl ObjectReader {
    /// Gives all bytes to `write`, in order and piece by piece, and stops at its first error.
    ///
    /// Some 32 MiB are in memory at once. Neither the position nor the cache changes.
    ///
    /// # Errors
    /// As for [`Repository::read_extent`](crate::Repository::read_extent), and those of `write`.
    pub fn copy<E: From<Error>>(&self, write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.copy_range(0..u64::MAX, write)
    }

    /// As [`Self::copy`], of the bytes of a range as far as the object has them. Nothing else is read.
    ///
    /// # Errors
    /// As for [`Self::copy`].
    pub fn copy_range<E: From<Error>>(
        &self,
        range: Range<u64>,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = self.extents_of(&range);
        // The first bytes come as soon as they can.
        let mut window = self.decode(cut(&mut rest, 1));
        while !window.0.is_empty() {
            let next = cut(&mut rest, CONTENTS);
            let mut decoded = None;
            thread::scope(|scope| {
                let decode = || decoded = Some(self.decode(next));
                if !next.is_empty() {
                    // Without a thread, they are decoded when it is their turn.
                    let _ = thread::Builder::new().spawn_scoped(scope, decode);
                }
                self.give(window, &range, &mut write)
            })?;
            window = decoded.unwrap_or_else(|| (next, Vec::new()));
        }
        Ok(())
    }

    /// Returns the extents that have bytes of a range.
    fn extents_of(&self, range: &Range<u64>) -> &[Extent] {
        let extents = self.extents();
        let end = |extent: &Extent| extent.start.saturating_add(extent.length.unwrap_or_default());
        let first = extents.partition_point(|extent| end(extent) <= range.start);
        let last = extents.partition_point(|extent| extent.start < range.end);
        extents.get(first..last).unwrap_or_default()
    }

    /// Reads and decodes contents, as far as they can be had.
    fn decode<'e>(&self, window: &'e [Extent]) -> Window<'e> {
        let slots: Vec<OnceLock<Vec<u8>>> = window.iter().map(|_| OnceLock::new()).collect();
        if window.len() > 1 && window.iter().all(|extent| !extent.compressed) {
            let contents: Vec<ContentId> = window.iter().map(|extent| extent.content).collect();
            self.repository().contents().read_many(&contents, |number, plain| {
                // A list may state fewer bytes than its contents have, so that all together would not fit
                // into memory.
                if let Ok(plain) = plain
                    && window[number].length == Some(plain.len() as u64)
                {
                    slots[number].get_or_init(|| plain.to_vec());
                }
            });
        }
        (window, slots)
    }

    /// Gives out what of some contents lies in a range.
    fn give<E: From<Error>>(
        &self,
        (window, slots): Window<'_>,
        range: &Range<u64>,
        write: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut slots = slots.into_iter();
        for extent in window {
            // What could not be had, or is wrong, is read once more by itself, and says why.
            let decoded = slots.next().and_then(OnceLock::into_inner);
            let bytes = decoded.map_or_else(|| self.repository().read_extent(extent), Ok)?;
            let place = |offset: u64| {
                let offset = usize::try_from(offset.saturating_sub(extent.start)).unwrap_or(usize::MAX);
                offset.min(bytes.len())
            };
            write(&bytes[place(range.start)..place(range.end)])?;
        }
        Ok(())
    }
}

/// Cuts off the first extents that are decoded at once: so many at most.
fn cut<'e>(rest: &mut &'e [Extent], most: usize) -> &'e [Extent] {
    let mut bytes = 0_u64;
    let fits = rest.iter().take(most).take_while(|extent| {
        bytes = bytes.saturating_add(extent.length.unwrap_or(WINDOW));
        bytes <= WINDOW
    });
    let (first, after) = rest.split_at(fits.count().max(1).min(rest.len()));
    *rest = after;
    first
}
