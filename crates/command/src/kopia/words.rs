//! Sizes, times and lists as kopia writes them.

use std::io::Write;

use kopia_rs::Timestamp;
use serde::Serialize;

use super::line::Line;
use super::trouble::Trouble;
use crate::terminal::output::{self, Out};
use crate::terminal::time;

/// Writes to standard output.
pub(super) fn print(text: &str) -> Result<(), Trouble> {
    let mut out = output::out();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Writes a size in powers of 1000: `117.3 KB`.
pub(super) fn bytes(number: i64) -> String {
    units(number as f64, "B")
}

/// As [`bytes`], of what cannot be negative.
pub(super) fn size(number: u64) -> String {
    bytes(i64::try_from(number).unwrap_or(i64::MAX))
}

/// Writes a count in powers of 1000, as kopia does: `1.5 K`, and `14 ` with a blank behind it.
pub(super) fn count(number: u64) -> String {
    units(number as f64, "")
}

pub(super) fn bytes_per_second(number: f64) -> String {
    units(number, "B/s")
}

fn units(number: f64, unit: &str) -> String {
    let mut number = number;
    for prefix in ["", "K", "M", "G", "T"] {
        if number.abs() < 900.0 {
            return format!("{} {prefix}{unit}", rounded(number));
        }
        number /= 1000.0;
    }
    format!("{} P{unit}", rounded(number))
}

fn rounded(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// Writes a time in the local zone, or in that of `--timezone`.
pub(super) fn time(line: &Line, time: Timestamp) -> String {
    in_zone(line, time, "%Y-%m-%d %H:%M:%S %Z")
}

/// As [`time`], with milliseconds.
pub(super) fn precise(line: &Line, time: Timestamp) -> String {
    in_zone(line, time, "%Y-%m-%d %H:%M:%S%.3f %Z")
}

fn in_zone(line: &Line, time: Timestamp, format: &str) -> String {
    let zone = line.text("timezone");
    match zone.as_deref() {
        None | Some("local" | "") => time::in_local(time, format),
        Some("utc" | "original") => time::in_zone(time, "UTC", format),
        Some(name) => time::in_zone(time, name, format),
    }
}

/// A list: of JSON, an element a line, or of lines.
pub(super) struct List {
    out: Out,
    is_json: bool,
    is_indented: bool,
    separator: &'static str,
}

impl List {
    pub(super) fn begin(line: &Line) -> Result<Self, Trouble> {
        let (is_json, is_indented) = (line.is_on("json", false), line.is_on("json-indent", false));
        let mut list = Self { out: output::out(), is_json, is_indented, separator: "" };
        if is_json {
            list.out.write_all(b"[")?;
            list.separator = if is_indented { "" } else { "\n " };
        }
        Ok(list)
    }

    /// Adds an element: `value` as JSON, else `text` as a line.
    pub(super) fn push(
        &mut self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Trouble> {
        if !self.is_json {
            return Ok(writeln!(self.out, "{}", text())?);
        }
        self.out.write_all(self.separator.as_bytes())?;
        self.separator = if self.is_indented { "," } else { ",\n " };
        Ok(self.out.write_all(&json(value, self.is_indented))?)
    }

    pub(super) fn end(mut self) -> Result<(), Trouble> {
        if self.is_json {
            self.out.write_all(if self.is_indented { b"]" } else { b"\n]" })?;
        }
        Ok(self.out.flush()?)
    }
}

/// Writes JSON as Go does: what means something in HTML is escaped. It stands in texts only.
fn json(value: &impl Serialize, is_indented: bool) -> Vec<u8> {
    let mut text = serde_json::to_string(value).expect("plain values");
    if is_indented {
        text = indented(&text);
    }
    for (letter, escaped) in [
        ('&', "\\u0026"),
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ] {
        if text.contains(letter) {
            text = text.replace(letter, escaped);
        }
    }
    text.into_bytes()
}

/// Writes nanoseconds as Go does: `15m0s`, `1.5s`, `20ms`.
pub(super) fn duration(nanoseconds: i128) -> String {
    let (sign, all) = (if nanoseconds < 0 { "-" } else { "" }, nanoseconds.unsigned_abs());
    let fraction = |unit: u128| {
        let digits = format!("{}.{:0width$}", all / unit, all % unit, width = unit.ilog10() as usize);
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match all {
        0 => return "0s".into(),
        1..1_000 => return format!("{sign}{all}ns"),
        1_000..1_000_000 => return format!("{sign}{}µs", fraction(1_000)),
        1_000_000..1_000_000_000 => return format!("{sign}{}ms", fraction(1_000_000)),
        _ => {}
    }
    let (minutes, rest) = (all / 60_000_000_000, all % 60_000_000_000);
    let rest = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
    let seconds = rest.trim_end_matches('0').trim_end_matches('.');
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// Lays JSON out over lines, as Go's `json.Indent` does; the order of fields stays.
pub(super) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if in_text {
            text.push(letter);
            in_text = is_escaped || letter != '"';
            is_escaped = !is_escaped && letter == '\\';
            continue;
        }
        match letter {
            ' ' | '\n' | '\r' | '\t' => {}
            '{' | '[' => {
                text.push(letter);
                if let Some(end) = letters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    text += &format!("\n{}", "  ".repeat(depth));
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                text += &format!("\n{}{letter}", "  ".repeat(depth));
            }
            ',' => text += &format!(",\n{}", "  ".repeat(depth)),
            ':' => text += ": ",
            letter => {
                in_text = letter == '"';
                text.push(letter);
            }
        }
    }
    text
}

/// Writes one value as JSON.
pub(super) fn print_json(line: &Line, value: &impl Serialize) -> Result<(), Trouble> {
    let mut text = json(value, line.is_on("json-indent", false));
    text.push(b'\n');
    let mut out = output::out();
    out.write_all(&text)?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_kopia_writes_them() {
        for (number, text) in [
            (0, "0 B"),
            (14, "14 B"),
            (899, "899 B"),
            (916, "0.9 KB"),
            (117_347, "117.3 KB"),
            (4_304_390, "4.3 MB"),
            (1_073_741_824, "1.1 GB"),
            (2_000_000, "2 MB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(bytes_per_second(10.0), "10 B/s");
    }

    #[test]
    fn durations_as_go_writes_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (15, "15ns"),
            (1_500, "1.5µs"),
            (20_000_000, "20ms"),
            (1_500_000_000, "1.5s"),
            (10_000_000_000, "10s"),
            (60_000_000_000, "1m0s"),
            (900_000_000_000, "15m0s"),
            (86_400_000_000_000, "24h0m0s"),
            (3_661_010_000_000, "1h1m1.01s"),
            (-90_000_000_000, "-1m30s"),
        ] {
            assert_eq!(duration(nanoseconds), text);
        }
    }

    #[test]
    fn json_has_what_html_reads_escaped() {
        assert_eq!(json(&"a<b> & c\u{2028}", false), br#""a\u003cb\u003e \u0026 c\u2028""#);
    }

    #[test]
    fn json_is_laid_out_as_go_does() {
        let json = r#"{"a":{},"b":[1,"x\",{:"],"c":{"d":null}}"#;
        let lines = "{\n  \"a\": {},\n  \"b\": [\n    1,\n    \"x\\\",{:\"\n  ],\n  \"c\": {\n    \"d\": null\n  }\n}";
        assert_eq!(indented(json), lines);
    }
}
