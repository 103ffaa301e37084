//! What all pages are made of.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use kopia_format::Timestamp;
use kopia_format::snapshot::Source;
use kopia_repository::Entry;

use crate::answer::Answer;
use crate::url;

/// Later times have no four-digit year, which the format of HTTP needs.
const YEAR_10000: u64 = 253_402_300_800;

/// Writes a text so that it is nothing but text.
///
/// What cannot be seen, or turns the direction of what follows, is written out.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() || is_direction(c) => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns whether a character has the text after it run the other way.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes a whole page; `trail` and `body` are HTML.
pub(crate) fn document(title: &str, trail: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – kopia-rs</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
         <nav><a href=\"/\">All sources</a>{trail}</nav>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// Answers with a page that says one thing.
pub(crate) fn message(status: StatusCode, title: &str, why: &str) -> Answer {
    let body = format!("<h1>{}</h1>\n<p>{}</p>\n", escape(title), escape(why));
    Answer::page(status, document(title, "", &body))
}

/// Writes one step of the trail at the head of a page.
pub(crate) fn step(href: &str, name: &str) -> String {
    format!(" <i>›</i> <a href=\"{href}\"><bdi>{}</bdi></a>", escape(name))
}

/// Returns where the time line of a source is.
pub(crate) fn source_href(source: &Source) -> String {
    url::join("/source", [&*source.to_string()])
}

/// Returns the name of an entry; the label of a root may be a path.
pub(crate) fn name_of(entry: &Entry) -> &str {
    entry.name().rsplit(['/', '\\']).next().unwrap_or_default()
}

/// Writes a number of bytes for people, in powers of 1000 as kopia does.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1000.0, 0);
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Writes a number with commas.
pub(crate) fn count(number: u64) -> String {
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

/// Writes a mode as `ls` does, without the kind.
pub(crate) fn mode(mode: u32) -> String {
    let mut text = String::new();
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if mode >> shift & bit == 0 { '-' } else { letter });
        }
    }
    if mode & 0o7000 != 0 {
        let _ = write!(text, " ({mode:04o})");
    }
    text
}

/// Writes a time for headers; nothing for those that they cannot have.
pub(crate) fn http_date(time: Timestamp) -> Option<String> {
    let seconds = u64::try_from(time.seconds()).ok().filter(|&seconds| seconds < YEAR_10000)?;
    Some(httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        assert_eq!(escape("a\nb\u{1b}[0m\u{202e}c ä"), "a\\u{a}b\\u{1b}[0m\\u{202e}c ä");
    }

    #[test]
    fn numbers_are_short() {
        let sizes =
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "18.4 EB");
        assert_eq!([count(0), count(999), count(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!([mode(0o644), mode(0o4755)], ["rw-r--r--", "rwxr-xr-x (4755)"]);
    }

    #[test]
    fn times_that_http_cannot_have_are_left_out() {
        let date = |seconds| http_date(Timestamp::new(seconds, 0).unwrap());
        assert_eq!(date(784_111_777).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(date(-1), None);
        // The last day that a time of kopia can have.
        assert_eq!(date(253_402_000_000).as_deref(), Some("Tue, 28 Dec 9999 12:26:40 GMT"));
        assert_eq!(http_date(Timestamp::default().saturating_add(i128::MAX)), None);
    }
}
