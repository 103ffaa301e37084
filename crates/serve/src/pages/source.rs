//! The time line of a source: its snapshots, the newest first.

use std::fmt::Write;

use hyper::StatusCode;
use kopia_repository::{Error, Result, Snapshot};

use super::html::{count, document, escape, size};
use super::pager::Pager;
use crate::answer::Answer;
use crate::request::Request;
use crate::site::Site;

/// Answers with the snapshots of a source.
pub(crate) fn page(site: &Site, name: &str, request: &Request) -> Result<Answer> {
    let snapshots = site.fresh_snapshots();
    let of = snapshots.iter().filter(|snapshot| snapshot.source().to_string() == name);
    let shown: Vec<_> = of.rev().collect();
    if shown.is_empty() {
        return Err(Error::NotFound { what: format!("snapshot of {name}"), candidates: Vec::new() });
    }
    let mut body = format!("<h1><bdi>{}</bdi></h1>\n", escape(name));
    let pager = Pager::new(request, shown.len());
    body.push_str("<table>\n<tr><th>Snapshot<th class=\"n\">Size<th class=\"n\">Files<th><th>Download\n");
    for snapshot in &shown[pager.range(shown.len())] {
        let (bytes, files) = snapshot.totals();
        let id = escape(snapshot.id());
        let line = format_args!(
            "<tr><td><a href=\"/at/{id}/\">{}</a><td class=\"n\">{}<td class=\"n\">{}<td class=\"quiet\">{}\
             <td><a href=\"/tar/{id}/\">tar</a> <a href=\"/zip/{id}/\">zip</a>\n",
            escape(&site.time(snapshot.start_time())),
            size(bytes),
            count(files),
            escape(&notes(snapshot).join(", ")),
        );
        // Writing to a string cannot fail.
        let _ = body.write_fmt(line);
    }
    body.push_str("</table>\n");
    body.push_str(&pager.links(""));
    Ok(Answer::page(StatusCode::OK, document(name, "", &body)))
}

/// What is special about a snapshot.
fn notes(snapshot: &Snapshot) -> Vec<String> {
    let description = Some(snapshot.manifest().description()).filter(|text| !text.is_empty());
    snapshot.marks().into_iter().chain(description.map(str::to_owned)).collect()
}
