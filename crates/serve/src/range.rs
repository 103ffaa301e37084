//! Which bytes of a file a request wants (RFC 9110, section 14).

use std::ops::Range;

/// What a Range header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: there is no range, or none that is understood.
    All,
    /// One part that is there.
    Part(Range<u64>),
    /// Nothing that is there (416).
    Nothing,
}

impl Wanted {
    /// Reads a Range header. Of several ranges everything is wanted, as the RFC allows.
    pub(crate) fn parse(header: Option<&str>, length: u64) -> Self {
        Self::part(header.unwrap_or_default(), length).unwrap_or(Self::All)
    }

    fn part(header: &str, length: u64) -> Option<Self> {
        let (unit, set) = header.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        let range = match (number(first)?, number(last)?) {
            (None, None) => return None,
            // The last so many bytes.
            (None, Some(count)) => length.saturating_sub(count)..length,
            (Some(first), None) => first..length,
            (Some(first), Some(last)) if last < first => return None,
            (Some(first), Some(last)) => first..last.saturating_add(1).min(length),
        };
        Some(if range.start < range.end { Self::Part(range) } else { Self::Nothing })
    }
}

/// Reads a number that may be left out; `None` if it is none.
fn number(text: &str) -> Option<Option<u64>> {
    match text {
        "" => Some(None),
        // One that is too large is as good as the largest.
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(text.parse().unwrap_or(u64::MAX))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood() {
        let of = |header| Wanted::parse(Some(header), 10);
        for (header, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-4", 2..5),
            ("Bytes = 2-99999999999999999999999", 2..10),
            ("bytes=9-", 9..10),
            ("bytes=-3", 7..10),
            ("bytes=-30", 0..10),
        ] {
            assert_eq!(of(header), Wanted::Part(part), "{header}");
        }
        for header in ["bytes=10-", "bytes=10-20", "bytes=-0"] {
            assert_eq!(of(header), Wanted::Nothing, "{header}");
        }
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=4-2",
            "bytes=a-b",
            "lines=0-1",
            "bytes=0-1,3-4",
            "bytes=+1-2",
        ] {
            assert_eq!(of(header), Wanted::All, "{header}");
        }
        assert_eq!(Wanted::parse(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(Wanted::parse(None, 10), Wanted::All);
    }
}
