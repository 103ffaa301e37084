//! The S2 stream format: the Snappy framing with larger blocks and repeated offsets.
//!
//! ```text
//! stream  = nothing at all | chunk 0xff, chunk*
//! chunk   = type u8 ‖ length of the body u24 LE ‖ body
//!   0xff        stream identifier: "S2sTwO", or "sNaPpY" for blocks of at most 64 KiB; may come again
//!   0x00        block:  checksum u32 LE ‖ compressed block
//!   0x01        stored: checksum u32 LE ‖ plain bytes
//!   0x02–0x7f   unknown, and needed to decode: an error
//!   0x80–0xfe   skipped: an index (0x99), padding (0xfe)
//! checksum = CRC-32C of the plain bytes, rotated right by 15 bits, + 0xa282ead8
//! ```
//!
//! Authority: the README of `s2` in github.com/klauspost/compress and its `reader.go`, which Kopia's
//! `repo/compression/compressor_s2.go` uses. Kopia's blocks hold 1 MiB of plain bytes at most, the format's 4
//! MiB.

use super::{Decoded, Expect, too_long};

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the hot loop: each tag is compared with input and output once, in units of at most 4 MiB"
)]
mod block;

/// The most plain bytes of one chunk.
const MAX_BLOCK: usize = 4 << 20;
/// The most plain bytes of one chunk after a Snappy identifier.
const MAX_SNAPPY_BLOCK: usize = 64 << 10;

/// Decodes a stream.
pub(super) fn decompress(stream: &[u8], expect: Expect, out: &mut Vec<u8>) -> Decoded {
    let mut plain = Plain::new(out, expect);
    let mut rest = stream;
    // None until the stream has identified itself.
    let mut max_block = None;
    while !rest.is_empty() {
        let at = stream.len().saturating_sub(rest.len());
        chunk(&mut rest, &mut max_block, &mut plain).map_err(|why| format!("chunk at byte {at}: {why}"))?;
    }
    plain.finish();
    Ok(())
}

fn chunk(rest: &mut &[u8], max_block: &mut Option<usize>, plain: &mut Plain) -> Decoded {
    let (&[kind, l0, l1, l2], after) = rest.split_first_chunk().ok_or("its header is cut short")?;
    let length = u32::from_le_bytes([l0, l1, l2, 0]) as usize;
    let (body, after) = after.split_at_checked(length).ok_or("it is cut short")?;
    *rest = after;
    match (kind, *max_block) {
        (0xff, _) => {
            *max_block = Some(match body {
                b"S2sTwO" => MAX_BLOCK,
                b"sNaPpY" => MAX_SNAPPY_BLOCK,
                _ => return Err("an unknown stream identifier".into()),
            });
            Ok(())
        }
        (_, None) => Err("the stream does not start with its identifier".into()),
        (0x00, Some(max)) => {
            let (checksum, body) = checksum(body)?;
            let (length, tags) = block::split_length(body)?;
            let into = plain.next(length, max)?;
            block::decompress(tags, into)?;
            verify(into, checksum)
        }
        (0x01, Some(max)) => {
            let (checksum, body) = checksum(body)?;
            let into = plain.next(body.len(), max)?;
            into.copy_from_slice(body);
            verify(into, checksum)
        }
        (0x02..=0x7f, _) => Err(format!("unknown kind {kind:#04x}")),
        (0x80..=0xfe, _) => Ok(()),
    }
}

fn checksum(body: &[u8]) -> Result<(u32, &[u8]), &'static str> {
    let (checksum, body) = body.split_first_chunk().ok_or("it has no checksum")?;
    Ok((u32::from_le_bytes(*checksum), body))
}

fn verify(plain: &[u8], checksum: u32) -> Decoded {
    // Snappy's framing masks checksums, since a CRC of data that contains its own CRCs is weak.
    let found = crc32c::crc32c(plain).rotate_right(15).wrapping_add(0xa282_ead8);
    if found == checksum { Ok(()) } else { Err("its checksum does not fit".into()) }
}

/// The output, filled block by block.
///
/// It overwrites the vector's old contents: safe code decodes into initialised memory, so only growth costs
/// zeroing.
struct Plain<'a> {
    out: &'a mut Vec<u8>,
    filled: usize,
    limit: usize,
}

impl<'a> Plain<'a> {
    fn new(out: &'a mut Vec<u8>, expect: Expect) -> Self {
        if let Expect::Exactly(length) = expect {
            out.reserve_exact(length.saturating_sub(out.len()));
        }
        Self { out, filled: 0, limit: expect.limit() }
    }

    /// Returns the place for the next `length` bytes.
    fn next(&mut self, length: usize, max_block: usize) -> Result<&mut [u8], String> {
        if length > max_block {
            return Err(format!("{length} plain bytes, more than a chunk may hold"));
        }
        let start = self.filled;
        let end = start.checked_add(length).filter(|&end| end <= self.limit);
        let end = end.ok_or_else(|| too_long(self.limit))?;
        if self.out.len() < end {
            self.out.resize(end, 0);
        }
        self.filled = end;
        Ok(self.out.get_mut(start..end).expect("the output has grown to its new end"))
    }

    fn finish(self) {
        self.out.truncate(self.filled);
    }
}

#[cfg(test)]
mod tests;
