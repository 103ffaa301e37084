//! The first page: what was backed up.

use std::fmt::Write;

use hyper::StatusCode;

use super::html::{count, document, escape, source_href};
use crate::answer::Answer;
use crate::site::Site;

/// Answers with all sources, each with its newest snapshot.
pub(crate) fn page(site: &Site) -> Answer {
    let snapshots = site.fresh_snapshots();
    let all: Vec<_> = snapshots.iter().collect();
    let mut body = String::from("<h1>Sources</h1>\n");
    if all.is_empty() {
        body.push_str("<p>There is no snapshot.</p>\n");
    } else {
        body.push_str("<table>\n<tr><th>Source<th class=\"n\">Snapshots<th>Newest<th>Oldest\n");
    }
    for group in all.chunk_by(|one, other| one.source() == other.source()) {
        let (Some(oldest), Some(newest)) = (group.first(), group.last()) else { continue };
        let (source, href) = (oldest.source(), source_href(oldest.source()));
        let line = format_args!(
            "<tr><td><a href=\"{href}\"><bdi>{}</bdi></a><td class=\"n\">{}\
             <td><a href=\"/at/{}/\">{}</a><td>{}\n",
            escape(&source.to_string()),
            count(group.len() as u64),
            escape(newest.id()),
            escape(&site.time(newest.start_time())),
            escape(&site.time(oldest.start_time())),
        );
        // Writing to a string cannot fail.
        let _ = body.write_fmt(line);
    }
    if !all.is_empty() {
        body.push_str("</table>\n");
    }
    let lost = snapshots.lost().len();
    if lost > 0 {
        let _ = writeln!(body, "<p class=\"bad\">{lost} parts of the list of snapshots cannot be read.</p>");
    }
    Answer::page(StatusCode::OK, document("Sources", "", &body))
}
