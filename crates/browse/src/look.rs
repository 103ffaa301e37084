//! What is shown of a file: text, bytes, or what it is.

use std::fmt::Write;

use kopia_diagnosis::text::{escape, size};

/// How many bytes are looked at.
pub(crate) const LOOKED_AT: usize = 64 << 10;

/// How many bytes are shown of what is no text.
const HEX: usize = 4096;

/// How many bytes stand in a line.
const ROW: usize = 16;

/// How far tabs reach.
const TAB: usize = 4;

/// What is known of what a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// What it is, in a few words.
    pub(crate) what: String,
    /// Its beginning, safe for a terminal.
    pub(crate) lines: Vec<String>,
}

impl Look {
    /// Looks at the first bytes of a file of so many.
    pub(crate) fn of_file(start: &[u8], length: u64) -> Self {
        let is_cut = (start.len() as u64) < length;
        let part =
            |shown: usize| if is_cut { format!(", the first {}", size(shown as u64)) } else { String::new() };
        if length == 0 {
            return Self { what: "empty".into(), lines: Vec::new() };
        }
        if let Some(kind) = image(start) {
            return Self { what: format!("{kind}, {}", size(length)), lines: Vec::new() };
        }
        if let Some(text) = text(start, is_cut) {
            let what = format!("text{}", part(start.len()));
            return Self { what, lines: text.split('\n').map(line).collect() };
        }
        let shown = &start[..start.len().min(HEX)];
        let what = format!("no text, the first {}", size(shown.len() as u64));
        Self {
            what,
            lines: shown.chunks(ROW).enumerate().map(|(row, bytes)| hex(row * ROW, bytes)).collect(),
        }
    }

    /// Shows where a link leads.
    pub(crate) fn of_link(target: &[u8]) -> Self {
        let target = String::from_utf8_lossy(target);
        Self { what: "a symbolic link".into(), lines: vec![format!("-> {}", escape(&target))] }
    }
}

/// Returns bytes as text if they are one; the last character may be cut.
fn text(bytes: &[u8], is_cut: bool) -> Option<&str> {
    if bytes.contains(&0) {
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// Makes a line harmless, with blanks for tabs.
fn line(text: &str) -> String {
    let text = text.strip_suffix('\r').unwrap_or(text);
    let mut line = String::with_capacity(text.len());
    for (number, cell) in text.split('\t').enumerate() {
        if number > 0 {
            let gap = TAB - line.chars().count() % TAB;
            line.extend(std::iter::repeat_n(' ', gap));
        }
        line.push_str(&escape(cell));
    }
    line
}

/// Writes bytes as `hexdump -C` does.
fn hex(offset: usize, bytes: &[u8]) -> String {
    let mut line = format!("{offset:04x} ");
    for place in 0..ROW {
        // Writing to a string cannot fail.
        let _ = match bytes.get(place) {
            Some(byte) => write!(line, " {byte:02x}"),
            None => write!(line, "   "),
        };
    }
    line.push_str("  ");
    line.extend(bytes.iter().map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' }));
    line
}

/// Returns what kind of picture it is, if it is one.
fn image(start: &[u8]) -> Option<&'static str> {
    let at = |place: usize, mark: &[u8]| start.get(place..).is_some_and(|rest| rest.starts_with(mark));
    let kinds = [
        ("a picture (PNG)", at(0, b"\x89PNG\r\n\x1a\n")),
        ("a picture (JPEG)", at(0, b"\xff\xd8\xff")),
        ("a picture (GIF)", at(0, b"GIF87a") || at(0, b"GIF89a")),
        ("a picture (WebP)", at(0, b"RIFF") && at(8, b"WEBP")),
        ("a picture (AVIF)", at(4, b"ftypavif") || at(4, b"ftypavis")),
        ("a picture (BMP)", at(0, b"BM") && at(6, b"\0\0\0\0")),
    ];
    kinds.into_iter().find(|(_, is_it)| *is_it).map(|(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_bytes_and_pictures_are_told_apart() {
        let text = Look::of_file("a\tb\r\nä\u{1b}[31m".as_bytes(), 13);
        assert_eq!(text.lines, ["a   b", "ä\\u{1b}[31m"]);
        let cut = Look::of_file(&"aä".as_bytes()[..2], 1 << 20);
        assert_eq!((cut.what.as_str(), cut.lines), ("text, the first 2 B", vec!["a".to_owned()]));
        let bytes = Look::of_file(b"\0ab\xff", 4);
        assert_eq!(bytes.lines, [format!("0000  00 61 62 ff{}  .ab.", "   ".repeat(12))]);
        assert_eq!(Look::of_file(b"GIF89a", 1500).what, "a picture (GIF), 1.5 kB");
        assert_eq!(Look::of_file(b"", 0).what, "empty");
        assert_eq!(Look::of_link(b"a\n\xff").lines, ["-> a\\n\u{fffd}"]);
    }
}
