//! Removes what an interrupted restore left, and what the snapshot does not have, without following anything.
//!
//! Here is what may go for whom, and what is told of what stays; how a tree is gone through is in `walk`.

mod walk;

use std::io;
use std::os::fd::BorrowedFd;

use kopia_repository::choice::{Chosen, Scope};
use rustix::fs::Stat;

use super::Identity;
use walk::{Manner, walk, walk_with};

/// What stays of a tree that is removed: paths that begin with the name of the tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where something is mounted, or a subvolume begins.
    pub(crate) mounts: Vec<String>,
    /// Directories that another restore is at work in, or in which one keeps what it replaced.
    pub(crate) restores: Vec<String>,
    /// How many entries are not chosen, directories with all below them.
    pub(crate) not_chosen: u64,
}

/// What stays because it is not chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spared<'a> {
    pub(crate) chosen: &'a Chosen,
    /// What is chosen in the directory that the tree lies in.
    pub(crate) scope: &'a Scope,
}

impl Spared<'_> {
    /// Returns what is chosen below an entry; nothing if it is not chosen itself.
    pub(crate) fn below(self, name: &[u8], is_directory: bool) -> Option<Scope> {
        self.chosen.take(self.scope, &String::from_utf8_lossy(name), is_directory)
    }
}

impl Kept {
    /// Returns whether all of the tree goes.
    pub(crate) fn is_nothing(&self) -> bool {
        self.mounts.is_empty() && self.restores.is_empty() && self.not_chosen == 0
    }
}

/// Removes an entry and, if it is a directory, all below it but what is mounted there; where an identity is
/// given, only the directory of that identity.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &[u8], wanted: Option<Identity>) -> io::Result<Kept> {
    walk(parent, name, wanted, Manner { removes: true, spares_restores: false }, None)
}

/// Removes what the snapshot does not have.
///
/// What is mounted there stays, what another restore is at work on or keeps, and what is not chosen.
pub(crate) fn remove_extra(
    parent: BorrowedFd<'_>,
    name: &[u8],
    spared: Option<Spared<'_>>,
) -> io::Result<Kept> {
    walk(parent, name, None, Manner { removes: true, spares_restores: true }, spared)
}

/// Decides about an entry that is no directory, by the directory that it lies in, its name there, what the
/// system says of it, and its path from the name of the tree on; returns whether it is moved away, and not to
/// be removed.
pub(crate) type MoveAway<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, &[u8], &Stat, &[u8]) -> io::Result<bool>;

/// Removes a directory that a restore made, but for what is to be spared, and moved away, in it.
pub(crate) fn remove_made(parent: BorrowedFd<'_>, name: &[u8], moves: MoveAway<'_>) -> io::Result<Kept> {
    walk_with(parent, name, None, Manner { removes: true, spares_restores: false }, (None, Some(moves)))
}

/// Finds out what [`remove_extra`] would keep.
pub(crate) fn would_keep(
    parent: BorrowedFd<'_>,
    name: &[u8],
    spared: Option<Spared<'_>>,
) -> io::Result<Kept> {
    walk(parent, name, None, Manner { removes: false, spares_restores: true }, spared)
}

#[cfg(test)]
mod tests;
