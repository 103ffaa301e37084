//! The memory map of a file: the only `unsafe` in the workspace.
//!
//! Bytes of a blob's map are handed out only after the kernel has read them, as touching a page that cannot
//! be read is a SIGBUS. A scratch file is this process's own.

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
        // anything. A scratch file has no name by which another process could open it, all `length` bytes of
        // it were written, and `ScratchFile::map` consumes the only handle that this process has.
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

    /// Tells the kernel that pages are touched here and there: it need not read those around them.
    pub(crate) fn expect_random(&self) {
        // What it makes of it is its own affair.
        let _ = self.0.advise(memmap2::Advice::Random);
    }

    /// Returns a range, if it lies in the map.
    pub(crate) fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        self.0.get(range)
    }
}
