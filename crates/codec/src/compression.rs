//! One content, decompressed: every compressor Kopia has shipped, by the number it leaves before the stream.
//!
//! A compressed content is `header u32 BE ‖ stream`; [`split_header`] takes the two apart. The header names
//! the compressor *and its level*, but a level only matters to the writer, so the ids fall into five formats:
//!
//! | ids | format | decoded by |
//! |---|---|---|
//! | `0x1000`–`0x1002`, `0x1300`–`0x1302` | gzip | libdeflate; flate2 where libdeflate cannot |
//! | `0x1100`–`0x1103` | zstd | libzstd, or ruzstd without `native` |
//! | `0x1200`–`0x1203` | S2, the extended Snappy framing | this crate |
//! | `0x1400` | LZ4 frame; Kopia after 0.22.3 reads it no longer | lz4_flex |
//! | `0x1500`–`0x1502` | deflate without any wrapper | libdeflate; flate2 where libdeflate cannot |
//!
//! Streams are hostile until shown otherwise: what they declare about themselves never sizes an allocation,
//! only the length or limit that the caller gives does, and running past it is [`Error::Corrupt`].
//!
//! Authority: Kopia's `repo/compression` (`compression_ids.go` for the numbers, `compressor_*.go` for names
//! and formats).
//!
//! ```
//! use kopia_codec::compression::{Decompressor, split_header};
//!
//! // "s2-default": stream identifier, one stored chunk.
//! let content = b"\0\0\x12\0\xff\x06\0\0S2sTwO\x01\x09\0\0\xbb\x1f\x1c\x19hello";
//! let (compression, stream) = split_header(content)?;
//! let mut plain = Vec::new();
//! Decompressor::new().decompress(compression, stream, 5, &mut plain)?;
//! assert_eq!((compression.name(), plain.as_slice()), ("s2-default", b"hello".as_slice()));
//! # Ok::<(), kopia_codec::Error>(())
//! ```

use std::io::Read;

use crate::{Error, Result};

mod deflate;
mod id;
mod lz4;
mod s2;
#[cfg(test)]
mod tests;
mod zstd;

pub use id::Compression;
use id::Format;

/// How many plain bytes the caller expects.
#[derive(Debug, Clone, Copy)]
enum Expect {
    Exactly(usize),
    Within(usize),
}

impl Expect {
    const fn limit(self) -> usize {
        match self {
            Self::Exactly(bytes) | Self::Within(bytes) => bytes,
        }
    }

    /// Returns a first capacity for the output of `stream` bytes, never above the limit.
    fn first_capacity(self, stream: usize) -> usize {
        match self {
            Self::Exactly(length) => length,
            Self::Within(limit) => limit.min(stream.saturating_mul(4).max(64 << 10)),
        }
    }
}

/// Decompresses contents, one after the other.
///
/// Each worker keeps one: setting up contexts costs up to 40 % of the time at contents of 16 KiB.
#[derive(Default)]
pub struct Decompressor {
    zstd: zstd::Zstd,
    deflate: deflate::Deflate,
}

impl Decompressor {
    /// Makes a decompressor; contexts are set up at their first use.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decompresses a stream whose plain length in bytes is known, as it is from the index.
    ///
    /// Afterwards `out` holds exactly `length` bytes, in place of whatever it held. Any other outcome is
    /// [`Error::Corrupt`] and leaves `out` empty. Like Kopia, this ignores bytes after the end of a raw
    /// deflate stream; the other formats allow none (gzip might miss a further member of exactly `length`
    /// bytes).
    pub fn decompress(
        &mut self,
        compression: Compression,
        stream: &[u8],
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.run(compression.format(), stream, Expect::Exactly(length), out)
    }

    /// Decompresses a stream of unknown length, such as an object whose id starts with `Z` or, with
    /// [`Compression::Gzip`], a manifest.
    ///
    /// Afterwards `out` holds the plain bytes, in place of whatever it held. More than `limit` of them is
    /// [`Error::Corrupt`], as any damage is, and leaves `out` empty. Memory grows with the bytes that really
    /// come out.
    pub fn decompress_within(
        &mut self,
        compression: Compression,
        stream: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.run(compression.format(), stream, Expect::Within(limit), out)
    }

    fn run(&mut self, format: Format, stream: &[u8], expect: Expect, out: &mut Vec<u8>) -> Result<()> {
        let done = self.dispatch(format, stream, expect, out).and_then(|()| match expect {
            Expect::Exactly(length) if out.len() < length => {
                Err(format!("it ends after {} of {length} bytes", out.len()))
            }
            Expect::Exactly(limit) | Expect::Within(limit) if out.len() > limit => Err(too_long(limit)),
            // libzstd accepts blocks longer than the format allows. `dispatch` refuses them where the length
            // is known; here it is not.
            Expect::Within(_) if out.len() > format.at_most(stream.len()) => {
                Err(format!("{} bytes cannot hold {}", stream.len(), out.len()))
            }
            _ => Ok(()),
        });
        done.map_err(|why| {
            out.clear();
            Error::corrupt(format.what(), why)
        })
    }

    fn dispatch(&mut self, format: Format, stream: &[u8], expect: Expect, out: &mut Vec<u8>) -> Decoded {
        if let Expect::Exactly(length) = expect
            && length > format.at_most(stream.len())
        {
            return Err(format!("{} bytes cannot hold {length}", stream.len()));
        }
        match format {
            Format::Gzip => self.deflate.gzip(stream, expect, out),
            Format::Zstd => self.zstd.decompress(stream, expect, out),
            Format::S2 => s2::decompress(stream, expect, out),
            Format::Lz4 => lz4::decompress(stream, expect, out),
            Format::Deflate => self.deflate.raw(stream, expect, out),
        }
    }
}

/// The result of a format's decoder: the output is in `out`, or the reason why it stopped.
///
/// [`Decompressor::run`] checks the length, and empties `out` after an error.
type Decoded = Result<(), String>;

fn too_long(limit: usize) -> String {
    format!("it holds more than {limit} bytes")
}

/// Appends the rest of `reader` to `out`, up to one byte more than `limit`.
fn read_within(reader: impl Read, limit: usize, out: &mut Vec<u8>) -> Decoded {
    let room = limit.saturating_sub(out.len()).saturating_add(1);
    reader.take(room as u64).read_to_end(out).map(drop).map_err(|error| error.to_string())
}

/// Splits compressed bytes into the compressor, which the first four bytes name, and the stream.
///
/// Fewer than four bytes are [`Error::Corrupt`], an unknown compressor is [`Error::Unsupported`].
pub fn split_header(bytes: &[u8]) -> Result<(Compression, &[u8])> {
    let (id, stream) = bytes.split_first_chunk().ok_or_else(|| {
        Error::corrupt("compression header", format!("{} bytes where at least 4 belong", bytes.len()))
    })?;
    Ok((Compression::from_id(u32::from_be_bytes(*id))?, stream))
}
