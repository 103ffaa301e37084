//! The text of one file, and the spans in it.

use std::ops::Range;
use syn::spanned::Spanned;

/// A file's text. Whatever is written into the copy is cut from it, so that formatting and comments stay.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a>(pub(crate) &'a str);

impl<'a> Source<'a> {
    /// What `part` of the syntax was read from.
    pub(crate) fn of(self, part: &impl Spanned) -> &'a str {
        self.at(&range(part))
    }

    pub(crate) fn at(self, range: &Range<usize>) -> &'a str {
        &self.0[range.clone()]
    }

    /// The line, counted from 1, without the spaces around it.
    pub(crate) fn line(self, number: usize) -> &'a str {
        self.0.lines().nth(number - 1).unwrap_or("").trim()
    }
}

/// Bytes of the file.
pub(crate) fn range(part: &impl Spanned) -> Range<usize> {
    part.span().byte_range()
}

/// Without any white space, for comparisons.
pub(crate) fn squeezed(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

/// On one line, with single spaces.
pub(crate) fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
