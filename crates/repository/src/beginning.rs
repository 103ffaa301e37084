//! What a file is, as far as its first bytes tell, whatever it is called.

/// A kind of image that programs show as it is. SVG is none: it is a document that can do more than be looked
/// at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Image {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// GIF, in both versions.
    Gif,
    /// WebP.
    WebP,
    /// AVIF, also where it is a sequence.
    Avif,
    /// A bitmap of Windows.
    Bmp,
}

impl Image {
    /// How many bytes tell.
    pub const LONGEST_MARK: usize = 12;

    /// Returns which image begins with these bytes.
    pub fn of(start: &[u8]) -> Option<Self> {
        let at = |place: usize, mark: &[u8]| start.get(place..).is_some_and(|rest| rest.starts_with(mark));
        let kinds = [
            (Self::Png, at(0, b"\x89PNG\r\n\x1a\n")),
            (Self::Jpeg, at(0, b"\xff\xd8\xff")),
            (Self::Gif, at(0, b"GIF87a") || at(0, b"GIF89a")),
            (Self::WebP, at(0, b"RIFF") && at(8, b"WEBP")),
            (Self::Avif, at(4, b"ftypavif") || at(4, b"ftypavis")),
            (Self::Bmp, at(0, b"BM") && at(6, b"\0\0\0\0")),
        ];
        kinds.into_iter().find(|(_, is_it)| *is_it).map(|(kind, _)| kind)
    }

    /// Returns what people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Gif => "GIF",
            Self::WebP => "WebP",
            Self::Avif => "AVIF",
            Self::Bmp => "BMP",
        }
    }

    /// Returns its media type (RFC 2046).
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Avif => "image/avif",
            Self::Bmp => "image/bmp",
        }
    }
}

/// Returns the first bytes of a file as text if they are UTF-8 without NUL. Where more follows (`is_cut`), the
/// last character may be cut, and is left out.
pub fn text(start: &[u8], is_cut: bool) -> Option<&str> {
    if start.contains(&0) {
        return None;
    }
    match std::str::from_utf8(start) {
        Ok(text) => Some(text),
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_tell_what_is_an_image() {
        let kind = |start| Image::of(start).map(Image::media_type);
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n\0\0\0\r"), Some("image/png"));
        assert_eq!(kind(b"RIFF\0\0\0\0WEBP"), Some("image/webp"));
        assert_eq!(kind(b"\0\0\0 ftypavif"), Some("image/avif"));
        assert_eq!(kind(b"\0\0\0 ftypavis"), Some("image/avif"));
        assert_eq!(kind(b"GIF87a"), Some("image/gif"));
        assert_eq!(kind(b"GIF89a"), Some("image/gif"));
        assert_eq!(kind(b"BM\x36\x10\0\0\0\0\0\0"), Some("image/bmp"));
        for none in [&b""[..], b"<svg xmlns=", b"<html>", b"RIFF\0\0\0\0WAVE", b"BMW is a car", b"\x89PN"] {
            assert_eq!(kind(none), None);
        }
    }

    #[test]
    fn text_is_what_is_utf8() {
        assert_eq!(text("äö".as_bytes(), false), Some("äö"));
        assert_eq!(text(&"äö".as_bytes()[..3], true), Some("ä"));
        assert_eq!(text(&"äö".as_bytes()[..3], false), None);
        assert_eq!(text(b"\xffab", true), None);
        assert_eq!(text(b"a\0b", false), None);
    }
}
