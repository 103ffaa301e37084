//! What all pages are made of.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use kopia_format::Timestamp;
use kopia_format::snapshot::Source;
pub(crate) use kopia_format::text::{html as escape, size, thousands as count};
use kopia_repository::Entry;

use crate::answer::Answer;
use crate::url;

/// Later times have no four-digit year, which the format of HTTP needs.
const YEAR_10000: u64 = 253_402_300_800;

/// Writes a whole page; `trail` and `body` are HTML.
pub(crate) fn document(title: &str, trail: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} – kopia-rs</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
         <nav><a href=\"/\">All sources</a>{trail}</nav>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

/// Answers with a page that says one thing.
pub(crate) fn message(status: StatusCode, title: &str, why: &str) -> Answer {
    let body = format!("<h1>{}</h1>\n<p>{}</p>\n", escape(title), escape(why));
    Answer::page(status, document(title, "", &body))
}

/// Writes one step of the trail at the head of a page.
pub(crate) fn step(href: &str, name: &str) -> String {
    format!(" <i>›</i> <a href=\"{href}\"><bdi>{}</bdi></a>", escape(name))
}

/// Returns where the time line of a source is.
pub(crate) fn source_href(source: &Source) -> String {
    url::join("/source", [&*source.to_string()])
}

/// Returns the name of an entry; the label of a root may be a path.
pub(crate) fn name_of(entry: &Entry) -> &str {
    entry.name().rsplit(['/', '\\']).next().unwrap_or_default()
}

/// Writes a mode as `ls` does, without the kind.
pub(crate) fn mode(mode: u32) -> String {
    let mut text = String::new();
    for shift in [6, 3, 0] {
        for (bit, letter) in [(4, 'r'), (2, 'w'), (1, 'x')] {
            text.push(if mode >> shift & bit == 0 { '-' } else { letter });
        }
    }
    if mode & 0o7000 != 0 {
        let _ = write!(text, " ({mode:04o})");
    }
    text
}

/// Writes a time for headers; nothing for those that they cannot have.
pub(crate) fn http_date(time: Timestamp) -> Option<String> {
    let seconds = u64::try_from(time.seconds()).ok().filter(|&seconds| seconds < YEAR_10000)?;
    Some(httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_short() {
        assert_eq!([mode(0o644), mode(0o4755)], ["rw-r--r--", "rwxr-xr-x (4755)"]);
    }

    #[test]
    fn times_that_http_cannot_have_are_left_out() {
        let date = |seconds| http_date(Timestamp::new(seconds, 0).unwrap());
        assert_eq!(date(784_111_777).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(date(-1), None);
        // The last day that a time of kopia can have.
        assert_eq!(date(253_402_000_000).as_deref(), Some("Tue, 28 Dec 9999 12:26:40 GMT"));
        assert_eq!(http_date(Timestamp::default().saturating_add(i128::MAX)), None);
    }
}
