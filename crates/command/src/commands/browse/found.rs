//! What `find` and `gone` print: entries of several snapshots.

use std::fmt;
use std::io::{self, Write};
use std::ops::ControlFlow;

use kopia_rs::Entry;
use kopia_rs::diagnosis::text::chain;
use kopia_rs::search::{Event, Found, Place};
use serde::Serialize;

use super::entries::{self, Style};
use super::joined;
use crate::error::{Exit, Failure};
use crate::terminal::output::{self, Broken, JsonLines, Out, for_terminal, log_problem};
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

/// Where what is found goes, and how that ends.
pub(super) struct Sink {
    to: To,
    exit: Exit,
    broken: Broken,
}

enum To {
    Json(JsonLines),
    Text(Out, Style),
}

impl Sink {
    /// Makes one for standard output.
    pub(super) fn new(json: bool, style: Style) -> Self {
        let to = if json { To::Json(JsonLines::new()) } else { To::Text(output::out(), style) };
        Self { to, exit: Exit::Complete, broken: Broken::default() }
    }

    /// Tells of what a search comes by; only paths where a single place is searched.
    pub(super) fn event(&mut self, places: &[Place], event: Event, is_one: bool) -> ControlFlow<()> {
        match event {
            Event::Found(found) => {
                let written = self.write(&places[found.place], &found, is_one);
                self.broken.note(written)
            }
            Event::Problem { place, path, defect } => {
                self.problem(&places[place], &path, defect);
                ControlFlow::Continue(())
            }
        }
    }

    /// Tells of what cannot be read.
    pub(super) fn problem(&mut self, place: &Place, path: &str, why: impl fmt::Display) {
        self.exit = Exit::Partial;
        let path = joined(&place.path, path);
        let of = place.snapshot.as_ref().map(|snapshot| format!("{}/", output::short(snapshot.id())));
        log_problem(&format!("{}{path}", of.unwrap_or_default()), why);
    }

    /// Notes that not all could be looked at.
    pub(super) fn note_incomplete(&mut self) {
        self.exit = Exit::Partial;
    }

    fn write(&mut self, place: &Place, found: &Found, is_one: bool) -> io::Result<()> {
        let Found { path, entry, .. } = found;
        let path = if path.is_empty() { name_of(entry) } else { path.clone() };
        let is_wanted = match &self.to {
            To::Json(_) => true,
            To::Text(_, style) => style.shows_targets(),
        };
        let target = is_wanted.then(|| entries::target(entry)).transpose().unwrap_or_else(|error| {
            self.problem(place, &path, chain(&error));
            None
        });
        let target = target.flatten();
        // The root of a search that is a file is the place itself.
        let above = if place.snapshot.is_some() { &*place.path } else { "" };
        let below = joined(above, if found.path.is_empty() { "" } else { &path });
        match (&mut self.to, &place.snapshot) {
            (To::Json(lines), snapshot) => lines.push(&Json {
                entry: entries::Json::new(&path, entry, target),
                snapshot: snapshot.as_ref().map(|snapshot| InSnapshot {
                    snapshot: snapshot.id(),
                    source: snapshot.source().to_string(),
                    start_time: snapshot.start_time().to_string(),
                    path_in_snapshot: below.clone().into_owned(),
                }),
            }),
            (To::Text(out, Style { null: true, .. }), snapshot) => {
                let root =
                    snapshot.as_ref().map_or_else(|| place.root.object().to_string(), |s| s.id().into());
                let slash = if below.is_empty() { "" } else { "/" };
                write!(out, "{root}{slash}{below}\0")
            }
            (To::Text(out, style), Some(snapshot)) if !is_one => {
                let when = time::local(snapshot.start_time(), "%Y-%m-%d %H:%M");
                let before = format!("{when}  {}  ", output::short(snapshot.id()));
                write!(out, "{}", for_terminal(&before))?;
                let source = snapshot.source().to_string();
                style.write(out, &joined(&source, &below), entry, target.as_deref())
            }
            (To::Text(out, style), _) => style.write(out, &path, entry, target.as_deref()),
        }
    }

    /// Ends the command.
    pub(super) fn finish(self) -> Result<Exit, Failure> {
        let flush = || match self.to {
            To::Json(mut lines) => lines.flush(),
            To::Text(mut out, _) => out.flush(),
        };
        self.exit.after(self.broken.check().and_then(|()| flush()))
    }
}

/// Names a root, which may have no name.
fn name_of(entry: &Entry) -> String {
    match entry.name() {
        "" => entry.object().to_string(),
        name => name.to_owned(),
    }
}
