//! `find PATTERN WHAT…`: entries by name, size, time or kind, in some snapshots or in all.

use kopia_rs::Snapshot;
use kopia_rs::diagnosis::Class;
use kopia_rs::history::sightings;
use kopia_rs::search::{Pattern, Place, Query, search};

use super::entries::Style;
use super::found::Sink;
use crate::args::{self, What};
use crate::error::{Exit, Failure};
use crate::session::Session;

/// Makes a query of the options.
pub(super) fn query(args: &args::Find) -> Result<Query, Failure> {
    let make = if args.regex { Pattern::regex } else { Pattern::glob };
    let pattern = make(&args.pattern, args.ignore_case)
        .map_err(|error| Failure::usage(format!("{:?} is no pattern: {error}", args.pattern)))?;
    Ok(Query {
        pattern: Some(pattern),
        kinds: args.r#type.iter().map(|kind| (*kind).into()).collect(),
        size: args.min_size.unwrap_or(0)..=args.max_size.unwrap_or(u64::MAX),
        modified_until: args.until.as_ref().and_then(|when| when.at),
        modified_after: args.after.as_ref().and_then(|when| when.at),
    })
}

pub(super) fn run(session: &Session, args: &args::Find, query: &Query) -> Result<Exit, Failure> {
    let places = places(session, args)?;
    let style = Style { long: args.long, human: args.human_readable, null: args.null, ..Style::default() };
    let mut sink = Sink::new(session.json, style);
    let is_one = places.len() == 1;
    let _ = search(&session.repository, &places, query, |event| sink.event(&places, event, is_one));
    sink.finish()
}

/// Finds out where to look, newest first.
fn places(session: &Session, args: &args::Find) -> Result<Vec<Place>, Failure> {
    let wanted: Vec<What> = args.each().collect();
    if wanted.is_empty() {
        let snapshots = session.admitted(&args.only)?;
        session.warn_of_gaps(None);
        let complete = |snapshot: &&Snapshot| args.incomplete || snapshot.is_complete();
        return Ok(Place::newest_first(snapshots.iter().filter(complete))?);
    }
    let mut places = Vec::new();
    for what in wanted {
        if args.all {
            places.extend(every(session, args, &what)?);
        } else {
            let selection = session.select(&what).map_err(|failure| hint(failure, args, &what))?;
            places.push(Place { snapshot: selection.snapshot, root: selection.entry, path: selection.path });
        }
    }
    let newest = |place: &Place| place.snapshot.as_ref().map(Snapshot::start_time);
    places.sort_by_key(|place| std::cmp::Reverse(newest(place)));
    Ok(places)
}

/// Finds all snapshots that have WHAT.
fn every(session: &Session, args: &args::Find, what: &What) -> Result<Vec<Place>, Failure> {
    let snapshots = session.admitted(&args.only)?;
    let tracks = session.tracks(&snapshots, &what.what).map_err(|failure| hint(failure, args, what))?;
    let complete = |snapshot: &&Snapshot| args.incomplete || snapshot.is_complete();
    let seen = sightings(&session.repository, snapshots.iter().filter(complete), &tracks);
    let mut places = Vec::new();
    for sighting in seen {
        if let Some(root) = sighting.entry.map_err(|defect| Failure::of_defect(&defect))? {
            places.push(Place { snapshot: Some(sighting.snapshot), root, path: sighting.path });
        }
    }
    if places.is_empty() {
        return Err(Failure::failed(format!("no snapshot has {}", what.what)).with_class(Class::NotFound));
    }
    Ok(places)
}

/// Adds which argument is which, where they look exchanged.
fn hint(failure: Failure, args: &args::Find, what: &What) -> Failure {
    if what.what.contains(['*', '?', '[']) || args.pattern.starts_with("latest") || args.pattern.contains('@')
    {
        failure.hint("the pattern comes first: kopia-rs find PATTERN WHAT")
    } else {
        failure
    }
}
