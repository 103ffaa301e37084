//! Texts that are cut to so many columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Stands for what was cut; not every terminal's font has an ellipsis.
const CUT: char = '~';

/// Returns how many columns a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// Returns as much of the beginning of a text as has room.
pub(crate) fn head(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = taken(text.chars(), columns.saturating_sub(1));
    if columns > 0 {
        kept.push(CUT);
    }
    kept
}

/// Returns as much of the end of a text as has room: of a path, that says where one is.
pub(crate) fn tail(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let backwards = taken(text.chars().rev(), columns.saturating_sub(1));
    let cut = (columns > 0).then_some(CUT);
    cut.into_iter().chain(backwards.chars().rev()).collect()
}

fn taken(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    characters.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_are_counted_twice() {
        assert_eq!(head("日本語", 6), "日本語");
        assert_eq!(head("日本語", 5), "日本~");
        assert_eq!(head("日本語", 4), "日~");
        assert_eq!(tail("日本語", 4), "~語");
        assert_eq!([head("ab", 1), head("ab", 0), tail("ab", 0)], ["~", "", ""]);
    }
}
