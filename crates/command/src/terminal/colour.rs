//! Colours: on a terminal alone, and never where NO_COLOR says so.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::sync::LazyLock;

/// How something is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Bold,
    Red,
    Green,
    Yellow,
    Cyan,
}

/// What lines on standard error begin with that matters to who reads them.
const LABELS: [(&str, Colour); 4] = [
    ("error:", Colour::Red),
    ("warning:", Colour::Yellow),
    ("hint:", Colour::Green),
    ("note:", Colour::Cyan),
];

impl Colour {
    /// Sets a text off on standard output, if colours are shown there.
    pub(crate) fn paint(self, text: &str) -> Cow<'_, str> {
        static IS_SHOWN: LazyLock<bool> = LazyLock::new(|| is_shown_on(&io::stdout()));
        if *IS_SHOWN { self.painted(text).into() } else { text.into() }
    }

    fn painted(self, text: &str) -> String {
        let code = match self {
            Self::Bold => "1",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Cyan => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Sets the label of a line off that goes to standard error, if colours are shown there.
pub(super) fn label(line: String) -> String {
    static IS_SHOWN: LazyLock<bool> = LazyLock::new(|| is_shown_on(&io::stderr()));
    if !*IS_SHOWN {
        return line;
    }
    labelled(&line).unwrap_or(line)
}

fn labelled(line: &str) -> Option<String> {
    let (label, colour) = LABELS.iter().find(|(label, _)| line.starts_with(label))?;
    Some(colour.painted(label) + &line[label.len()..])
}

/// Returns whether colours are shown: see <https://no-color.org>.
pub(crate) fn is_shown_on(stream: &impl IsTerminal) -> bool {
    let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_refused && std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_alone_are_set_off() {
        assert_eq!(
            labelled("error: no error: x\n").as_deref(),
            Some("\u{1b}[31merror:\u{1b}[0m no error: x\n")
        );
        assert_eq!(labelled("hint: y").as_deref(), Some("\u{1b}[32mhint:\u{1b}[0m y"));
        assert_eq!([labelled("ERROR: x"), labelled("    note: x"), labelled("")], [None, None, None]);
    }
}
