//! Restores snapshots of Kopia repositories, planned by pack and written in parallel.
//!
//! A planner walks the snapshot's directories and gathers batches of some thousand files; contents of a batch
//! are sorted by pack and offset, so that each is read and decoded once, wherever it is needed; workers write
//! small files whole and large ones in pieces. Everything is written below one directory in the target and
//! moved to its final name at the end, or as soon as it is whole where room is short (`plan::room`), so
//! nothing is ever visible with wrong content. This crate decodes nothing itself (`kopia-repository` does)
//! and is the only one that writes to the local system.
//!
//! The planner only looks: at the snapshot, at the target, and at what an interrupted restore left. `decide`
//! says what happens to each entry, for the planner and the dry run alike. What has to be done (writing,
//! finishing, removing what is in the way) goes to the workers with the batch, so a [`Plan`] without a target
//! can add up what would be read.
//!
//! What is there already, in the target or left by a restore that was killed, is compared by hash before it
//! is read from the repository: `plan::checks` are handed out like reads, and what is wrong comes back to the
//! planner.
//!
//! The way of a file: [`Plan`] → `plan` (entry → extents → locations → steps) → the repository's `contents`
//! (read, ahead where that takes long, and decode) → `execute` (write) → `destination` (handles, attributes,
//! final name).

mod decide;
mod destination;
mod device;
mod error;
mod execute;
mod kept;
mod lock;
mod observer;
mod on_panic;
mod open_files;
mod options;
mod outcome;
mod plan;
mod preview;
mod reason;
mod restore;
mod shard;
mod space;
mod tally;
#[cfg(test)]
mod testing;

pub use destination::close as close_checked;
pub use destination::folding::{FoldedNames, folded_names};
pub use destination::outside::is_outside;
pub use device::{
    Access, Device, DeviceOptions, DeviceOutcome, FilesFound, LostRange, Signature, only_file,
    restore_to_device, size_on_device, true_size,
};
pub use error::{Error, Result};
pub use kept::{KeptFolder, KeptState, Preceding, Undone, all_kept, find_kept};
pub use observer::Observer;
pub use options::{Durability, Existing, Options, PageCache};
pub use outcome::{Attribute, Notes, Outcome, Problem, Salvaged};
pub use plan::figures::Figures;
pub use preview::{Action, Change, Preview, compare, preview};
pub use reason::{NameHolder, NotDeleted, Operation, Reason, SystemError, Unfit};
pub use restore::{Plan, restore, restore_observed};
pub use shard::Portion;
