//! What a restore replaced and deleted, kept until it is put back or forgotten.
//!
//! With [`Options::keep_replaced`](crate::Options::keep_replaced) nothing that the target had is lost. Before
//! anything is changed, a line in a journal says what will be, and the journal is forced to disk; then what is in
//! the way is moved into a folder beside the target, on the same file system, open to its owner alone:
//!
//! | in `.kopia-rs-undo-…` | what |
//! |---|---|
//! | `journal` | a line for each change, see [`record`] |
//! | `kept/` | what was replaced or deleted, `NUMBER-NAME` |
//! | `aside/` | what had been changed after the restore when that was undone, by its path |
//! | `target` | a new directory for a target that is gone, until an undo moves it there |
//! | `own` | a file that an undo makes and removes, to find out which attributes files get here |
//!
//! [`KeptFolder::undo`] goes through the journal from its end to its beginning. Each step finds out by inodes
//! what of it was done, so a restore or an undo that was killed anywhere can be undone, and one that was undone
//! in part can be undone again. The next restore of the same into the same target goes on in the folder of one
//! that was killed.

mod aside;
mod find;
mod folder;
mod journal;
mod keeping;
mod names;
mod ownership;
mod record;
mod sweep;
mod undo;
mod unusable;

pub(crate) use aside::is_empty;
pub use find::{all_kept, find_kept};
pub use folder::{KeptFolder, KeptState};
pub(crate) use keeping::{Change, Keeping, Noted, Slot, path_in};
pub use undo::Undone;
pub use unusable::Preceding;

/// What the names of folders begin with that keep what was replaced.
pub(crate) const PREFIX: &str = ".kopia-rs-undo-";

/// Returns whether something has the name of such a folder, also where upper and lower case are one.
pub(crate) fn is_kept_name(name: &str) -> bool {
    let start = name.as_bytes().get(..PREFIX.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()))
}

/// The names in such a folder.
const JOURNAL: &str = "journal";
const KEPT: &str = "kept";
const ASIDE: &str = "aside";
const MADE: &str = "target";
const OWN: &str = "own";
