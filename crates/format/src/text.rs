//! Numbers and names as people read them: in lists, in messages and on pages.
//!
//! Sizes are those of Kopia's `internal/units/units.go` in powers of 1000. What a name may do to a page or a
//! terminal stands here, too, so that all that shows names agrees.

/// Shows a size in bytes in powers of 1000, as kopia does.
pub fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        // 999.95 would be shown as 1000.0.
        if value < 999.95 {
            break;
        }
        (value, unit) = (value / 1000.0, next);
    }
    format!("{value:.1} {unit}")
}

/// Shows a number in groups of three digits.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    // How many digits are left, this one included.
    for (left, digit) in (1..=digits.len()).rev().zip(digits.chars()) {
        if !text.is_empty() && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a name as kopia stores it: with U+FFFD for each byte that is not UTF-8, as Go's JSON has it.
pub fn as_stored(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Returns whether a character is not seen where it is shown: it could move a cursor, change colours or turn the
/// direction of what follows.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Writes a text for HTML, in elements and in attributes, so that it is nothing but text; what is
/// [unseen](is_unseen) is written out.
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if is_unseen(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let shown = [0, 999, 1000, 999_949, 999_950, 1_500_000, u64::MAX].map(size);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.5 MB", "18.4 EB"]);
        let grouped = [0, 12, 999, 1000, 123_456, 1_234_567].map(thousands);
        assert_eq!(grouped, ["0", "12", "999", "1,000", "123,456", "1,234,567"]);
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(html("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        assert_eq!(html("a\nb\u{1b}[0m\u{202e}c ä"), "a\\u{a}b\\u{1b}[0m\\u{202e}c ä");
        assert!("\u{61c}\u{2028}\u{9b}".chars().all(is_unseen) && !is_unseen('ä') && !is_unseen('\u{fffd}'));
    }
}
