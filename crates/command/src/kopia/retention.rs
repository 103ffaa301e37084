//! Why kopia keeps a snapshot: `latest-1`, `daily-3`. Authority: Kopia's `snapshot/policy/retention_policy.go`.

use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;
use jiff::{Span, Zoned};
use kopia_rs::{Snapshot, Timestamp};
use serde_json::Value;

use crate::terminal::time::zoned_in;

/// Unfinished snapshots are kept while they are younger than this, in seconds, and at least so many of them.
const YOUNG: i64 = 4 * 3600;
const LEAST: usize = 3;

/// The periods, in the order in which they are counted, each with its field.
const PERIODS: [(&str, &str); 6] = [
    ("latest", "keepLatest"),
    ("annual", "keepAnnual"),
    ("monthly", "keepMonthly"),
    ("weekly", "keepWeekly"),
    ("daily", "keepDaily"),
    ("hourly", "keepHourly"),
];

/// The order in which kopia names them.
pub(super) const ORDER: [&str; 6] = ["latest", "hourly", "daily", "weekly", "monthly", "annual"];

/// Returns the reasons for each of the snapshots of one source, which come by time, the oldest first.
pub(super) fn reasons(snapshots: &[&Snapshot], retention: &Value) -> Vec<Vec<String>> {
    let keep = |field: &str| retention.get(field).and_then(Value::as_i64);
    let complete = snapshots.iter().filter(|snapshot| snapshot.is_complete());
    let newest = complete.map(|snapshot| snapshot.start_time()).max().and_then(zoned);
    let newest_of_all =
        snapshots.iter().map(|snapshot| snapshot.start_time().seconds()).max().unwrap_or_default();
    let all_zero = PERIODS.iter().all(|(_, field)| keep(field).unwrap_or(0) == 0);
    let mut seen = HashSet::new();
    let mut counts: HashMap<&str, i64> = HashMap::new();
    let mut all: Vec<Vec<String>> = Vec::with_capacity(snapshots.len());
    for (place, snapshot) in snapshots.iter().rev().enumerate() {
        let mut reasons = Vec::new();
        if let (true, Some(time), Some(newest)) =
            (snapshot.is_complete(), zoned(snapshot.start_time()), &newest)
        {
            for (period, field) in PERIODS {
                let most = if period == "latest" && all_zero { Some(i64::MAX) } else { keep(field) };
                let Some(most) = most else { continue };
                let name = name(period, place, &time);
                if is_before(period, most, &time, newest) || seen.contains(&name) {
                    continue;
                }
                let count = counts.entry(period).or_default();
                if *count < most {
                    seen.insert(name);
                    *count += 1;
                    reasons.push((period, format!("{period}-{count}")));
                }
            }
        }
        reasons.sort_by_key(|(period, _)| ORDER.iter().position(|known| known == period));
        all.push(reasons.into_iter().map(|(_, reason)| reason).collect());
    }
    // Unfinished ones are kept as long as nothing newer is complete.
    for (place, (snapshot, reasons)) in snapshots.iter().rev().zip(&mut all).enumerate() {
        let is_young = newest_of_all.saturating_sub(snapshot.start_time().seconds()) < YOUNG;
        if snapshot.is_complete() || !is_young && place >= LEAST {
            break;
        }
        reasons.push("incomplete".into());
    }
    all.reverse();
    all
}

fn zoned(time: Timestamp) -> Option<Zoned> {
    zoned_in(time, TimeZone::UTC).ok()
}

/// Names the period that a time lies in.
fn name(period: &str, place: usize, time: &Zoned) -> String {
    match period {
        "latest" => place.to_string(),
        "annual" => time.strftime("%Y").to_string(),
        "monthly" => time.strftime("%Y-%m").to_string(),
        "weekly" => {
            let week = time.date().iso_week_date();
            format!("{:04}-{:02}", week.year(), week.week())
        }
        "daily" => time.strftime("%Y-%m-%d").to_string(),
        _ => time.strftime("%Y-%m-%d %H").to_string(),
    }
}

/// Returns whether a time lies before so many periods.
fn is_before(period: &str, count: i64, time: &Zoned, newest: &Zoned) -> bool {
    let span = match period {
        "annual" => Span::new().try_years(count),
        "monthly" => Span::new().try_months(count),
        "weekly" => Span::new().try_weeks(count),
        "daily" => Span::new().try_days(count),
        "hourly" => Span::new().try_hours(count),
        _ => return false,
    };
    let cut = span.and_then(|span| newest.checked_sub(span));
    cut.is_ok_and(|cut| *time < cut)
}
