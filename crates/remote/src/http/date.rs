//! Dates as HTTP writes them, such as `Sun, 06 Nov 1994 08:49:37 GMT`.

use std::time::SystemTime;

use jiff::fmt::rfc2822::DateTimeParser;

/// Reads a date, or returns nothing if it is none.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    // "GMT" is an obsolete zone of RFC 2822, and the only one of HTTP.
    let parser = DateTimeParser::new().relaxed_weekday(true);
    parser.parse_timestamp(text.trim()).ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_date_of_the_standard_is_read() {
        let wanted = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(wanted));
        assert_eq!(parse("yesterday"), None);
    }
}
