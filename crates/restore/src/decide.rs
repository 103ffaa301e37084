//! Decides what happens to each entry, from the snapshot and from what the target has.
//!
//! The planner and the dry run both ask here, so they come to the same end. Directories are listed and
//! entries looked at (`readdir`, `fstatat`); nothing is ever changed.

pub(crate) mod directory;
pub(crate) mod existing;
pub(crate) mod extra_names;
pub(crate) mod extras;
pub(crate) mod leftovers;
pub(crate) mod present;

use kopia_format::directory::EntryKind;
use rustix::fs::FileType;

fn file_type(kind: EntryKind) -> FileType {
    match kind {
        EntryKind::Directory => FileType::Directory,
        EntryKind::File => FileType::RegularFile,
        EntryKind::Symlink => FileType::Symlink,
    }
}
