//! Names in URLs and headers: any name survives the way there and back.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but what RFC 3986 calls unreserved, so that no name is taken for part of a URL.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Writes a name as one component of a path.
pub(crate) fn encode(name: &str) -> String {
    // A browser would take these for steps through folders, escaped or not; no snapshot has such names.
    utf8_percent_encode(name, ESCAPED).to_string()
}

/// Writes a path below another, without a slash at the end.
pub(crate) fn join<'n>(base: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().fold(base.trim_end_matches('/').to_owned(), |path, name| path + "/" + &encode(name))
}

/// Reads one component; nothing if it is not UTF-8, is a step through folders or holds a slash or NUL.
pub(crate) fn decode(component: &str) -> Option<String> {
    let name = percent_decode_str(component).decode_utf8().ok()?;
    let is_step = matches!(&*name, "." | "..");
    (!is_step && !name.contains(['\0', '/'])).then(|| name.into_owned())
}

/// As [`decode`], of a source: that may hold slashes.
pub(crate) fn decode_any(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

/// Writes the header that has a browser save a file under its name (RFC 6266).
pub(crate) fn disposition(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/' | '%') || c == ' ' { c } else { '_' }
    };
    let fallback: String = name.chars().map(plain).collect();
    let mut text = format!("attachment; filename=\"{fallback}\"");
    if fallback != name {
        // Writing to a string cannot fail.
        let _ = write!(text, "; filename*=UTF-8''{}", encode(name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_comes_back() {
        let odd =
            ["a b", "100%", "%41", "a?b#c", "ä\u{202e}\n", "'\"<>&\\", "..a", "a;b=c", "\u{fffd}", "~-_."];
        for name in odd {
            let encoded = encode(name);
            assert!(
                encoded.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#\"<>&'".contains(&byte)),
                "{encoded}"
            );
            assert_eq!(decode(&encoded).as_deref(), Some(name));
        }
        assert_eq!(join("/at/1/", ["a b", "c"]), "/at/1/a%20b/c");
    }

    #[test]
    fn what_is_no_name_is_none() {
        for wrong in ["..", ".", "%2e%2E", "a%2Fb", "a%00", "%ff", "%C3"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
        assert_eq!(decode_any("a%40b%3A%2Fc").as_deref(), Some("a@b:/c"));
    }

    #[test]
    fn names_of_downloads_cannot_leave_their_header() {
        assert_eq!(disposition("a b.txt"), "attachment; filename=\"a b.txt\"");
        let odd = disposition("ä\"\r\nx: y");
        assert_eq!(odd, "attachment; filename=\"____x: y\"; filename*=UTF-8''%C3%A4%22%0D%0Ax%3A%20y");
    }
}
