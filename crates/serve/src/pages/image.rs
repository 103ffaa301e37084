//! Which files are images that browsers show: by their first bytes, whatever they are called.

/// How many bytes tell.
pub(crate) const LONGEST_MARK: usize = 12;

/// Returns the media type of an image. SVG is none: it is a document that can do more than be looked at.
pub(crate) fn kind(start: &[u8]) -> Option<&'static str> {
    let at = |place: usize, mark: &[u8]| start.get(place..).is_some_and(|rest| rest.starts_with(mark));
    let kinds = [
        ("image/png", at(0, b"\x89PNG\r\n\x1a\n")),
        ("image/jpeg", at(0, b"\xff\xd8\xff")),
        ("image/gif", at(0, b"GIF87a") || at(0, b"GIF89a")),
        ("image/webp", at(0, b"RIFF") && at(8, b"WEBP")),
        ("image/avif", at(4, b"ftypavif") || at(4, b"ftypavis")),
        ("image/bmp", at(0, b"BM") && at(6, b"\0\0\0\0")),
    ];
    kinds.into_iter().find(|(_, is_it)| *is_it).map(|(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_what_is_an_image() {
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n\0\0\0\r"), Some("image/png"));
        assert_eq!(kind(b"RIFF\0\0\0\0WEBP"), Some("image/webp"));
        assert_eq!(kind(b"\0\0\0 ftypavif"), Some("image/avif"));
        for none in [&b""[..], b"<svg xmlns=", b"<html>", b"RIFF\0\0\0\0WAVE", b"BMW is a car", b"\x89PN"] {
            assert_eq!(kind(none), None);
        }
    }
}
