//! Copies an object, or a part of it, front to back: several contents are read and decoded at once, the next
//! ones while those before them are given out.

use std::ops::Range;

use super::ObjectReader;
use crate::{Error, Result};

impl ObjectReader {
    /// Gives all bytes to `write`, in order and piece by piece, and stops at its first error.
    ///
    /// Some 32 MiB are in memory at once, more on more than four cores, and all of it counts as
    /// [`read_ahead`](crate::Resources::read_ahead). Neither the position nor the cache changes.
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
        let reader = self.of_range(range.clone());
        let mut offset = range.start;
        while offset < range.end {
            let mut chunk = reader.chunk_at(offset)?;
            chunk.truncate(usize::try_from(range.end - offset).unwrap_or(usize::MAX));
            if chunk.is_empty() {
                break;
            }
            write(&chunk)?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }
}
