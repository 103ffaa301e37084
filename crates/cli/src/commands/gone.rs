//! `gone [PATH]`: what existed once and is not in the newest snapshot.

use std::io;
use std::ops::ControlFlow;

use kopia_rs::Snapshot;
use kopia_rs::history::{Sighting, Track, sightings};
use kopia_rs::search::{Event, Found, Place, gone};

use super::entries::Style;
use super::found::{Sink, problem};
use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;

pub(super) fn run(session: &Session, args: &args::Gone) -> Result<Exit, Failure> {
    let snapshots = session.snapshots()?;
    let tracks: Vec<Vec<Track>> = match &args.what {
        Some(path) => {
            let named = Track::named(&snapshots, path);
            vec![
                named
                    .map_err(|error| Failure::not_selected(error, &session.repository, path, "gone PATH"))?,
            ]
        }
        None => {
            let all = |source: &kopia_rs::Source| vec![Track { source: source.clone(), path: String::new() }];
            snapshots.sources().into_iter().map(all).collect()
        }
    };
    session.warn_of_gaps(None);
    let style = Style { long: args.long, human: args.human_readable, null: args.null, ..Style::default() };
    let mut output = Output { sink: Sink::new(session.json, style), exit: Exit::Complete, broken: None };
    let wanted = |snapshot: &&Snapshot| args.incomplete || snapshot.manifest().incomplete().is_none();
    for tracks in tracks {
        let mut seen = sightings(&session.repository, snapshots.iter().filter(wanted), &tracks);
        seen.reverse();
        if output.of(session, args, &seen).is_break() {
            break;
        }
    }
    let Output { mut sink, exit, broken } = output;
    let finished = broken.map_or(Ok(()), Err).and_then(|()| sink.flush()).map_err(Failure::output);
    match finished {
        Err(failure) if exit == Exit::Partial => failure.unless_reader_left().map(|()| exit),
        finished => finished.map(|()| exit),
    }
}

struct Output {
    sink: Sink,
    exit: Exit,
    broken: Option<io::Error>,
}

impl Output {
    /// Tells what is gone of a path, which was looked at in snapshots, newest first.
    fn of(&mut self, session: &Session, args: &args::Gone, seen: &[Sighting]) -> ControlFlow<()> {
        let mut places = Vec::new();
        let mut is_there = None;
        for Sighting { snapshot, path, entry } in seen {
            match entry {
                Ok(entry) => {
                    is_there.get_or_insert(entry.is_some());
                    let place = |root| Place { snapshot: Some(snapshot.clone()), root, path: path.clone() };
                    places.extend(entry.clone().map(place));
                }
                Err(defect) => {
                    self.exit = Exit::Partial;
                    if let Ok(root) = snapshot.root() {
                        let place = Place { snapshot: Some(snapshot.clone()), root, path: path.clone() };
                        problem(&place, "", &defect.to_string());
                    }
                    if is_there.is_none() {
                        // Whether the newest has it is not known.
                        return ControlFlow::Continue(());
                    }
                }
            }
        }
        if let (Some(false), Some(newest)) = (is_there, places.first()) {
            let found = Found { place: 0, path: String::new(), entry: newest.root.clone() };
            return self.event(&places, Event::Found(found));
        }
        gone(&session.repository, &places, args.recursive, |event| self.event(&places, event))
    }

    fn event(&mut self, places: &[Place], event: Event) -> ControlFlow<()> {
        let written = match event {
            Event::Found(found) => self.sink.write(&places[found.place], &found, false, &mut self.exit),
            Event::Problem { place, path, defect } => {
                self.exit = Exit::Partial;
                problem(&places[place], &path, &defect.to_string());
                Ok(())
            }
        };
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.broken = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}
