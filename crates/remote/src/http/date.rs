//! Dates as HTTP writes them, such as `Sun, 06 Nov 1994 08:49:37 GMT`.

use std::time::SystemTime;

use jiff::fmt::rfc2822::DateTimeParser;

/// Reads a date, or returns nothing if it is none.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    // "GMT" is an obsolete zone of RFC 2822, and the only one of HTTP.
    let parser = DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(text.trim()).ok().map(SystemTime::from)
}

/// Returns how many seconds `here` is ahead of `there`.
pub(crate) fn ahead(here: SystemTime, there: SystemTime) -> i64 {
    match here.duration_since(there) {
        Ok(ahead) => i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX),
        Err(behind) => i64::try_from(behind.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_is_ahead_or_behind() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!([ahead(at(9), at(2)), ahead(at(2), at(9)), ahead(at(2), at(2))], [7, -7, 0]);
    }

    #[test]
    fn the_date_of_the_standard_is_read() {
        let wanted = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(wanted));
        assert_eq!(parse("yesterday"), None);
    }
}
