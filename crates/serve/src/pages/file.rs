//! A file or link of a snapshot, with a look into it.

use std::fmt::Write;

use hyper::StatusCode;
use kopia_format::directory::EntryKind;
use kopia_repository::beginning::{Image, text};
use kopia_repository::{Entry, Result, Snapshot};

use super::folder::{head, href, trail};
use super::html::{self, count, document, escape, size};
use crate::answer::Answer;
use crate::site::{Site, chain};

/// How many bytes of a text are shown.
const TEXT: usize = 256 << 10;

/// The largest image that is shown.
const IMAGE: u64 = 64 << 20;

/// Answers with what is known of a file or link, and its beginning or picture.
pub(crate) fn page(site: &Site, snapshot: &Snapshot, path: &[String], entry: &Entry) -> Result<Answer> {
    let mut body = head(site, snapshot, path);
    let is_file = entry.kind() == EntryKind::File;
    if is_file {
        let get = href("get", snapshot, path);
        let _ = writeln!(body, "<p><a class=\"button\" href=\"{get}\">Download</a></p>");
    }
    let (uid, gid) = entry.owner();
    let facts = format_args!(
        "<dl>\n<dt>size<dd>{} ({} bytes)\n<dt>modified<dd>{}\n<dt>mode<dd><code>{}</code>\n\
         <dt>owner<dd>{uid}:{gid}\n<dt>object<dd><code>{}</code>\n</dl>\n",
        size(entry.size()),
        count(entry.size()),
        escape(&site.time(entry.modified())),
        html::mode(entry.mode()),
        entry.object(),
    );
    // Writing to a string cannot fail.
    let _ = body.write_fmt(facts);
    let looked = if is_file { preview(entry, &href("image", snapshot, path)) } else { target(entry) };
    match looked {
        Ok(html) => body.push_str(&html),
        Err(error) => {
            site.notice(&path.join("/"), &error);
            let why = escape(&chain(&error));
            let _ = writeln!(body, "<p class=\"bad\">It cannot be read: {why}</p>");
        }
    }
    let title = path.last().map_or_else(|| snapshot.source().to_string(), Clone::clone);
    Ok(Answer::page(StatusCode::OK, document(&title, &trail(site, snapshot, path), &body)))
}

fn target(link: &Entry) -> Result<String> {
    let target = link.target()?;
    let target = escape(&String::from_utf8_lossy(&target));
    Ok(format!("<p>A symbolic link to <code><bdi>{target}</bdi></code></p>\n"))
}

/// Writes a picture, or the beginning of a text; nothing where it is neither.
fn preview(file: &Entry, image_href: &str) -> Result<String> {
    let reader = file.open()?;
    let mut start = vec![0; TEXT.min(usize::try_from(file.size()).unwrap_or(usize::MAX))];
    let count = reader.read_full_at(&mut start, 0)?;
    start.truncate(count);
    if Image::of(&start).is_some() && file.size() <= IMAGE {
        return Ok(format!("<p><img src=\"{image_href}\" alt=\"the picture\"></p>\n"));
    }
    let is_cut = (start.len() as u64) < file.size();
    Ok(match text(&start, is_cut) {
        Some("") => "<p class=\"quiet\">It is empty.</p>\n".into(),
        Some(text) => {
            let note = if is_cut {
                format!("<p class=\"quiet\">The first {}:</p>\n", size(count as u64))
            } else {
                String::new()
            };
            format!("{note}<pre>{}</pre>\n", escape_lines(text))
        }
        None => "<p class=\"quiet\">It is no text, and no picture that is shown here.</p>\n".into(),
    })
}

/// As [`escape`], but lines stay lines.
fn escape_lines(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            escaped.push('\n');
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        for (number, cell) in line.split('\t').enumerate() {
            if number > 0 {
                escaped.push('\t');
            }
            escaped.push_str(&escape(cell));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_stay() {
        assert_eq!(escape_lines("a\tb\r\n<c>\n\u{1b}"), "a\tb\n&lt;c&gt;\n\\u{1b}");
    }
}
