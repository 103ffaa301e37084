//! What is shown of a file: text, bytes, or what it is.

use std::fmt::Write;

use kopia_diagnosis::text::{escape, size};
use kopia_repository::beginning::{Image, text};

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
        if let Some(image) = Image::of(start) {
            return Self {
                what: format!("a picture ({}), {}", image.name(), size(length)),
                lines: Vec::new(),
            };
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
