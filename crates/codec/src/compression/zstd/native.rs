//! libzstd, with one context for all streams: a new one each time costs 35 to 40 % at contents of 16 KiB.

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall;
use zstd::zstd_safe::{DCtx, get_error_name, is_error_kind};

use super::super::{Decoded, Expect, too_long};

/// The context of one worker.
#[derive(Default)]
pub(in super::super) struct Zstd {
    context: Option<DCtx<'static>>,
}

impl Zstd {
    /// Decodes the frames of a stream.
    ///
    /// Always in one call: then the output is the window, and a declared window allocates nothing. Where the
    /// length is not known, the buffer grows fourfold until the stream fits. That costs nothing for streams
    /// compressed to more than a quarter, and at worst 1.3 times the work once more.
    pub(in super::super) fn decompress(
        &mut self,
        stream: &[u8],
        expect: Expect,
        out: &mut Vec<u8>,
    ) -> Decoded {
        let context = self.context.get_or_insert_default();
        let mut capacity = expect.first_capacity(stream.len());
        loop {
            out.clear();
            out.reserve_exact(capacity);
            // A vector that has more room than asked for may be filled further; the caller checks the length.
            let code = match context.decompress(out, stream) {
                Ok(_) => return Ok(()),
                Err(code) => code,
            };
            if !is_error_kind(code, ZSTD_error_dstSize_tooSmall) {
                return Err(get_error_name(code).into());
            }
            if out.capacity() >= expect.limit() {
                return Err(too_long(expect.limit()));
            }
            capacity = out.capacity().saturating_mul(4).min(expect.limit());
        }
    }
}
