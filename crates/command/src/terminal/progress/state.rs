//! How far something is, as a bar, as a line, and as JSON.

use std::time::Duration;

use kopia_rs::diagnosis::text::{size, thousands};
use serde::Serialize;

use super::pace::Pace;

/// What an entry takes beside its bytes, as so many bytes more: to make a small file takes as long as to write
/// some 16 kB.
const ENTRY: u64 = 16 << 10;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Folders of the repository are read; nothing is written yet.
    Reading,
    /// Bytes are read, written or checked.
    Working,
    /// All is counted; what is left is to put it in its place, or to force it to the disk.
    Finishing,
    /// It has ended.
    Done,
}

impl Phase {
    /// Returns the word for machine-readable output.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Working => "working",
            Self::Finishing => "finishing",
            Self::Done => "done",
        }
    }
}

/// How much is done, of how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
}

/// How far something is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct State {
    pub(crate) bytes: Count,
    /// Nothing where only bytes are counted.
    pub(crate) entries: Option<Count>,
    /// Bytes that were already in the target.
    pub(crate) kept: u64,
    /// Bytes of long files that were read before they are written.
    pub(crate) checked: u64,
    pub(crate) problems: u64,
}

/// What `--progress json` writes, one a line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    event: &'static str,
    phase: Phase,
    seconds: f64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_total: Option<u64>,
    bytes_kept: u64,
    bytes_checked: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries_total: Option<u64>,
    problems: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
}

impl State {
    fn total(&self) -> Option<u64> {
        let entries = self.entries.map_or(Some(0), |entries| entries.total)?;
        Some(self.bytes.total?.saturating_add(entries.saturating_mul(ENTRY)))
    }

    /// What of it metrics have, with the names that the keys of JSON have.
    pub(crate) fn metrics(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let entries = self.entries;
        [
            ("progress_bytes", "Bytes of files that are there.", Some(self.bytes.done)),
            ("progress_bytes_total", "Bytes of all files.", self.bytes.total),
            ("progress_bytes_kept", "Bytes that were already in the target.", Some(self.kept)),
            ("progress_bytes_checked", "Bytes that were read before they are written.", Some(self.checked)),
            ("progress_entries", "Entries that are there.", entries.map(|entries| entries.done)),
            ("progress_entries_total", "All entries.", entries.and_then(|entries| entries.total)),
        ]
        .into_iter()
        .filter_map(|(name, help, value)| Some((name, help, value?)))
    }

    /// How much is done of what takes time.
    pub(super) fn work(&self) -> u64 {
        let entries = self.entries.unwrap_or_default().done;
        self.bytes.done.saturating_add(entries.saturating_mul(ENTRY))
    }

    pub(crate) fn phase(&self) -> Phase {
        let is_done = |count: Count| count.total.is_some_and(|total| count.done >= total);
        let begun = self.work() > 0 || self.checked > 0;
        match self.entries {
            _ if !begun => Phase::Reading,
            Some(entries) if is_done(entries) && is_done(self.bytes) => Phase::Finishing,
            None if is_done(self.bytes) => Phase::Finishing,
            _ => Phase::Working,
        }
    }

    /// Returns how much of the bytes is done, or of the entries where there are no bytes. What is not done is
    /// not rounded up to all.
    pub(super) fn percent(&self) -> Option<u64> {
        let entries = self.entries.unwrap_or_default();
        let count = if self.bytes.total == Some(0) { entries } else { self.bytes };
        let total = count.total?;
        Some(count.done.saturating_mul(100).checked_div(total).unwrap_or(100).min(100))
    }

    fn left(&self, pace: &Pace) -> Option<Duration> {
        pace.left(self.total()?).filter(|_| self.phase() == Phase::Working)
    }

    /// The state as one line.
    pub(super) fn line(&self, pace: &Pace) -> String {
        if self.phase() == Phase::Reading {
            return "reading folders".into();
        }
        let mut parts = Vec::new();
        if let Some(Count { done, total }) = self.entries {
            let of = total.map(|total| format!(" of {}", thousands(total))).unwrap_or_default();
            parts.push(format!("{}{of} entries", thousands(done)));
        }
        let of = self.bytes.total.map(|total| format!(" of {}", size(total))).unwrap_or_default();
        let percent = self.percent().map(|percent| format!(" ({percent} %)")).unwrap_or_default();
        parts.push(format!("{}{of}{percent}", size(self.bytes.done)));
        parts.extend((self.kept > 0).then(|| format!("{} of it kept", size(self.kept))));
        parts.extend((self.checked > 0).then(|| format!("{} checked", size(self.checked))));
        parts.extend(pace.bytes_per_second().map(|rate| format!("{}/s", size(rate))));
        parts.extend(self.left(pace).map(|left| format!("{} left", duration(left))));
        parts.extend((self.phase() == Phase::Finishing).then(|| "finishing".to_owned()));
        parts.join(", ")
    }

    /// The state as a line of JSON.
    pub(super) fn json(&self, pace: &Pace, elapsed: Duration, has_ended: bool) -> String {
        let json = Json {
            event: "progress",
            phase: if has_ended { Phase::Done } else { self.phase() },
            seconds: (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            bytes: self.bytes.done,
            bytes_total: self.bytes.total,
            bytes_kept: self.kept,
            bytes_checked: self.checked,
            entries: self.entries.map(|entries| entries.done),
            entries_total: self.entries.and_then(|entries| entries.total),
            problems: self.problems,
            bytes_per_second: pace.bytes_per_second(),
            seconds_left: self.left(pace).filter(|_| !has_ended).map(|left| left.as_secs()),
        };
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// The state as a bar that is never wider than so many columns. Each part has its place, whatever it says.
    pub(super) fn bar(&self, pace: &Pace, columns: usize) -> String {
        let rate = pace.bytes_per_second().map(|rate| format!("{}/s", size(rate))).unwrap_or_default();
        let rate = format!("  {rate:>10}");
        let left = match (self.phase(), self.left(pace)) {
            (Phase::Reading, _) => "reading".into(),
            (Phase::Finishing, _) => "finishing".into(),
            (_, Some(left)) => format!("{} left", duration(left)),
            _ => String::new(),
        };
        let left = format!("  {left:>12}");
        let (short, long) = self.entries.map(Count::entries).unwrap_or_default();
        let done = format!("  {:>8}", size(self.bytes.done));
        let (Some(percent), Some(total)) = (self.percent(), self.bytes.total) else {
            let known = fitting(&[&done, &rate, &left, &short], columns.saturating_sub(1));
            return known.trim_end().into();
        };
        let (percent, of) = (format!("{percent:>3} %"), format!(" of {:>8}", size(total)));
        for (parts, least) in [
            (&[&done, &of, &rate, &left, &long][..], 6),
            (&[&done, &of, &rate, &left, &short], 6),
            (&[&done, &of, &rate, &left], 6),
            (&[&done, &of, &left], 0),
            (&[&left], 0),
        ] {
            let rest: String = parts.iter().map(|part| part.as_str()).collect();
            let used = percent.len() + rest.chars().count() + 1;
            let cells = columns.saturating_sub(used + 2).min(24);
            if used <= columns && cells >= least {
                let bar = if least == 0 { String::new() } else { format!("  {}", self.cells(cells)) };
                return format!("{percent}{bar}{rest}");
            }
        }
        percent
    }

    fn cells(&self, cells: usize) -> String {
        let percent = usize::try_from(self.percent().unwrap_or_default()).unwrap_or_default();
        let full = cells * percent / 100;
        "█".repeat(full) + &"░".repeat(cells - full)
    }
}

impl Count {
    /// Says how many entries are done, and of how many, each in its own width.
    fn entries(self) -> (String, String) {
        let Some(total) = self.total.map(thousands) else {
            let short = format!("  {} entries", thousands(self.done));
            return (short.clone(), short);
        };
        let (done, width) = (thousands(self.done), total.len());
        (format!("  {done:>width$} entries"), format!("  {done:>width$} of {total} entries"))
    }
}

/// Joins parts as long as they fit.
fn fitting(parts: &[&String], columns: usize) -> String {
    let mut text = String::new();
    for part in parts {
        if text.chars().count() + part.chars().count() > columns {
            break;
        }
        text.push_str(part);
    }
    text
}

/// Says how long something takes, no more exactly than it can be known.
fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil() as u64;
    match seconds {
        0..20 => format!("{seconds} s"),
        20..60 => format!("{} s", seconds.div_ceil(5) * 5),
        60..7200 => format!("{} min", seconds.div_ceil(60)),
        7200..172_800 => format!("{} h", seconds.div_ceil(3600)),
        _ => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(bytes: u64, entries: u64) -> State {
        let count = |done, total| Count { done, total: Some(total) };
        State {
            bytes: count(bytes, 5_680_000_000),
            entries: Some(count(entries, 153_185)),
            ..State::default()
        }
    }

    fn pace(states: &[State]) -> Pace {
        let mut pace = Pace::default();
        for (second, state) in (0..).zip(states) {
            pace.take(Duration::from_secs(second), state.bytes.done, state.work());
        }
        pace
    }

    #[test]
    fn a_bar_has_a_fixed_layout_and_fits() {
        let states = [
            state(0, 0),
            state(1, 1),
            state(117_000_000, 3083),
            state(1_999_000_000, 77_777),
            state(5_679_999_999, 153_184),
            state(5_680_000_000, 153_185),
        ];
        for columns in [0, 3, 10, 25, 40, 60, 79, 80, 81, 100, 120, 200] {
            let bars: Vec<_> =
                (1..=states.len()).map(|n| states[n - 1].bar(&pace(&states[..n]), columns)).collect();
            let widths: Vec<_> = bars.iter().map(|bar| bar.chars().count()).collect();
            assert!(widths.iter().all(|width| *width == widths[0]), "{columns}: {bars:#?}");
            assert!(widths[0] < columns.max(6), "{columns}: {bars:#?}");
            let rests = bars.iter().filter_map(|bar| Some(&bar[bar.find("of   5.7 GB")?..]));
            let lengths: Vec<_> = rests.map(|rest| rest.chars().count()).collect();
            assert!(lengths.iter().all(|length| *length == lengths[0]), "{columns}: {bars:#?}");
        }
        let bar = states[3].bar(&pace(&states[..4]), 80);
        let expected = " 35 %  ██░░░░░    2.0 GB of   5.7 GB  666.3 MB/s      5 s left   77,777 entries";
        assert_eq!(bar, expected);
        let wide = states[3].bar(&pace(&states[..4]), 120);
        assert!(wide.ends_with("   77,777 of 153,185 entries"), "{wide}");
    }

    #[test]
    fn what_has_no_bytes_is_not_done_from_the_start() {
        let percent = |entries: u64, done: u64, bytes: u64| {
            let entries = Some(Count { done, total: Some(entries) });
            State { bytes: Count { done: bytes / 4, total: Some(bytes) }, entries, ..State::default() }
                .percent()
        };
        assert_eq!(
            [percent(20, 0, 0), percent(20, 5, 0), percent(20, 21, 0)],
            [Some(0), Some(25), Some(100)]
        );
        assert_eq!([percent(20, 20, 400), percent(0, 0, 0)], [Some(25), Some(100)]);
        assert_eq!(state(5_679_999_999, 153_185).percent(), Some(99));
    }

    #[test]
    fn lines_say_what_is_known() {
        assert_eq!(state(0, 0).line(&Pace::default()), "reading folders");
        let states = [state(0, 0), state(117_000_000, 3083), state(234_000_000, 6166)];
        let line = states[2].line(&pace(&states));
        assert_eq!(line, "6,166 of 153,185 entries, 234.0 MB of 5.7 GB (4 %), 117.0 MB/s, 50 s left");
        let kept = State { kept: 100_000_000, ..states[2] };
        assert!(kept.line(&pace(&states)).contains("(4 %), 100.0 MB of it kept, 117.0 MB/s"));
        let done = state(5_680_000_000, 153_185);
        assert!(done.line(&pace(&states)).ends_with(", finishing"));
        let unknown = State { bytes: Count { done: 5000, total: None }, ..State::default() };
        assert_eq!(unknown.line(&Pace::default()), "5.0 kB");
    }

    #[test]
    fn times_are_no_more_exact_than_they_can_be() {
        let of = |seconds| duration(Duration::from_secs_f64(seconds));
        assert_eq!([of(0.2), of(19.0), of(41.0)], ["1 s", "19 s", "45 s"]);
        assert_eq!([of(61.0), of(7199.0), of(7201.0)], ["2 min", "120 min", "3 h"]);
        assert_eq!(of(1e6), "12 days");
    }
}
