//! What `find` and `gone` print: entries of several snapshots.

use std::io::{self, Write};

use kopia_rs::Entry;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::search::{Found, Place};
use serde::Serialize;

use super::entries::{self, Style, joined};
use crate::error::Exit;
use crate::terminal::output::{self, JsonLines, Out, escape, for_terminal, log_line};
use crate::terminal::time;

/// One entry as `--json` prints it, a line each.
#[derive(Debug, Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    entry: entries::Json<'a>,
    #[serde(flatten)]
    snapshot: Option<InSnapshot<'a>>,
}

/// The newest snapshot that has an entry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InSnapshot<'a> {
    snapshot: &'a str,
    source: String,
    start_time: String,
    /// The path below the root of the snapshot.
    path_in_snapshot: String,
}

/// Where what is found goes.
pub(super) enum Sink {
    Json(JsonLines),
    Text(Out, Style),
}

/// Tells of what cannot be read.
pub(super) fn problem(place: &Place, path: &str, why: &str) {
    let path = joined(&place.path, path);
    let of = place.snapshot.as_ref().map(|snapshot| format!("{}/", output::short(snapshot.id())));
    log_line(format_args!("error: {}", escape(&format!("{}{path}: {why}", of.unwrap_or_default()))));
}

impl Sink {
    /// Makes one for standard output.
    pub(super) fn new(json: bool, style: Style) -> Self {
        if json { Self::Json(JsonLines::new()) } else { Self::Text(output::out(), style) }
    }

    /// Writes an entry; only its path where a single place is searched.
    pub(super) fn write(
        &mut self,
        place: &Place,
        found: &Found,
        is_one: bool,
        exit: &mut Exit,
    ) -> io::Result<()> {
        let Found { path, entry, .. } = found;
        let path = if path.is_empty() { name_of(entry) } else { path.clone() };
        let is_wanted = match self {
            Self::Json(_) => true,
            Self::Text(_, style) => style.shows_targets(),
        };
        let target = is_wanted.then(|| entries::target(entry)).transpose().unwrap_or_else(|error| {
            *exit = Exit::Partial;
            problem(place, &path, &chain(&error));
            None
        });
        let target = target.flatten();
        // The root of a search that is a file is the place itself.
        let above = if place.snapshot.is_some() { &*place.path } else { "" };
        let below = joined(above, if found.path.is_empty() { "" } else { &path });
        match (self, &place.snapshot) {
            (Self::Json(lines), snapshot) => lines.push(&Json {
                entry: entries::Json::new(&path, entry, target),
                snapshot: snapshot.as_ref().map(|snapshot| InSnapshot {
                    snapshot: snapshot.id(),
                    source: snapshot.source().to_string(),
                    start_time: snapshot.start_time().to_string(),
                    path_in_snapshot: below.clone().into_owned(),
                }),
            }),
            (Self::Text(out, Style { null: true, .. }), snapshot) => {
                let root =
                    snapshot.as_ref().map_or_else(|| place.root.object().to_string(), |s| s.id().into());
                let slash = if below.is_empty() { "" } else { "/" };
                write!(out, "{root}{slash}{below}\0")
            }
            (Self::Text(out, style), Some(snapshot)) if !is_one => {
                let when = time::local(snapshot.start_time(), "%Y-%m-%d %H:%M");
                let before = format!("{when}  {}  ", output::short(snapshot.id()));
                write!(out, "{}", for_terminal(&before))?;
                let source = snapshot.source().to_string();
                style.write(out, &joined(&source, &below), entry, target.as_deref())
            }
            (Self::Text(out, style), _) => style.write(out, &path, entry, target.as_deref()),
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Json(lines) => lines.flush(),
            Self::Text(out, _) => out.flush(),
        }
    }
}

/// Names a root, which may have no name.
fn name_of(entry: &Entry) -> String {
    match entry.name() {
        "" => entry.object().to_string(),
        name => name.to_owned(),
    }
}
