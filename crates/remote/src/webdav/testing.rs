//! Opens what reads answers to fuzz targets.

use super::challenge;
use super::digest::Digest;
use super::{multistatus, netrc as file, path};

/// Reads an answer as a listing, and each path in it.
pub fn answers(bytes: &[u8]) {
    let Some(responses) = multistatus::parse(bytes) else { return };
    assert!(responses.len() <= bytes.len() / 11);
    for asked in [&b""[..], b"/dav"] {
        let Some((_, inside)) = multistatus::split(responses.clone(), asked) else { continue };
        for (name, _) in inside {
            assert!(!name.is_empty() && !name.contains(&b'/'));
            let encoded = path::encoded_bytes(&name);
            assert!(
                encoded.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#/".contains(&byte)),
                "{encoded}"
            );
            assert_eq!(path::decoded(&encoded), name);
        }
    }
}

/// Reads a header `WWW-Authenticate`, and answers it: what is answered is a header again.
pub fn challenges(bytes: &[u8]) {
    let Ok(header) = ureq::http::HeaderValue::from_bytes(bytes) else { return };
    let Ok(header) = header.to_str() else { return };
    for challenge in challenge::parse(header) {
        let Some(mut digest) = Digest::of(&challenge) else { continue };
        let answer = digest.authorize("al\"ice", "pässword", "GET", "/a,b?c=\"d\"");
        assert!(digest.made(&answer), "{answer}");
        assert!(ureq::http::HeaderValue::from_str(&answer).is_ok(), "{answer}");
        assert!(!answer.contains("pässword"));
    }
}

/// Reads a text as `~/.netrc`.
pub fn netrc(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        file::exercise(text);
    }
}
