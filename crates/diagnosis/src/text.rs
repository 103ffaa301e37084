//! Texts of findings and hints, and how numbers, errors and names look in them.
//!
//! [`Finding`](crate::Finding) and [`Hint`](crate::Hint) get their texts here; the functions are for whoever
//! writes more text beside these.

mod clauses;
mod finding;
mod hint;
mod store;
mod store_hint;
mod velero;

use std::borrow::Cow;
use std::error::Error;

pub use clauses::identities;
pub use store::{option, quoted};

/// Joins an error and its causes, each said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// Replaces characters that could move the cursor, change colours or turn the direction of writing.
pub fn escape(text: &str) -> Cow<'_, str> {
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

/// Shows a size in powers of 1000, as kopia does.
pub fn size(bytes: u64) -> String {
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

/// Shows a number with its noun: `1 file`, `2 files`, `12,345 files`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// Shows a number in groups of three digits.
pub fn thousands(number: u64) -> String {
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
