//! What goes to standard output and standard error, and how it looks.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::error::Failure;

/// Standard output, buffered.
pub(crate) type Out = BufWriter<StdoutLock<'static>>;

/// Opens standard output.
pub(crate) fn out() -> Out {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Held while lines are written to standard error.
static LINES: Mutex<()> = Mutex::new(());

/// Writes a line to standard error, in one piece. Nothing can be done if that fails, and `eprintln!` would panic.
pub(crate) fn say(text: impl fmt::Display) {
    let text = format!("{text}\n");
    let _lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes the last lines of the process: other threads that have something to say wait until it ends.
pub(crate) fn say_last(text: impl fmt::Display) {
    let text = format!("{text}\n");
    std::mem::forget(LINES.lock().unwrap_or_else(PoisonError::into_inner));
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes one value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = out();
    serde_json::to_writer_pretty(&mut out, value).map_err(io::Error::from).map_err(Failure::output)?;
    out.write_all(b"\n").and_then(|()| out.flush()).map_err(Failure::output)
}

/// Writes a JSON array one element a line, as kopia does, without holding it in memory.
pub(crate) struct JsonArray {
    out: Out,
    separator: &'static str,
}

impl JsonArray {
    pub(crate) fn new() -> Self {
        Self { out: out(), separator: "[\n " }
    }

    pub(crate) fn push(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.out.write_all(self.separator.as_bytes())?;
        self.separator = ",\n ";
        Ok(serde_json::to_writer(&mut self.out, value)?)
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        let end = if self.separator.starts_with('[') { "[]\n" } else { "\n]\n" };
        self.out.write_all(end.as_bytes())?;
        self.out.flush()
    }
}

/// Replaces characters that could move the cursor, change colours or turn the direction of writing.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let dangerous = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if dangerous(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// A name as standard output may show it: as it is to a program, made harmless for a terminal.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if io::stdout().is_terminal() { escape(text) } else { Cow::Borrowed(text) }
}

/// Returns how many characters fit into a line of standard output, if it is a terminal.
pub(crate) fn width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(&stdout).ok().map(|size| usize::from(size.ws_col));
    Some(columns.filter(|&columns| columns > 0).unwrap_or(80))
}

/// Shows a size in powers of 1000, as kopia does.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be shown as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// How many characters of an id are shown where a whole one has no room. Commands take it, as they do any beginning of an
/// id that no other id has.
const SHORT: usize = 8;

/// Shortens the id of a snapshot.
pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// Shows a number with its noun: `1 file`, `2 files`, `12,345 files`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// Shows a number in groups of three digits.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let shown = [0, 999, 1000, 999_949, 999_950, 1_500_000, u64::MAX].map(size);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.5 MB", "18.4 EB"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(count(1, "file", "files"), "1 file");
    }

    #[test]
    fn nothing_reaches_a_terminal_as_a_command() {
        assert_eq!(escape("plain ä \u{fffd}"), "plain ä \u{fffd}");
        assert_eq!(escape("a\n\x1b[31m\u{202e}b\u{9b}"), "a\\n\\u{1b}[31m\\u{202e}b\\u{9b}");
    }
}
