//! `gone [PATH]`: what existed once and is not in the newest snapshot.

use std::ops::ControlFlow;

use kopia_rs::Snapshot;
use kopia_rs::history::{Sighting, Track, sightings};
use kopia_rs::search::{Event, Found, Place, gone};

use super::entries::Style;
use super::found::Sink;
use crate::args;
use crate::error::{Exit, Failure};
use crate::session::Session;

pub(super) fn run(session: &Session, args: &args::Gone) -> Result<Exit, Failure> {
    let snapshots = session.admitted(&args.only)?;
    let tracks: Vec<Vec<Track>> = match &args.what {
        Some(path) => vec![session.tracks(&snapshots, path)?],
        None => {
            let all = |source: &kopia_rs::Source| vec![Track { source: source.clone(), path: String::new() }];
            snapshots.sources().into_iter().map(all).collect()
        }
    };
    session.warn_of_gaps(None);
    let style = Style { long: args.long, human: args.human_readable, null: args.null, ..Style::default() };
    let mut sink = Sink::new(session.json, style);
    let wanted = |snapshot: &&Snapshot| args.incomplete || snapshot.is_complete();
    for tracks in tracks {
        let mut seen = sightings(&session.repository, snapshots.iter().filter(wanted), &tracks);
        seen.reverse();
        if tell(&mut sink, session, args, &seen).is_break() {
            break;
        }
    }
    sink.finish()
}

/// Tells what is gone of a path, which was looked at in snapshots, newest first.
fn tell(sink: &mut Sink, session: &Session, args: &args::Gone, seen: &[Sighting]) -> ControlFlow<()> {
    let mut places = Vec::new();
    let mut is_there = None;
    for Sighting { snapshot, path, entry } in seen {
        let place = |root| Place { snapshot: Some(snapshot.clone()), root, path: path.clone() };
        match entry {
            Ok(entry) => {
                is_there.get_or_insert(entry.is_some());
                places.extend(entry.clone().map(place));
            }
            Err(defect) => {
                if let Ok(root) = snapshot.root() {
                    sink.problem(&place(root), "", defect);
                }
                sink.note_incomplete();
                if is_there.is_none() {
                    // Whether the newest has it is not known.
                    return ControlFlow::Continue(());
                }
            }
        }
    }
    if let (Some(false), Some(newest)) = (is_there, places.first()) {
        let found = Found { place: 0, path: String::new(), entry: newest.root.clone() };
        return sink.event(&places, Event::Found(found), false);
    }
    gone(&session.repository, &places, args.recursive, |event| sink.event(&places, event, false))
}
