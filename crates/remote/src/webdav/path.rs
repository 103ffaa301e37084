//! Paths in URLs: encoding, and decoding what servers write.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

/// What is encoded in a name: all but what Go leaves as it is.
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The same of what is encoded already.
const WRITTEN: &AsciiSet = &NAME.remove(b'%');

/// Encodes a path, name by name; a `%` stands for itself.
pub(super) fn encoded(path: &str) -> String {
    encoded_bytes(path.as_bytes())
}

/// Encodes what was left in a path that is encoded already, such as blanks.
pub(super) fn as_written(path: &str) -> String {
    join(path.as_bytes(), WRITTEN)
}

/// Encodes a path of bytes, name by name.
pub(super) fn encoded_bytes(path: &[u8]) -> String {
    join(path, NAME)
}

fn join(path: &[u8], set: &'static AsciiSet) -> String {
    let names = path.split(|&byte| byte == b'/').map(|name| percent_encode(name, set).to_string());
    names.collect::<Vec<_>>().join("/")
}

/// Returns the path of a reference, decoded and without slashes at its end. Servers write paths or whole
/// URLs.
pub(super) fn of_href(href: &str) -> Vec<u8> {
    let href = href.trim();
    let path = match href.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => href,
    };
    decoded(path.split(['?', '#']).next().unwrap_or_default())
}

/// Decodes a path and takes the slashes at its end away.
pub(super) fn decoded(path: &str) -> Vec<u8> {
    let mut path: Vec<u8> = percent_decode(path.as_bytes()).collect();
    while path.last() == Some(&b'/') {
        path.pop();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_slashes_are_not() {
        assert_eq!(encoded("/a b/ü/50%20/x?y#z"), "/a%20b/%C3%BC/50%2520/x%3Fy%23z");
        assert_eq!(as_written("/a b/ü/50%20/x"), "/a%20b/%C3%BC/50%20/x");
        assert_eq!(encoded_bytes(b"p/\xff/a;b+c"), "p/%FF/a%3Bb+c");
        assert_eq!(encoded("//a"), "//a");
    }

    #[test]
    fn references_are_paths_or_urls() {
        for (href, path) in [
            ("/dav/a%20b/", "/dav/a b"),
            ("https://host:8443/dav/a%2Bb", "/dav/a+b"),
            ("http://host", ""),
            ("\n /dav//\n", "/dav"),
            ("/dav/x?y#z", "/dav/x"),
            ("/dav/http://x", "/dav/http://x"),
            ("dav/%zz", "dav/%zz"),
        ] {
            assert_eq!(of_href(href), path.as_bytes(), "{href}");
        }
        assert_eq!(of_href("/%ff"), b"/\xff");
    }
}
