//! ruzstd, for builds without a C compiler; about 0.28 times as fast as libzstd.
//!
//! It does not compare checksums: ruzstd leaves that to its caller, and only with its feature `hash`.
//! Contents are authenticated before they are decompressed.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::super::{Decoded, Expect, too_long};

/// The largest window that any version of Kopia declares.
const WINDOW: usize = 32 << 20;

/// The context of one worker.
#[derive(Default)]
pub(in super::super) struct Zstd {
    frames: FrameDecoder,
}

impl Zstd {
    /// Decodes the frames of a stream.
    pub(in super::super) fn decompress(
        &mut self,
        mut stream: &[u8],
        expect: Expect,
        out: &mut Vec<u8>,
    ) -> Decoded {
        let limit = expect.limit();
        out.clear();
        out.reserve_exact(expect.first_capacity(stream.len()));
        // ruzstd reserves the window. A frame in one segment declares its own length for one.
        self.frames.set_max_window_size(WINDOW.max(limit) as u64);
        while !stream.is_empty() {
            match self.frames.reset(&mut stream) {
                Ok(()) => {}
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    stream = stream.get(length as usize..).ok_or("a skippable frame ends early")?;
                    continue;
                }
                Err(error) => return Err(error.to_string()),
            }
            while !self.frames.is_finished() {
                self.frames
                    .decode_blocks(&mut stream, BlockDecodingStrategy::UptoBytes(1 << 20))
                    .map_err(|error| error.to_string())?;
                if self.frames.can_collect() > limit.saturating_sub(out.len()) {
                    return Err(too_long(limit));
                }
                self.frames.collect_to_writer(&mut *out).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}
