//! Durations as kopia writes them. Authority: Kopia's `repo/jsonencoding` and `ParseDuration` of Go's `time`.

use std::time::Duration;

/// Units, each with its length in nanoseconds. One that others begin with comes after them.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Parses `1h2m3.5s`, or a number of nanoseconds. Negative ones are refused: no duration in kopia's
/// configuration can be negative.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(nanoseconds) = text.parse::<f64>() {
        return duration(nanoseconds);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let (unit, length) = UNITS.iter().find(|(unit, _)| rest[end..].starts_with(unit))?;
        total += number * length;
        rest = &rest[end + unit.len()..];
    }
    (!text.is_empty()).then_some(total).and_then(duration)
}

fn duration(nanoseconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(nanoseconds / 1e9).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, seconds) in [
            ("15m0s", Some(900.0)),
            ("0s", Some(0.0)),
            ("1h2m3.5s", Some(3723.5)),
            (" 15000000000 ", Some(15.0)),
            ("1.5e9", Some(1.5)),
            ("250ms", Some(0.25)),
            ("5µs", Some(5e-6)),
            ("+1m", Some(60.0)),
            ("", None),
            ("-1s", None),
            ("-5", None),
            ("5x", None),
            ("5m3", None),
            ("m", None),
            ("1e400", None),
            ("NaN", None),
            ("1.2.3s", None),
        ] {
            assert_eq!(parse(text), seconds.map(Duration::from_secs_f64), "{text}");
        }
    }
}
