//! Times in words: `yesterday`, `2w`, `3-days-ago`, `1y-2mo-ago`.
//!
//! What is counted in days or more ends with its day, as kopia has it; hours and minutes are counted from now.

use jiff::{Span, ToSpan, Zoned};
use kopia_rs::select::Pick;

/// What words stand for.
pub(super) enum Meaning {
    /// The newest or the oldest of all.
    Pick(Pick),
    /// The instant before which a snapshot must have begun.
    Bound(Result<jiff::Timestamp, jiff::Error>),
}

/// Returns what words mean where it is now; nothing if they are not known.
pub(super) fn parse(text: &str, now: &Zoned) -> Option<Meaning> {
    let text = text.trim().to_ascii_lowercase().replace(' ', "-");
    let back = |months: i64| now.first_of_month()?.checked_sub(months.months())?.start_of_day();
    let start = match &*text {
        "latest" | "newest" => return Some(Meaning::Pick(Pick::default())),
        "oldest" | "earliest" => return Some(Meaning::Pick(Pick::Oldest)),
        "now" => Ok(now.clone()),
        "today" => now.tomorrow().and_then(|day| day.start_of_day()),
        "yesterday" => now.start_of_day(),
        "last-week" => now
            .checked_sub(i64::from(now.weekday().to_monday_zero_offset()).days())
            .and_then(|day| day.start_of_day()),
        "last-month" => back(0),
        "last-year" => now.first_of_year().and_then(|day| day.start_of_day()),
        other => return ago(other, now).map(Meaning::Bound),
    };
    Some(Meaning::Bound(start.map(|start| start.timestamp())))
}

/// Takes `2w`, `2-weeks`, `2w-ago`, and several of them, the largest first.
fn ago(text: &str, now: &Zoned) -> Option<Result<jiff::Timestamp, jiff::Error>> {
    let mut rest = text.strip_suffix("-ago").unwrap_or(text);
    let (mut span, mut whole_days) = (Span::new(), true);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        rest = rest.strip_prefix('-').unwrap_or(rest);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        // More than that lies before every snapshot, and beyond what is counted.
        let number: i64 = number.parse().ok().filter(|number| *number <= 100_000)?;
        let after = after.strip_prefix('-').unwrap_or(after);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        span = match unit {
            "y" | "year" | "years" => span.try_years(span.get_years() as i64 + number),
            // As in kopia and restic.
            "m" | "mo" | "month" | "months" => span.try_months(span.get_months() as i64 + number),
            "w" | "week" | "weeks" => span.try_weeks(span.get_weeks() as i64 + number),
            "d" | "day" | "days" => span.try_days(span.get_days() as i64 + number),
            "h" | "hour" | "hours" => {
                whole_days = false;
                span.try_hours(span.get_hours() as i64 + number)
            }
            "min" | "mins" | "minute" | "minutes" => {
                whole_days = false;
                span.try_minutes(span.get_minutes() + number)
            }
            _ => return None,
        }
        .ok()?;
        rest = after;
    }
    let then = now.checked_sub(span);
    let bound = if whole_days {
        then.and_then(|day| day.tomorrow()).and_then(|day| day.start_of_day())
    } else {
        then
    };
    Some(bound.map(|bound| bound.timestamp()))
}
