//! Compresses a stream in chunks, on as many threads as there are cores.
//!
//! Each chunk is compressed by itself, and they are put together in their order. Of zstd each is a frame, of
//! deflate a run of blocks that ends on a whole byte, so that all of them are one stream. Both are what all
//! readers of the formats take.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver};

use flate2::{Compress, Compression, FlushCompress};

use crate::tar::Out;
use crate::{Error, Result};

/// How many bytes are compressed at once. Longer chunks compress hardly better: zstd looks back as far at its
/// usual level, deflate 32 KiB.
const CHUNK: usize = 2 << 20;

/// What ends a deflate stream: an empty block that says it is the last.
pub(crate) const LAST_BLOCK: [u8; 2] = [3, 0];

/// How gzip begins: no name, no time, made on Unix.
const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

/// How chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// Raw deflate, of this level.
    Deflate(u32),
    /// Zstandard, of this level.
    #[cfg(feature = "native")]
    Zstd(i32),
}

impl Codec {
    /// Deflate of a level, or of the usual one, as gzip and zip have it.
    pub(crate) fn deflate(level: Option<u8>) -> Self {
        Self::Deflate(level.unwrap_or(6).clamp(1, 9).into())
    }

    /// Zstandard of a level, or of the usual one.
    #[cfg(feature = "native")]
    pub(crate) fn zstd(level: Option<u8>) -> Result<Self> {
        Ok(Self::Zstd(level.unwrap_or(3).clamp(1, 19).into()))
    }

    /// Without a C compiler there is no such encoder.
    #[cfg(not(feature = "native"))]
    pub(crate) fn zstd(_: Option<u8>) -> Result<Self> {
        Err(Error::NoZstd)
    }
}

/// Threads that compress.
pub(crate) struct Pool(rayon::ThreadPool);

/// A chunk that is being compressed.
pub(crate) struct Pending(Receiver<io::Result<Packed>>);

/// A chunk that is compressed.
pub(crate) struct Packed {
    /// The chunk as it was, to be filled again.
    pub(crate) chunk: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
    /// The checksum of the chunk as it was.
    pub(crate) sum: crc32fast::Hasher,
}

impl Pool {
    /// Starts so many threads.
    pub(crate) fn start(threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map(Self).map_err(|error| Error::Threads { source: io::Error::other(error) })
    }

    /// Returns how many chunks may be under way, so that no thread waits for one.
    pub(crate) fn most(&self) -> usize {
        self.0.current_num_threads() + 2
    }

    /// Begins to compress a chunk.
    pub(crate) fn pack(&self, codec: Codec, chunk: Vec<u8>) -> Pending {
        let (packed, pending) = mpsc::channel();
        self.0.spawn(move || {
            // Nobody waits any more once the export is stopped.
            let _ = packed.send(pack(codec, chunk));
        });
        Pending(pending)
    }
}

impl Pending {
    /// Waits for the chunk.
    pub(crate) fn wait(self) -> io::Result<Packed> {
        self.0.recv().map_err(io::Error::other)?
    }
}

fn pack(codec: Codec, chunk: Vec<u8>) -> io::Result<Packed> {
    let mut sum = crc32fast::Hasher::new();
    let bytes = match codec {
        Codec::Deflate(level) => {
            sum.update(&chunk);
            deflate(level, &chunk)?
        }
        #[cfg(feature = "native")]
        Codec::Zstd(level) => zstd(level, &chunk)?,
    };
    Ok(Packed { chunk, bytes, sum })
}

/// Compresses a chunk to whole blocks of deflate that end on a whole byte.
fn deflate(level: u32, chunk: &[u8]) -> io::Result<Vec<u8>> {
    thread_local!(static KEPT: RefCell<Option<(u32, Compress)>> = const { RefCell::new(None) });
    KEPT.with_borrow_mut(|kept| {
        let (_, compress) = match kept {
            Some(kept) if kept.0 == level => kept,
            kept => kept.insert((level, Compress::new(Compression::new(level), false))),
        };
        compress.reset();
        let mut bytes = Vec::with_capacity(chunk.len() / 2 + 64);
        loop {
            let done = compress.total_in() as usize;
            compress
                .compress_vec(&chunk[done..], &mut bytes, FlushCompress::Sync)
                .map_err(io::Error::other)?;
            // What is flushed is out once there is room left.
            if compress.total_in() as usize == chunk.len() && bytes.len() < bytes.capacity() {
                return Ok(bytes);
            }
            bytes.reserve(bytes.len().max(64));
        }
    })
}

/// Compresses a chunk to a frame of Zstandard, with a checksum.
#[cfg(feature = "native")]
fn zstd(level: i32, chunk: &[u8]) -> io::Result<Vec<u8>> {
    type Kept = Option<(i32, zstd::bulk::Compressor<'static>)>;
    thread_local!(static KEPT: RefCell<Kept> = const { RefCell::new(None) });
    KEPT.with_borrow_mut(|kept| {
        let (_, compressor) = match kept {
            Some(kept) if kept.0 == level => kept,
            kept => {
                let mut compressor = zstd::bulk::Compressor::new(level)?;
                compressor.include_checksum(true)?;
                kept.insert((level, compressor))
            }
        };
        compressor.compress(chunk)
    })
}

/// A compressed stream that is being written.
pub(crate) struct Compressed<W> {
    out: W,
    codec: Codec,
    pool: Pool,
    chunk: Vec<u8>,
    pending: VecDeque<Pending>,
    /// Chunks to be filled again.
    spare: Vec<Vec<u8>>,
    /// The checksum of all that was compressed, and how many bytes that were.
    sum: crc32fast::Hasher,
    plain: u64,
    written: u64,
}

impl<W: Write> Compressed<W> {
    /// Begins with a stream; what it begins with is written with its first chunk.
    pub(crate) fn new(codec: Codec, pool: Pool, out: W) -> Self {
        Self {
            out,
            codec,
            pool,
            chunk: Vec::with_capacity(CHUNK),
            pending: VecDeque::new(),
            spare: Vec::new(),
            sum: crc32fast::Hasher::new(),
            plain: 0,
            written: 0,
        }
    }

    /// Has what was gathered compressed, and writes what comes before it if too much is under way.
    fn pack(&mut self) -> io::Result<()> {
        let next = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(CHUNK));
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.plain += chunk.len() as u64;
        self.pending.push_back(self.pool.pack(self.codec, chunk));
        while self.pending.len() > self.pool.most() {
            self.write_one()?;
        }
        Ok(())
    }

    /// Writes the first chunk that is under way.
    fn write_one(&mut self) -> io::Result<()> {
        let Some(pending) = self.pending.pop_front() else { return Ok(()) };
        let Packed { mut chunk, bytes, sum } = pending.wait()?;
        self.sum.combine(&sum);
        if self.written == 0 && matches!(self.codec, Codec::Deflate(_)) {
            self.put(&GZIP)?;
        }
        self.put(&bytes)?;
        chunk.clear();
        self.spare.push(chunk);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

impl<W: Write> Write for Compressed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..count]);
        if self.chunk.len() == CHUNK {
            self.pack()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Out for Compressed<W> {
    fn finish(mut self) -> io::Result<u64> {
        if !self.chunk.is_empty() {
            self.pack()?;
        }
        while !self.pending.is_empty() {
            self.write_one()?;
        }
        if matches!(self.codec, Codec::Deflate(_)) {
            self.put(&LAST_BLOCK)?;
            let (sum, plain) = (self.sum.clone().finalize(), self.plain as u32);
            self.put(&sum.to_le_bytes())?;
            self.put(&plain.to_le_bytes())?;
        }
        self.out.flush()?;
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn compressed(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut compressed = Compressed::new(codec, Pool::start(2).unwrap(), &mut out);
        compressed.write_all(bytes).unwrap();
        let written = compressed.finish().unwrap();
        assert_eq!(written, out.len() as u64);
        out
    }

    /// Bytes of which half can be compressed, in more chunks than are under way at once.
    fn some_bytes(count: usize) -> Vec<u8> {
        let mut random = kopia_testkit::random::Random::of("compress");
        (0..count)
            .map(|place| if place % 512 < 256 { random.next() as u8 } else { (place >> 8) as u8 })
            .collect()
    }

    #[test]
    fn gzip_is_one_stream() {
        for count in [1, CHUNK - 1, CHUNK, 9 * CHUNK + 5] {
            let bytes = some_bytes(count);
            let out = compressed(Codec::deflate(None), &bytes);
            let mut plain = Vec::new();
            // This reads one member and no more.
            let mut reader = flate2::read::GzDecoder::new(&out[..]);
            reader.read_to_end(&mut plain).unwrap();
            assert!(plain == bytes && reader.into_inner().is_empty(), "{count}");
        }
    }

    #[cfg(feature = "native")]
    #[test]
    fn zstd_is_read_as_one_stream() {
        for count in [1, CHUNK, 9 * CHUNK + 5] {
            let bytes = some_bytes(count);
            let out = compressed(Codec::zstd(Some(1)).unwrap(), &bytes);
            assert!(zstd::decode_all(&out[..]).unwrap() == bytes, "{count}");
        }
    }
}
