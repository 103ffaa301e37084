//! What both kinds of archives take.

use std::io;

use crate::batch::Meta;

/// An archive that is being written, entry by entry.
pub(crate) trait Archive {
    /// Writes a directory.
    fn directory(&mut self, meta: &Meta) -> io::Result<()>;

    /// Writes a symbolic link with a target that is neither empty nor has a NUL byte.
    fn symlink(&mut self, meta: &Meta, target: &[u8]) -> io::Result<()>;

    /// Begins with a file of exactly so many bytes.
    fn begin(&mut self, meta: &Meta, length: u64) -> io::Result<()>;

    /// Writes the next bytes of the file.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Ends the file, all bytes of which were written.
    fn end(&mut self) -> io::Result<()>;

    /// Ends the archive, and returns how many bytes it has.
    fn finish(self: Box<Self>) -> io::Result<u64>;
}
