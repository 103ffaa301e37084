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

fn json(value: &impl Serialize, is_indented: bool) -> Vec<u8> {
    let text = if is_indented { serde_json::to_vec_pretty(value) } else { serde_json::to_vec(value) };
    text.expect("plain values")
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
}
