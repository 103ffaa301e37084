//! Whether the target is there and has room, before the first write.

use std::path::Path;

use kopia_rs::Entry;

use super::ending::Ending;
use super::journal::Journal;
use super::sentence::{Sentence, Trouble};
use crate::diagnosis::place::{Contents, Place, State};
use crate::diagnosis::space::{self, Needs, Room};
use crate::diagnosis::{Finding, Voice};
use crate::output::size;

/// Makes sure that the target is a folder that is there: what is mounted there is not made by us.
pub(crate) fn is_there(target: &Path) -> Result<Place, Trouble> {
    let place = Place::look(target);
    let why = match place.state {
        State::Folder => return Ok(place),
        State::Missing => "does not exist".into(),
        State::Other(what) => format!("is a {what}, not a folder"),
        State::Refused => "may not be looked at".into(),
        State::Unknown => "cannot be looked at".into(),
    };
    Err(Trouble::new(
        format!("the data directory {} {why}", target.display()),
        "mount the volume there and set DATA_DIR to it",
    ))
}

/// Compares what is needed with what is free. What a volume holds already may be what is restored, so only an empty one can be
/// certain to be too small.
pub(crate) fn check(target: &Place, root: &Entry, sparse: bool, journal: &Journal) -> Result<(), Ending> {
    if let Some(room) = Room::of(&target.given) {
        journal.info(&format!("the target has {} free", size(room.free_bytes)));
    }
    let is_certain = target.contents == Contents::Nothing && !sparse && space::is_plain(target);
    for finding in space::target(&target.given, Needs::of(root)) {
        match finding {
            Finding::ReadOnlyTarget { .. } => {
                return Err(Ending::failed(Sentence::of(&finding)));
            }
            Finding::NoSpace { certain: true, .. } | Finding::NoFiles { .. } if is_certain => {
                return Err(Ending::failed(Sentence::of(&finding)));
            }
            Finding::NoSpace { .. } | Finding::NoFiles { .. } if target.contents != Contents::Nothing => {
                journal.warn(&finding.sentence(Voice::Pod));
                journal.info(
                    "what is right already takes no room; where room is short, each file replaces the older one as soon as \
                     it is whole",
                );
            }
            // Whether it refuses is found by writing; capabilities and servers may say otherwise.
            _ => journal.warn(&finding.sentence(Voice::Pod)),
        }
    }
    Ok(())
}

/// Says who may write to a target that refused us, if that can be told.
pub(crate) fn refused(target: &Path) -> Option<Sentence> {
    let findings = space::target(target, None);
    let refused = findings.iter().find(|finding| matches!(finding, Finding::TargetRefused(_)));
    refused.map(Sentence::of)
}
