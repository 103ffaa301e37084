//! The options of `cat`.

use std::ops::Range;
use std::str::FromStr;

use super::what::Whats;

#[derive(Debug, clap::Args)]
pub(crate) struct Cat {
    #[command(flatten)]
    pub(crate) what: Whats,
    /// Write only these bytes of each file, as HTTP counts them: 0-99 are the first 100, 100- all after
    /// those, -100 the last 100.
    #[arg(long, value_name = "FIRST-LAST", allow_hyphen_values = true)]
    pub(crate) range: Option<ByteRange>,
}

/// Bytes of a file, whatever its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteRange {
    /// From the first to the last, both included.
    Between(u64, u64),
    /// All from this one on.
    From(u64),
    /// So many at the end.
    Last(u64),
}

impl ByteRange {
    /// Returns the bytes of a file of this length; nothing if it ends before them.
    pub(crate) fn of(self, length: u64) -> Option<Range<u64>> {
        match self {
            Self::Between(first, last) if first <= length => Some(first..last.saturating_add(1).min(length)),
            Self::From(first) if first <= length => Some(first..length),
            Self::Last(count) => Some(length.saturating_sub(count)..length),
            Self::Between(..) | Self::From(_) => None,
        }
    }
}

impl FromStr for ByteRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u64>().ok();
        let parsed = text.split_once('-').and_then(|(first, last)| match (first, last) {
            ("", last) => number(last).map(Self::Last),
            (first, "") => number(first).map(Self::From),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        });
        parsed.ok_or_else(|| {
            "write 0-99 for the first 100 bytes, 100- for the rest, -100 for the last 100".into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_counted_as_in_http() {
        let of = |text: &str, length| text.parse::<ByteRange>().map(|range| range.of(length));
        assert_eq!(of("0-99", 1000), Ok(Some(0..100)));
        assert_eq!(of("0-99", 10), Ok(Some(0..10)));
        assert_eq!(of("10-", 10), Ok(Some(10..10)));
        assert_eq!(of("11-", 10), Ok(None));
        assert_eq!(of("11-12", 10), Ok(None));
        assert_eq!(of("-3", 10), Ok(Some(7..10)));
        assert_eq!(of("-30", 10), Ok(Some(0..10)));
        assert_eq!(of("5-18446744073709551615", 10), Ok(Some(5..10)));
        for text in ["", "-", "5", "9-5", "a-b", "0-99,200-", "-1-2"] {
            assert!(text.parse::<ByteRange>().is_err(), "{text}");
        }
    }
}
