//! What programs make of names that have a meaning on Windows.
//!
//! Names stand in the archive as they are: unzip and Python's zipfile restore them on Unix. But Windows Explorer,
//! .NET and, on every system, libarchive take `\` for what divides names. To Windows `C:` is a drive: a path that
//! begins so is none below the folder that is unpacked in, be it absolute (`C:/x`) or of that drive's own folder
//! (`C:x`).

/// Returns whether a path leads out of the folder that it is unpacked in on Windows.
pub(super) fn leads_out(path: &str) -> bool {
    let begins = |name: &str| {
        let is_drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        is_drive || name.starts_with('\\')
    };
    // Windows leaves out dots and blanks at the end.
    let is_up = |part: &str| part.contains("..") && part.chars().all(|letter| matches!(letter, '.' | ' '));
    let divided = |name: &str| name.contains('\\') && name.split('\\').any(is_up);
    begins(path) || path.split('/').any(divided)
}

/// Returns whether a name is another one, or several, to programs on Windows.
pub(crate) fn is_foreign(name: &str) -> bool {
    name.contains(['\\', ':'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_leave_the_folder_leads_out() {
        for path in [
            "..\\x",
            "..\\..\\x",
            "a\\..\\..\\x",
            "d/..\\..\\..\\x",
            "d/a\\.. \\x",
            "d/x\\..",
            "\\x",
            "\\\\server\\share",
            "C:\\x",
            "c:..\\x",
            "C:",
            "C:/x",
            "C:x",
            "a:b",
        ] {
            assert!(leads_out(path), "{path}");
        }
        for path in [
            "", "a", "a\\b", "a\\b/c", "d/\\x", "a\\\\b", "a\\", "a\\..b", "...", "d/...", "d/C:/x", "ab:c",
            "1:2",
        ] {
            assert!(!leads_out(path), "{path}");
        }
    }

    #[test]
    fn names_with_a_meaning_on_windows_are_foreign() {
        assert!(is_foreign("a\\b") && is_foreign("a:b"));
        assert!(!is_foreign("a b") && !is_foreign("..."));
    }
}
