//! Deflate (RFC 1951), bare and as gzip (RFC 1952); pgzip writes plain gzip.
//!
//! libdeflate is 1.4 to 2.2 times as fast as zlib-rs, but wants all of the input, the exact size of the
//! output, and a single member, and does not report where in the input it stopped. flate2 decides wherever
//! libdeflate fails.
//!
//! Authority: Kopia's `repo/compression/compressor_{gzip,pgzip,deflate}.go`.

use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use super::{Decoded, Expect, read_within, too_long};

/// The contexts of one worker.
#[derive(Default)]
pub(super) struct Deflate {
    #[cfg(feature = "native")]
    whole: Option<libdeflater::Decompressor>,
    steps: Option<Decompress>,
}

impl Deflate {
    /// Decodes gzip: one member or several, nothing after the last.
    pub(super) fn gzip(&mut self, stream: &[u8], expect: Expect, out: &mut Vec<u8>) -> Decoded {
        #[cfg(feature = "native")]
        if let Expect::Exactly(length) = expect {
            // A member ends in its length. Where the stream does not, libdeflate would stop before the
            // stream's end. (Only a second member of the very same length slips through, and leaves the
            // first, whole.)
            let last = stream.last_chunk().map(|bytes| u32::from_le_bytes(*bytes));
            if last == u32::try_from(length).ok() {
                out.resize(length, 0);
                let whole = self.whole.get_or_insert_default();
                if whole.gzip_decompress(stream, out) == Ok(length) {
                    return Ok(());
                }
            }
        }
        out.clear();
        out.reserve_exact(expect.first_capacity(stream.len()));
        read_within(MultiGzDecoder::new(stream), expect.limit(), out)
    }

    /// Decodes a bare deflate stream and ignores bytes after it, as Kopia does: libdeflate does not report
    /// them.
    pub(super) fn raw(&mut self, stream: &[u8], expect: Expect, out: &mut Vec<u8>) -> Decoded {
        #[cfg(feature = "native")]
        if let Expect::Exactly(length) = expect {
            out.resize(length, 0);
            let whole = self.whole.get_or_insert_default();
            if whole.deflate_decompress(stream, out) == Ok(length) {
                return Ok(());
            }
        }
        self.raw_in_steps(stream, expect, out)
    }

    /// Decodes a bare deflate stream into a growing buffer: flate2's readers take a truncated stream for a
    /// whole one.
    fn raw_in_steps(&mut self, stream: &[u8], expect: Expect, out: &mut Vec<u8>) -> Decoded {
        let inflate = self.steps.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        out.clear();
        // One byte more, so that a stream that just fills the buffer ends without growing it.
        out.reserve_exact(expect.first_capacity(stream.len()).saturating_add(1));
        loop {
            let taken = inflate.total_in();
            let held = out.len();
            // In range: zlib counts no more bytes than it was given.
            let rest = stream.get(taken as usize..).unwrap_or_default();
            let status = inflate
                .decompress_vec(rest, out, FlushDecompress::None)
                .map_err(|error| error.to_string())?;
            if out.len() > expect.limit() {
                return Err(too_long(expect.limit()));
            }
            match status {
                Status::StreamEnd => return Ok(()),
                // At most doubles, so that memory follows the output.
                Status::Ok | Status::BufError if out.len() == out.capacity() => {
                    let left = expect.limit().saturating_sub(out.len());
                    out.reserve(left.saturating_add(1).min(out.len().max(4096)));
                }
                Status::Ok | Status::BufError if taken == inflate.total_in() && held == out.len() => {
                    return Err("it ends early".into());
                }
                Status::Ok | Status::BufError => {}
            }
        }
    }
}
