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

use kopia_format::text::is_unseen;

pub use clauses::identities;
pub use kopia_format::text::{as_stored, html, size, thousands};
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
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unseen(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Shows a number with its noun: `1 file`, `2 files`, `12,345 files`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(count(1, "file", "files"), "1 file");
        assert_eq!(count(1000, "file", "files"), "1,000 files");
    }

    #[test]
    fn nothing_reaches_a_terminal_as_a_command() {
        assert_eq!(escape("plain ä \u{fffd}"), "plain ä \u{fffd}");
        assert_eq!(escape("a\n\x1b[31m\u{202e}b\u{9b}"), "a\\n\\u{1b}[31m\\u{202e}b\\u{9b}");
    }
}
