//! The LZ4 frame format, which Kopia wrote until 0.22.3.
//!
//! Every frame sets up buffers for blocks of up to 4 MiB, so small contents decode slowly (0.3 GiB/s at 16
//! KiB, 2 GiB/s at 4 MiB). Kopia has not written them for years: not worth more code.
//!
//! Authority: Kopia 0.22.3, `repo/compression/compressor_lz4.go`.

use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder;

use super::{Decoded, Expect, read_within, too_long};

/// Decodes the frames of a stream.
pub(super) fn decompress(stream: &[u8], expect: Expect, out: &mut Vec<u8>) -> Decoded {
    out.clear();
    out.reserve_exact(expect.first_capacity(stream.len()));
    let mut input = Input { rest: stream, ran_out: false };
    while !input.rest.is_empty() {
        // A decoder for each frame: lz4_flex asserts that buffers fit the frame, and kept ones may be larger.
        read_within(FrameDecoder::new(&mut input), expect.limit(), out)?;
        if out.len() > expect.limit() {
            return Err(too_long(expect.limit()));
        }
        if input.ran_out {
            return Err("it ends early".into());
        }
    }
    Ok(())
}

/// Records whether the decoder wanted more input: lz4_flex takes the end of its input for the end of a frame.
struct Input<'a> {
    rest: &'a [u8],
    ran_out: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.rest.read(buffer)?;
        self.ran_out |= read < buffer.len();
        Ok(read)
    }
}
