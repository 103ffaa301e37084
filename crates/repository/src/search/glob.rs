//! What a glob means, as a regular expression of characters.
//!
//! `globset` has the same globs, but of bytes, where `?` is half a letter outside ASCII; and it always brings its
//! automata, which are larger than all that lists and searches here.

use std::fmt;

/// Why a text is no glob; reads on after "the glob 'x'".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadGlob {
    NotClosed(char),
    NotOpened,
    NothingEscaped,
    Backwards(char, char),
}

impl fmt::Display for BadGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotClosed(bracket) => write!(f, "has a '{bracket}' that is not closed"),
            Self::NotOpened => f.write_str("has a '}' that was not opened"),
            Self::NothingEscaped => f.write_str("ends after a '\\'"),
            Self::Backwards(from, to) => write!(f, "has a range that ends before it begins, '{from}-{to}'"),
        }
    }
}

/// Translates a glob into a regular expression that matches all of a text, which may have line breaks.
///
/// `*`, `?` and `[…]` never match `/`; `**` matches folders where it stands between slashes or at an end, and is
/// `*` anywhere else.
pub(super) fn to_regex(glob: &str) -> Result<String, BadGlob> {
    let mut regex = String::from(r"(?s)\A");
    let mut rest = glob;
    let mut open = 0_usize;
    let mut starts_name = true;
    while let Some(first) = rest.chars().next() {
        if starts_name && rest == "**" {
            regex.push_str(".*");
            break;
        }
        if let Some(after) = rest.strip_prefix("**/").filter(|_| starts_name) {
            regex.push_str("(?:.*/)?");
            rest = after;
            continue;
        }
        starts_name = first == '/';
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '*' => {
                // A regular expression with two of them would match the same, in longer time.
                regex.push_str("[^/]*");
                after.trim_start_matches('*')
            }
            '?' => {
                regex.push_str("[^/]");
                after
            }
            '[' => class(after, &mut regex)?,
            '{' => {
                open += 1;
                regex.push_str("(?:");
                after
            }
            ',' if open > 0 => {
                regex.push('|');
                after
            }
            '}' => {
                open = open.checked_sub(1).ok_or(BadGlob::NotOpened)?;
                regex.push(')');
                after
            }
            '\\' => {
                let escaped = after.chars().next().ok_or(BadGlob::NothingEscaped)?;
                literal(escaped, &mut regex);
                &after[escaped.len_utf8()..]
            }
            _ => {
                literal(first, &mut regex);
                after
            }
        };
    }
    if open > 0 {
        return Err(BadGlob::NotClosed('{'));
    }
    regex.push_str(r"\z");
    Ok(regex)
}

/// Translates what follows a `[`, and returns what follows its `]`.
fn class<'a>(text: &'a str, regex: &mut String) -> Result<&'a str, BadGlob> {
    let (negated, mut rest) = match text.strip_prefix(['!', '^']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    regex.push_str(if negated { "[^/" } else { "[[" });
    let mut is_first = true;
    loop {
        let (from, after) = member(rest)?;
        if from == ']' && !is_first && !rest.starts_with('\\') {
            // A class of what is allowed must not let a path go on into another folder.
            regex.push_str(if negated { "]" } else { "]&&[^/]]" });
            return Ok(after);
        }
        is_first = false;
        literal(from, regex);
        rest = after;
        if let Some(after) = rest.strip_prefix('-').filter(|after| !after.starts_with(']')) {
            let (to, after) = member(after)?;
            if to < from {
                return Err(BadGlob::Backwards(from, to));
            }
            regex.push('-');
            literal(to, regex);
            rest = after;
        }
    }
}

/// Splits the first character of a class, which may be escaped, from what follows it.
fn member(text: &str) -> Result<(char, &str), BadGlob> {
    let text = text.strip_prefix('\\').unwrap_or(text);
    let first = text.chars().next().ok_or(BadGlob::NotClosed('['))?;
    Ok((first, &text[first.len_utf8()..]))
}

/// Appends a character that stands for itself.
fn literal(character: char, regex: &mut String) {
    if character.is_ascii_punctuation() {
        regex.push('\\');
    }
    regex.push(character);
}
