//! Opens what reads headers to fuzz targets.

use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use super::message::{Answer, Verdict};
use super::origin::Origin;
use super::range::{Transfer, content_range, unsatisfied};

/// Reads lines `name: value` as the headers of an answer to a request for a range, and the first line as a
/// URL.
pub fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let mut transfer =
        Transfer { wanted: 5..100, exact: false, most: 100, buffer: Vec::new(), done: 3, total: Some(1000) };
    if let Some(range) = content_range(&headers) {
        let _ = range.is_empty();
        if transfer.accept(&range, Some(92)).is_ok() && transfer.check_length().is_ok() {
            assert!(transfer.room().len() <= 92);
        }
    }
    let _ = unsatisfied(&headers);
    for status in [200, 404, 429, 503] {
        let answer = Answer { headers: headers.clone(), ..Answer::made(status, bytes) };
        let _ = (answer.date(), answer.retry_after(), Verdict::by_status(&answer));
        assert!(answer.nonsense().to_string().len() < 2000);
    }
    if let Some(Ok(line)) = bytes.split(|byte| *byte == b'\n').next().map(std::str::from_utf8)
        && let Ok((origin, _, path)) = Origin::of_url(line)
    {
        assert!(!origin.authority().contains(['/', '@', '?', '#', ' ']), "{origin}");
        assert!(path.is_empty() || path.starts_with(['/', '?', '#']), "{path}");
    }
}
