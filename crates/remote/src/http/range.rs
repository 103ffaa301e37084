//! A range of a blob on its way, and what servers say of ranges.

use std::ops::Range;

use ureq::http::HeaderMap;

use super::Trouble;

/// How much memory is taken before any byte came, where the blob is known to be long enough.
const AT_ONCE: usize = 64 << 20;

/// How much memory is taken before more came, where nothing is known.
const UNKNOWN: usize = 256 << 10;

/// A range on its way.
pub(super) struct Transfer {
    pub(super) wanted: Range<u64>,
    /// Whether the blob must reach to the end of the range.
    pub(super) exact: bool,
    /// How long it may become where it is read whole and the server does not say how long it is.
    pub(super) most: u64,
    pub(super) buffer: Vec<u8>,
    /// How many bytes of the buffer are there.
    pub(super) done: usize,
    /// The length of the blob, once a server said it.
    pub(super) total: Option<u64>,
}

impl Transfer {
    /// Returns the first byte that is missing.
    pub(super) fn from(&self) -> u64 {
        self.wanted.start + self.done as u64
    }

    pub(super) fn header(&self) -> String {
        format!("bytes={}-{}", self.from(), self.wanted.end - 1)
    }

    /// Compares the range that a server says it gives, and the length of its body, with what was asked for.
    pub(super) fn accept(&mut self, range: &ContentRange, told: Option<u64>) -> Result<(), String> {
        let got = || format!("bytes {}-{} of {:?}, {told:?} long", range.start, range.last, range.total);
        let expected_last =
            range.total.map_or(self.wanted.end, |total| total.min(self.wanted.end)).checked_sub(1);
        // Where the length is not told, nothing can be compared with it, so no memory would be safe to take.
        let right = range.total.is_some()
            && range.start == self.from()
            && Some(range.last) == expected_last
            && range.last >= range.start
            && told.is_none_or(|told| told == range.last - range.start + 1)
            && self.total.is_none_or(|total| Some(total) == range.total);
        self.total = range.total.or(self.total);
        if right { Ok(()) } else { Err(got()) }
    }

    /// Compares the range with the blob's length, if that is known, and cuts it where it may be cut.
    pub(super) fn check_length(&mut self) -> Result<(), Trouble> {
        let Some(total) = self.total else { return Ok(()) };
        if self.exact && total < self.wanted.end {
            return Err(Trouble::Short { length: total });
        }
        if !self.exact {
            self.wanted.end = self.wanted.end.min(total);
        }
        Ok(())
    }

    /// Returns memory for what is missing. It grows as bytes come: a server may say any length.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let length = usize::try_from(self.wanted.end - self.wanted.start).unwrap_or(usize::MAX);
        let ahead = if self.total.is_some() { AT_ONCE } else { UNKNOWN };
        let size = length.min(self.done.saturating_mul(2).max(self.done.saturating_add(ahead)));
        if self.buffer.len() < size {
            // No more than that: what a buffer may take is counted before.
            self.buffer.reserve_exact(size - self.buffer.len());
            self.buffer.resize(size, 0);
        }
        self.buffer.get_mut(self.done..size).unwrap_or_default()
    }
}

/// A `Content-Range`.
pub(super) struct ContentRange {
    start: u64,
    last: u64,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    /// Returns whether it says that nothing lies there, as some servers do where others say 416.
    pub(super) fn is_empty(&self) -> bool {
        self.last.checked_add(1) == Some(self.start) && self.total == Some(self.start)
    }
}

pub(super) fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let text = headers.get("content-range")?.to_str().ok()?.trim();
    let (range, total) = text.strip_prefix("bytes")?.trim_start_matches([' ', '=']).split_once('/')?;
    let (start, last) = range.split_once('-')?;
    Some(ContentRange {
        start: start.trim().parse().ok()?,
        last: last.trim().parse().ok()?,
        total: total.trim().parse().ok(),
    })
}

/// Returns the blob's length of a `Content-Range` that says no range was given.
pub(super) fn unsatisfied(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get("content-range")?.to_str().ok()?;
    text.trim().strip_prefix("bytes")?.trim_start().strip_prefix("*/")?.parse().ok()
}
