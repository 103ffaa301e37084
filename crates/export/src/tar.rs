//! POSIX tar archives in the pax format, which all of today's tars read.
//!
//! Each entry is a header of 512 bytes, and its bytes, filled up to blocks of 512. What does not fit into the
//! header stands in records before it, `LENGTH KEY=VALUE`: times with fractions of a second, long names and
//! names that are not ASCII, files of 8 GiB and more, large owners.
//!
//! Two things are decided otherwise than in GNU tar: runs of zeros are written as they are, as holes are not
//! what was backed up, and compression makes nothing of them; and targets of links that are not UTF-8, which
//! pax has no place for, are written as GNU tar always did, with a header of type `K` where they are long.

use std::io::{self, BufWriter, Write};

use crate::archive::Archive;
use crate::batch::Meta;
use header::Header;

mod header;
mod records;

/// The unit of everything, in bytes.
const BLOCK: usize = 512;

/// How many bytes are written at once.
const BUFFER: usize = 256 << 10;

/// What takes a tar's bytes, and has an end of its own.
pub(crate) trait Out: Write {
    /// Writes what is left, and returns how many bytes there were in all.
    fn finish(self) -> io::Result<u64>;
}

/// A tar archive that is being written.
pub(crate) struct Tar<O> {
    out: O,
    /// How many bytes of the current file were written.
    written: u64,
    /// The headers of an entry, gathered.
    head: Vec<u8>,
}

impl<W: Write> Tar<Plain<W>> {
    /// Begins with an archive that is not compressed.
    pub(crate) fn new(out: W) -> Self {
        Self::through(Plain { out: BufWriter::with_capacity(BUFFER, out), written: 0 })
    }
}

impl<O: Out> Tar<O> {
    /// Begins with an archive that goes through something else.
    pub(crate) fn through(out: O) -> Self {
        Self { out, written: 0, head: Vec::new() }
    }

    fn header(&mut self, header: &Header<'_>) -> io::Result<()> {
        self.head.clear();
        header.write(&mut self.head);
        self.out.write_all(&self.head)
    }
}

impl<O: Out> Archive for Tar<O> {
    fn directory(&mut self, meta: &Meta) -> io::Result<()> {
        self.header(&Header::new(b'5', meta))
    }

    fn symlink(&mut self, meta: &Meta, target: &[u8]) -> io::Result<()> {
        self.header(&Header { target, ..Header::new(b'2', meta) })
    }

    fn begin(&mut self, meta: &Meta, length: u64) -> io::Result<()> {
        self.written = 0;
        self.header(&Header { length, ..Header::new(b'0', meta) })
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        let rest = (self.written % BLOCK as u64) as usize;
        if rest == 0 { Ok(()) } else { self.out.write_all(&[0; BLOCK][rest..]) }
    }

    fn finish(mut self: Box<Self>) -> io::Result<u64> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.finish()
    }
}

/// Bytes that go out as they are.
pub(crate) struct Plain<W: Write> {
    out: BufWriter<W>,
    written: u64,
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Out for Plain<W> {
    fn finish(mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.written)
    }
}
