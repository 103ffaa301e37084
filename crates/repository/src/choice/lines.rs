//! Files of patterns.

/// Returns the patterns of a file, each with the number of its line, from 1 on.
///
/// As git reads them: without a byte order mark, `\r` and blanks at the end of a line (unless a `\` stands
/// before them), without empty lines and those that begin with `#`.
pub(super) fn patterns(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = (1..).zip(text.split('\n'));
    lines
        .map(|(number, line)| (number, trim(line.strip_suffix('\r').unwrap_or(line))))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

fn trim(line: &str) -> &str {
    let mut end = line.len();
    while line[..end].ends_with(' ') {
        let before = &line[..end - 1];
        let escapes = before.len() - before.trim_end_matches('\\').len();
        if escapes % 2 == 1 {
            break;
        }
        end -= 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_are_read_as_git_reads_them() {
        let text = "\u{feff}a\r\n# no\n\n  b  \n\\#c\nd\\ \ne\\\\ \nf";
        let patterns: Vec<_> = super::patterns(text).collect();
        assert_eq!(patterns, [(1, "a"), (4, "  b"), (5, "\\#c"), (6, "d\\ "), (7, "e\\\\"), (8, "f")]);
    }
}
