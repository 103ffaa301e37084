//! Copies an object front to back: several contents are read and decoded at once, and given out in their
//! order.

use std::sync::OnceLock;

use kopia_format::ContentId;

use super::{Extent, ObjectReader};
use crate::{Error, Result};

/// How many plain bytes are decoded at once, and how many contents.
const WINDOW: u64 = 16 << 20;
const CONTENTS: usize = 256;

impl ObjectReader {
    /// Gives all bytes to `write`, in order and piece by piece, and stops at its first error.
    ///
    /// Some 16 MiB are in memory at once. Neither the position nor the cache changes.
    ///
    /// # Errors
    /// As for [`Repository::read_extent`](crate::Repository::read_extent), and those of `write`.
    pub fn copy<E: From<Error>>(&self, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut rest = self.extents();
        // The first bytes come as soon as they can.
        let mut count = 1;
        while !rest.is_empty() {
            let (window, after) = rest.split_at(count.min(rest.len()));
            self.copy_window(window, &mut write)?;
            rest = after;
            let mut bytes = 0u64;
            let fits = rest.iter().take(CONTENTS).take_while(|extent| {
                bytes = bytes.saturating_add(extent.length.unwrap_or(WINDOW));
                bytes <= WINDOW
            });
            count = fits.count().max(1);
        }
        Ok(())
    }

    fn copy_window<E: From<Error>>(
        &self,
        window: &[Extent],
        write: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
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
        for (extent, slot) in window.iter().zip(slots) {
            // What could not be had, or is wrong, is read once more by itself, and says why.
            let bytes = slot.into_inner().map_or_else(|| self.repository().read_extent(extent), Ok)?;
            write(&bytes)?;
        }
        Ok(())
    }
}
