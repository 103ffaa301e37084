//! The map of a file: the only unsafe code of the workspace.

use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::Mmap;

/// A read-only map of a whole file.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    /// Maps `file`, which must not be empty. Nothing is read yet.
    #[expect(unsafe_code, reason = "mapping a file is unsafe, as others may change it")]
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: The map is read-only and private to this crate. It is undefined only if somebody changes the file
        // while its bytes are looked at. Kopia never does: a blob is written under another name, renamed when it is
        // whole, and never written again. Should another program do so all the same, changed bytes fail the
        // authentication that each content goes through, and a file cut short ends the process with SIGBUS; readers of
        // `filesystem` check length and pages just before, which leaves only the window described there.
        unsafe { Mmap::map(file) }.map(Self)
    }

    /// Makes the pages of `range` present, so that looking at them reads nothing more. `range` must lie in the map.
    ///
    /// # Errors
    /// Whatever reading the pages came to, where a plain look would end the process; `EINVAL` from a system that does
    /// not know this request (Linux before 5.14), and `Unsupported` on other systems.
    pub(crate) fn populate(&self, range: &Range<usize>) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return self.0.advise_range(memmap2::Advice::PopulateRead, range.start, range.len());
        #[cfg(not(target_os = "linux"))]
        return Err(io::ErrorKind::Unsupported.into());
    }

    /// Returns all bytes of the file, as long as it was when it was mapped.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
