//! A folder of a snapshot.

use std::fmt::Write;

use hyper::StatusCode;
use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Result, Snapshot};

use super::html::{self, count, document, escape, size};
use super::pager::Pager;
use super::rows::{Key, Rows};
use crate::answer::Answer;
use crate::request::Request;
use crate::site::Site;
use crate::url;

/// How many things that cannot be shown are named.
const NAMED: usize = 20;

/// Answers with the entries of a folder.
pub(crate) fn page(
    site: &Site,
    snapshot: &Snapshot,
    path: &[String],
    folder: &Entry,
    request: &Request,
) -> Result<Answer> {
    let (key, is_down) = Key::of(request);
    let mut read = Rows::read(folder, NAMED)?;
    read.sort(key, is_down);
    let pager = Pager::new(request, read.rows.len());
    let mut body = head(site, snapshot, path);
    body.push_str("<p>Download this folder as ");
    for format in ["tar", "tar.gz", "zip"] {
        let _ = write!(body, "<a href=\"{}/\">{format}</a> ", href(format, snapshot, path));
    }
    body.push_str("</p>\n<table>\n<tr>");
    for (word, this) in Key::NAMES {
        // A second click turns the order round.
        let order = if this == key && !is_down { "&amp;order=down" } else { "" };
        let mark = match (this == key, is_down) {
            (false, _) => "",
            (true, false) => " ▲",
            (true, true) => " ▼",
        };
        let class = if this == Key::Size { " class=\"n\"" } else { "" };
        let title = if this == Key::Time { "modified" } else { word };
        let _ = write!(body, "<th{class}><a href=\"?sort={word}{order}\">{title}</a>{mark}");
    }
    body.push_str("<th>mode\n");
    for row in &read.rows[pager.range(read.rows.len())] {
        let (class, slash) = match row.kind {
            EntryKind::Directory => ("d", "/"),
            EntryKind::Symlink => ("l", ""),
            EntryKind::File => ("f", ""),
        };
        let line = format_args!(
            "<tr><td class=\"{class}\"><a href=\"./{}{slash}\"><bdi>{}</bdi></a>\
             <td class=\"n\" title=\"{} bytes\">{}<td>{}<td><code>{}</code>\n",
            url::encode(&row.name),
            escape(&row.name),
            count(row.size),
            size(row.size),
            escape(&site.time(row.modified)),
            html::mode(row.mode),
        );
        let _ = body.write_fmt(line);
    }
    body.push_str("</table>\n");
    let sort = Key::NAMES.iter().find(|(_, this)| *this == key).map_or("name", |(word, _)| *word);
    body.push_str(&pager.links(&format!("sort={sort}&amp;{}", if is_down { "order=down&amp;" } else { "" })));
    if read.is_cut {
        let most = count(read.rows.len() as u64);
        let _ =
            writeln!(body, "<p class=\"bad\">Only the first {most} entries are shown; a tar has all.</p>");
    } else if read.rows.is_empty() {
        body.push_str("<p class=\"quiet\">It is empty.</p>\n");
    }
    for refused in &read.refused {
        let _ = writeln!(body, "<p class=\"bad\">Not shown: {}</p>", escape(refused));
    }
    for failed in folder.summary().into_iter().flat_map(|summary| summary.errors.iter().take(NAMED)) {
        let (path, error) = (escape(&failed.path), escape(&failed.error));
        let _ =
            writeln!(body, "<p class=\"bad\">Could not be read when it was backed up: {path}: {error}</p>");
    }
    let title = path.last().map_or_else(|| snapshot.source().to_string(), Clone::clone);
    Ok(Answer::page(StatusCode::OK, document(&title, &trail(site, snapshot, path), &body)))
}

/// Writes where an entry is, and the way to the same place in the snapshots before and after.
pub(super) fn head(site: &Site, snapshot: &Snapshot, path: &[String]) -> String {
    let title = path.last().map_or_else(|| snapshot.source().to_string(), Clone::clone);
    let mut head = format!("<h1><bdi>{}</bdi></h1>\n<p class=\"time\">", escape(&title));
    let snapshots = site.snapshots();
    let line: Vec<_> = snapshots.iter().filter(|other| other.source() == snapshot.source()).collect();
    let place = line.iter().position(|other| other.id() == snapshot.id());
    let mut link = |place: Option<usize>, word: &str| {
        let _ = match place.and_then(|place| line.get(place)) {
            Some(other) => {
                let (href, time) = (href("at", other, path), escape(&site.time(other.start_time())));
                write!(head, "<a href=\"{href}\" title=\"{time}\">{word}</a> ")
            }
            None => write!(head, "<span class=\"quiet\">{word}</span> "),
        };
    };
    link(place.and_then(|place| place.checked_sub(1)), "‹ older");
    link(place.and_then(|place| place.checked_add(1)), "newer ›");
    let _ = writeln!(head, "snapshot of {}</p>", escape(&site.time(snapshot.start_time())));
    head
}

/// Writes the way from the first page to an entry.
pub(super) fn trail(site: &Site, snapshot: &Snapshot, path: &[String]) -> String {
    let source = snapshot.source();
    let mut trail = html::step(&html::source_href(source), &source.to_string());
    let time = site.time(snapshot.start_time());
    trail.push_str(&html::step(&(href("at", snapshot, &[]) + "/"), &time));
    for end in 1..=path.len() {
        trail.push_str(&html::step(&(href("at", snapshot, &path[..end]) + "/"), &path[end - 1]));
    }
    trail
}

/// Returns the address of what lies at a path in a snapshot.
pub(super) fn href(word: &str, snapshot: &Snapshot, path: &[String]) -> String {
    url::join("", [word, snapshot.id()].into_iter().chain(path.iter().map(String::as_str)))
}
