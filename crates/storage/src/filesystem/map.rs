//! The memory map of a blob's file: the only `unsafe` in the workspace.
//!
//! Bytes of a map are handed out only after the kernel has read them, as touching a page that cannot be read
//! is a SIGBUS.

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::{Mmap, MmapOptions};

/// A read-only map of a file.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    /// Whether maps can be used at all: `populate` needs Linux, and address space must not be scarce.
    pub(crate) const IS_SUPPORTED: bool = cfg!(all(target_os = "linux", target_pointer_width = "64"));

    /// Maps the first `length` bytes of a file.
    #[expect(
        unsafe_code,
        reason = "programs that read the same packs again and again save the copy, and no safe way to map a file exists"
    )]
    pub(crate) fn new(file: &File, length: usize) -> io::Result<Self> {
        // SAFETY: the map is read-only, and memmap2 owns its address range until it is dropped. What it shows
        // may change only if someone changes the file: Kopia writes each blob once, under another name, and
        // then never changes it. Bytes are handed out only where `populate` succeeded, so a file that is too
        // short or cannot be read is noticed before. Should someone overwrite a file at the very moment it is
        // used, the bytes are wrong; all of them are checked against a key or a hash before they mean
        // anything.
        unsafe { MmapOptions::new().len(length).map(file) }.map(Self)
    }

    /// Has the kernel read a range and enter it into the page tables, so that touching it cannot fail.
    ///
    /// # Errors
    /// EINVAL on kernels before Linux 5.14; EFAULT if a part cannot be read or lies beyond the end of the
    /// file.
    pub(crate) fn populate(&self, range: Range<usize>) -> io::Result<()> {
        // memmap2 compares offset and length with the map's length one by one only.
        if self.get(range.clone()).is_none() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        #[cfg(target_os = "linux")]
        return self.0.advise_range(memmap2::Advice::PopulateRead, range.start, range.len());
        #[cfg(not(target_os = "linux"))]
        return Err(io::ErrorKind::Unsupported.into());
    }

    /// Returns a range, if it lies in the map.
    pub(crate) fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        self.0.get(range)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_noticed_before_it_is_touched() {
        if !Map::IS_SUPPORTED {
            return;
        }
        let file = tempfile::tempfile().expect("a file");
        file.set_len(3 * 4096).expect("it grows");
        let map = Map::new(&file, 3 * 4096).expect("a map");
        assert!(map.populate(4096..3 * 4096 + 1).is_err(), "beyond the map");
        file.set_len(4096).expect("it shrinks");
        assert!(map.populate(4096..3 * 4096).is_err(), "beyond the file");
    }
}
