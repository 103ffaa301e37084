//! Points in time, to the nanosecond.
//!
//! Kopia writes RFC 3339 with up to nine decimals; up to version 0.10.7 in local time with its offset, since
//! then in UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A point in time: seconds since 1970-01-01T00:00:00Z and the nanoseconds after that second.
///
/// Times before 1970 have negative seconds; nanoseconds always count forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize, Serialize)]
#[serde(try_from = "std::borrow::Cow<'_, str>", into = "String")]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Timestamp {
    /// Makes a time of seconds and nanoseconds.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there are 10⁹ nanoseconds or more, or the year is not within −9999 to 9999.
    pub fn new(seconds: i64, nanoseconds: u32) -> Result<Self> {
        // jiff accepts 10⁹ − 1 nanoseconds at most.
        match i32::try_from(nanoseconds).map(|nanos| jiff::Timestamp::new(seconds, nanos)) {
            Ok(Ok(_)) => Ok(Self { seconds, nanoseconds }),
            _ => Err(Error::corrupt("time", format!("{seconds} s {nanoseconds} ns is out of range"))),
        }
    }

    /// Returns whole seconds since 1970, rounded down.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after [`Self::seconds`], below 10⁹.
    pub fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// Returns the time `nanoseconds` later, clamped to the earliest and latest representable time.
    pub fn saturating_add(&self, nanoseconds: i128) -> Self {
        let total = self.as_nanoseconds().saturating_add(nanoseconds);
        match i64::try_from(total.div_euclid(1_000_000_000)) {
            Ok(seconds) => Self { seconds, nanoseconds: total.rem_euclid(1_000_000_000) as u32 },
            Err(_) if total.is_positive() => Self { seconds: i64::MAX, nanoseconds: 999_999_999 },
            Err(_) => Self { seconds: i64::MIN, nanoseconds: 0 },
        }
    }

    /// Returns nanoseconds since 1970.
    pub fn as_nanoseconds(&self) -> i128 {
        i128::from(self.seconds).saturating_mul(1_000_000_000).saturating_add(self.nanoseconds.into())
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// Parses RFC 3339; the offset may be any that jiff accepts, such as `+05:53`.
    fn from_str(text: &str) -> Result<Self> {
        let time: jiff::Timestamp = text.parse().map_err(|_| {
            Error::corrupt(
                "time",
                format!(
                    "{:?} is no time in RFC 3339 of the years -9999 to 9999",
                    text.chars().take(40).collect::<String>()
                ),
            )
        })?;
        let total = time.as_nanosecond();
        Ok(Self {
            seconds: total.div_euclid(1_000_000_000) as i64,
            nanoseconds: total.rem_euclid(1_000_000_000) as u32,
        })
    }
}

impl fmt::Display for Timestamp {
    /// Formats RFC 3339 in UTC with `Z`, without trailing zeros of the fraction, as kopia does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::new(self.seconds, self.nanoseconds as i32) {
            Ok(time) => write!(f, "{time}"),
            // Only `saturating_add` leaves jiff's range.
            Err(_) => write!(f, "{}s", self.seconds),
        }
    }
}

impl TryFrom<std::borrow::Cow<'_, str>> for Timestamp {
    type Error = Error;
    fn try_from(text: std::borrow::Cow<'_, str>) -> Result<Self> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kopia_writes() {
        for (text, seconds, nanoseconds, utc) in [
            ("1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z"),
            ("2026-01-02T03:04:05.123456789Z", 1_767_323_045, 123_456_789, "2026-01-02T03:04:05.123456789Z"),
            ("2026-01-02T03:04:05.120Z", 1_767_323_045, 120_000_000, "2026-01-02T03:04:05.12Z"),
            ("2026-01-02T08:57:05+05:53", 1_767_323_045, 0, "2026-01-02T03:04:05Z"),
            ("1969-12-31T23:59:59.5Z", -1, 500_000_000, "1969-12-31T23:59:59.5Z"),
            ("0001-01-01T00:00:00Z", -62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        ] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!((time.seconds(), time.nanoseconds()), (seconds, nanoseconds), "{text}");
            assert_eq!(time.to_string(), utc);
        }
        for bad in ["", "2026", "2026-01-02", "2026-01-02T03:04:05", "yesterday", "2026-13-02T03:04:05Z"] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn arithmetic_does_not_wrap() {
        let time = Timestamp::new(-1, 999_999_999).unwrap();
        assert_eq!(time.saturating_add(1), Timestamp::default());
        assert_eq!(time.saturating_add(i128::MAX).seconds(), i64::MAX);
        assert_eq!(time.saturating_add(i128::MIN).seconds(), i64::MIN);
        assert_eq!(time.saturating_add(1_500_000_000), Timestamp::new(1, 499_999_999).unwrap());
        assert_eq!(time.saturating_add(i128::MAX).to_string(), format!("{}s", i64::MAX));
        assert_eq!(time.saturating_add(i128::MAX).nanoseconds(), 999_999_999);
        assert_eq!(time.saturating_add(i128::MIN).nanoseconds(), 0);
        assert_eq!(time.as_nanoseconds(), -1);
        assert_eq!(Timestamp::new(0, 999_999_999).unwrap().as_nanoseconds(), 999_999_999);
        assert!(Timestamp::new(0, 1_000_000_000).is_err());
        assert!(Timestamp::new(0, u32::MAX).is_err());
        assert!(Timestamp::new(i64::MAX, 0).is_err());
    }
}
