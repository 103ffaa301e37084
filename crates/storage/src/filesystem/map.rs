//! Maps of memory, of a file or of large blocks: the only `unsafe` in the workspace.
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

/// Has glibc map each block of memory of a MiB or more on its own, so that it is given back when it is freed.
///
/// Left to itself, glibc takes blocks of up to 32 MiB from heaps, of which each thread has one, as soon as it has
/// seen one freed; and what is freed stays in the heap. Buffers that 64 threads read into made 188 MiB of 105 so.
///
/// It counts for the whole process, and so is for programs to call, before they start threads; libraries leave
/// it to them. Other systems' allocators stay as they are: musl's does so by itself.
#[cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(
        unsafe_code,
        reason = "glibc has no other way but a variable of the environment, read before `main`"
    )
)]
pub fn map_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt(3) sets two numbers, under glibc's own lock; any value of them is right.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK);
        // It would fall to 128 KiB with the first, and a heap's end be given back and taken again all the time.
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * LARGE_BLOCK);
    }
}

/// The smallest block that is mapped on its own, in bytes: page faults of a larger one take less time than what
/// is done with its bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_BLOCK: libc::c_int = 1 << 20;

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
