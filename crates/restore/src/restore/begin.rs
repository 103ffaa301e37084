//! What comes before a restore can work: the staging directory, and what shards have left beside it.
//!
//! Nothing that the target has is changed yet, but for its own mode if it is closed to its owner, and what other
//! restores have left unfinished in it, which is removed. Where a restore of the whole or a finish cannot begin, the
//! target is otherwise left as it was; a shard leaves the staging directory, which others may use already.

use kopia_repository::Entry;

use crate::destination::markers::{self, DoneMarkers};
use crate::destination::metadata::probe::ProbedDefaults;
use crate::destination::staging::Staging;
use crate::destination::target::Target;
use crate::preview;
use crate::shard::Incomplete;
use crate::{Error, Options, Portion, Result};

/// What a restore needs before it can work.
pub(super) struct Begun {
    pub(super) staging: Staging,
    pub(super) lock: Option<markers::Lock>,
    pub(super) incomplete: Incomplete,
    /// Whether a finish found that there is nothing to be finished any more.
    pub(super) already_finished: bool,
}

/// Opens the staging directory, and looks at what shards have left beside it.
pub(super) fn begin(entry: &Entry, target: &Target, options: &Options) -> Result<Begun> {
    let open = || Staging::open(target, entry.object(), options);
    let staging = open().inspect_err(|_| target.remove_new())?;
    target.open_up_if_closed();
    if options.portion == Portion::Whole {
        // Once more when all is there that belongs to a restore.
        target.settle_time();
    }
    let mut begun = Begun { staging, lock: None, incomplete: Incomplete::default(), already_finished: false };
    match options.portion {
        Portion::Whole => {}
        Portion::Shard(shard) => {
            begun.lock = Some(markers::Lock::take(target, &begun.staging, shard)?);
            markers::remove_done_marker(target, &begun.staging, shard)?;
        }
        Portion::Finish(of) => match markers::read_done_markers(target, &begun.staging, of) {
            Ok(DoneMarkers { incomplete, mode }) => {
                target.set_mode_after(mode);
                begun.incomplete = incomplete;
            }
            // The last that a finish takes away is the markers, and it may be killed before it can say that
            // it is through.
            Err(Error::Shards { .. }) if preview::is_there(entry, &target.path, options).unwrap_or(false) => {
                begun.already_finished = true;
                if begun.staging.is_left() {
                    // Shards that ran once more wrote what nobody needs.
                    begun.staging.remove(target)?;
                    begun.staging = open()?;
                }
            }
            Err(error) => {
                give_up(target, &begun.staging);
                return Err(error);
            }
        },
    }
    Ok(begun)
}

/// Leaves a target as it was where nothing was done in it: one that is new is removed, though not what was missing on
/// the way to it.
pub(super) fn give_up(target: &Target, staging: &Staging) {
    if let Ok(defaults) = ProbedDefaults::probe(staging.handle()) {
        target.set_usual_mode(defaults.directory_mode());
    }
    staging.remove_new(target);
    if !staging.is_left() {
        target.settle_mode();
        target.settle_time();
    }
    target.remove_new();
}
