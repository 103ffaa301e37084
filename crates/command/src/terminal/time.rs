//! Points in time as people write them.
//!
//! RFC 3339 or a beginning of it: `2026`, `2026-03`, `2026-03-02`, `2026-03-02T10`, `…:30`, `…:05`,
//! `…:05.25`, with `T` or a blank, with or without a zone, which may be a name such as `Europe/Berlin`. What is
//! named is a unit, and its end is the bound: `2026-03-02` means before midnight at the end of that day, as in
//! kopia. A fraction names an instant, which is its own bound. Words, such as `yesterday` and `3-days-ago`,
//! are in `words`.

mod words;

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, Zoned};
use kopia_rs::Timestamp;
use kopia_rs::select::{At, Pick};

/// A time from the command line.
#[derive(Debug, Clone)]
pub(crate) struct When {
    /// The bound that it means; none for the newest or oldest of all.
    pub(crate) at: Option<At>,
    /// Whether the newest or the oldest is meant of those within the bound.
    pub(crate) pick: Pick,
    /// What the bound is in the zone that was assumed, or what a word stands for.
    pub(crate) assumed: Option<String>,
}

/// The last part that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Fraction,
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, &Zoned::now())
    }
}

impl When {
    /// Parses a text where it is now, in the local zone.
    fn parse(text: &str, now: &Zoned) -> Result<Self, String> {
        const FORMS: &str = "write a date (2026, 2026-03, 2026-03-02), a time (\"2026-03-02 10:30\", \
            \"2026-03-02 10:30 Europe/Berlin\", 2026-03-02T10:30:00Z), or words (latest, oldest, yesterday, 2w, \
            3-days-ago)";
        match words::parse(text, now) {
            Some(words::Meaning::Pick(pick)) => return Ok(Self { at: None, pick, assumed: None }),
            Some(words::Meaning::Bound(bound)) => {
                let bound = bound.map_err(|_| "no such time".to_string())?;
                let at = At::Before(timestamp(bound)?);
                let assumed = Some(format!("{} {}", word(at), zoned(bound, now.time_zone())));
                return Ok(Self { at: Some(at), pick: Pick::default(), assumed });
            }
            None => {}
        }
        let (start, unit, named) =
            parts(text).ok_or_else(|| format!("{text:?} is not understood; {FORMS}"))?;
        let zone = named.clone().unwrap_or_else(|| now.time_zone().clone());
        let bound = bound(start, unit, &zone).map_err(|_| "no such time".to_string())?;
        let instant = timestamp(bound)?;
        let at = if unit == Unit::Fraction { At::Until(instant) } else { At::Before(instant) };
        let local = || format!("{} {}", word(at), zoned(bound, &zone));
        Ok(Self { at: Some(at), pick: Pick::default(), assumed: named.is_none().then(local) })
    }
}

fn word(at: At) -> &'static str {
    match at {
        At::Before(_) => "before",
        At::Until(_) => "at or before",
    }
}

fn zoned(time: jiff::Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.f %Z").to_string()
}

/// Shows a time in the local zone, to the second.
pub(crate) fn local(time: Timestamp, format: &str) -> String {
    let shown = jiff::Timestamp::new(time.seconds(), 0)
        .map(|time| time.to_zoned(TimeZone::system()).strftime(format).to_string());
    shown.unwrap_or_else(|_| time.to_string())
}

/// Returns a time in a zone, to the nanosecond.
///
/// # Errors
/// If it is too far from now for a calendar.
#[cfg(feature = "kopia-words")]
pub(crate) fn zoned_in(time: Timestamp, zone: TimeZone) -> Result<jiff::Zoned, jiff::Error> {
    let nanoseconds = i32::try_from(time.nanoseconds()).unwrap_or_default();
    Ok(jiff::Timestamp::new(time.seconds(), nanoseconds)?.to_zoned(zone))
}

/// As [`local`], to the nanosecond.
#[cfg(feature = "kopia-words")]
pub(crate) fn in_local(time: Timestamp, format: &str) -> String {
    shown_in(time, TimeZone::system(), format)
}

/// Shows a time in a zone that is named, or in UTC if there is none of that name.
#[cfg(feature = "kopia-words")]
pub(crate) fn in_zone(time: Timestamp, zone: &str, format: &str) -> String {
    shown_in(time, TimeZone::get(zone).unwrap_or(TimeZone::UTC), format)
}

#[cfg(feature = "kopia-words")]
fn shown_in(time: Timestamp, zone: TimeZone, format: &str) -> String {
    zoned_in(time, zone).map_or_else(|_| time.to_string(), |time| time.strftime(format).to_string())
}

/// Returns the present time.
pub(crate) fn now() -> Timestamp {
    timestamp(jiff::Timestamp::now()).unwrap_or_default()
}

fn timestamp(time: jiff::Timestamp) -> Result<Timestamp, String> {
    let nanoseconds = time.as_nanosecond();
    let seconds = i64::try_from(nanoseconds.div_euclid(1_000_000_000)).map_err(|error| error.to_string())?;
    let rest = nanoseconds.rem_euclid(1_000_000_000) as u32;
    Timestamp::new(seconds, rest).map_err(|error| error.to_string())
}

/// Returns the end of the unit that begins at `start`, or the instant itself.
fn bound(start: DateTime, unit: Unit, zone: &TimeZone) -> Result<jiff::Timestamp, jiff::Error> {
    let days = match unit {
        Unit::Year => Some(Span::new().years(1)),
        Unit::Month => Some(Span::new().months(1)),
        Unit::Day => Some(Span::new().days(1)),
        _ => None,
    };
    if let Some(span) = days {
        return zone.to_timestamp(start.checked_add(span)?);
    }
    // Where clocks are set back, an hour comes twice and both are meant: hence the later one.
    let start = zone.to_ambiguous_zoned(start).later()?.timestamp();
    match unit {
        Unit::Hour => start.checked_add(SignedDuration::from_hours(1)),
        Unit::Minute => start.checked_add(SignedDuration::from_mins(1)),
        Unit::Second => start.checked_add(SignedDuration::from_secs(1)),
        _ => Ok(start),
    }
}

/// Takes a text apart. An offset needs at least an hour before it; the name of a zone comes after a blank.
fn parts(text: &str) -> Option<(DateTime, Unit, Option<TimeZone>)> {
    let mut rest = text;
    let mut fields = [0, 1, 1, 0, 0, 0];
    fields[0] = number(&mut rest, 4)?;
    let units = [Unit::Year, Unit::Month, Unit::Day, Unit::Hour, Unit::Minute, Unit::Second];
    let mut unit = Unit::Year;
    for (place, separators) in [(1, "-"), (2, "-"), (3, "Tt "), (4, ":"), (5, ":")] {
        match rest.strip_prefix(|c| separators.contains(c)) {
            Some(after) if rest.starts_with(' ') && after.starts_with(|c: char| c.is_alphabetic()) => break,
            Some(after) => rest = after,
            None => break,
        }
        fields[place] = number(&mut rest, 2)?;
        unit = units[place];
    }
    let mut nanoseconds = 0;
    if let (Unit::Second, Some(after)) = (unit, rest.strip_prefix('.')) {
        rest = after;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let value = i32::try_from(number(&mut rest, digits).filter(|_| (1..=9).contains(&digits))?).ok()?;
        nanoseconds = value * 10_i32.pow(9 - digits as u32);
        unit = Unit::Fraction;
    }
    let is_day = matches!(unit, Unit::Year | Unit::Month | Unit::Day);
    let zone = match (rest, rest.strip_prefix(' ')) {
        ("", _) => None,
        (_, Some(name)) => Some(named_zone(name)?),
        _ if is_day => return None,
        (zone, None) => Some(TimeZone::fixed(offset(zone)?)),
    };
    let [year, month, day, hour, minute, second] = fields.map(|field| field as i16);
    let (month, day, hour) = (month as i8, day as i8, hour as i8);
    let start = DateTime::new(year, month, day, hour, minute as i8, second as i8, nanoseconds).ok()?;
    Some((start, unit, zone))
}

/// Finds a zone by its name, where the system knows zones, or an offset.
fn named_zone(name: &str) -> Option<TimeZone> {
    if let Some(offset) = offset(name) {
        return Some(TimeZone::fixed(offset));
    }
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.contains(' ');
    let name = if name.eq_ignore_ascii_case("UTC") { "UTC" } else { name };
    if is_name { TimeZone::get(name).ok() } else { None }
}

fn offset(text: &str) -> Option<Offset> {
    if matches!(text, "Z" | "z") {
        return Some(Offset::UTC);
    }
    let (sign, mut rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let hours = number(&mut rest, 2)?;
    rest = rest.strip_prefix(':')?;
    let minutes = number(&mut rest, 2).filter(|minutes| *minutes < 60 && rest.is_empty())?;
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60) as i32).ok()
}

/// Takes a number of just so many digits.
fn number(rest: &mut &str, digits: usize) -> Option<u32> {
    let (number, after) = rest.split_at_checked(digits)?;
    *rest = after;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests;
