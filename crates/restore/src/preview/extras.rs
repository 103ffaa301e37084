//! What would be deleted: decided at the end, because nothing is where not all of the snapshot can be
//! restored.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kopia_repository::Entry;
use rustix::io::Errno;

use super::walk::{DryRun, is_ours};
use super::{Action, Change};
use crate::decide::extras::DirNames;
use crate::destination::remove::{Kept, Spared, would_keep};
use crate::destination::{look, open_directory};
use crate::reason::{NotDeleted, Operation, Reason};

/// What would be deleted, as far as all of the snapshot can be restored.
#[derive(Default)]
pub(super) struct Extras {
    directories: Vec<Directory>,
    pub(super) in_the_way: Vec<InTheWay>,
    /// Problems with what the snapshot does not have.
    pub(super) problems: u64,
}

/// What one directory of the target has and the snapshot has not.
struct Directory {
    path: String,
    /// Whether another restore is at work in it, or in one that it lies in.
    in_use: bool,
    /// Whether it refuses this process.
    is_closed: bool,
    /// Paths, and what stays of each, or why that cannot be known.
    extras: Vec<(String, io::Result<Kept>)>,
}

/// A directory where a file or link is to be.
pub(super) struct InTheWay {
    path: String,
    entry: Entry,
    is_empty: bool,
    kept: io::Result<Kept>,
}

impl Extras {
    /// Notes what a directory has too much.
    pub(super) fn add(
        &mut self,
        (directory, spared): (BorrowedFd<'_>, Option<Spared<'_>>),
        path: String,
        (in_use, is_closed, keeps): (bool, bool, bool),
        names: Vec<Box<[u8]>>,
        path_of: impl Fn(&str) -> String,
    ) {
        if names.is_empty() {
            return;
        }
        let kept =
            |name: &[u8]| if in_use { Ok(Kept::default()) } else { would_keep(directory, name, spared) };
        let extra = |name: Box<[u8]>| {
            let kept = match kept(&name) {
                // Its owner gives itself the right to delete it; only what is kept is looked at first.
                Err(error) if !keeps && is_closed_and_ours(directory, &name, &error) => Ok(Kept::default()),
                kept => kept.map(|kept| below(&path, kept)),
            };
            (path_of(&String::from_utf8_lossy(&name)), kept)
        };
        let extras = names.into_iter().map(extra).collect();
        self.directories.push(Directory { path, in_use, is_closed, extras });
    }
}

impl InTheWay {
    /// Looks at a directory that would have to go before a file or link of its name is restored.
    pub(super) fn look(
        parent: &OwnedFd,
        name: &str,
        directory: &str,
        spared: Option<Spared<'_>>,
        (path, entry): (String, &Entry),
    ) -> Self {
        let kept = would_keep(parent.as_fd(), name.as_bytes(), spared).map(|kept| below(directory, kept));
        let is_empty = is_empty(parent, name);
        Self { path, entry: entry.clone(), is_empty, kept }
    }
}

/// Returns whether an entry could not be looked at because its owner, this process, has not the right.
fn is_closed_and_ours(parent: BorrowedFd<'_>, name: &[u8], error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
        && look(parent, name).is_ok_and(|stat| stat.is_some_and(|stat| is_ours(&stat)))
}

/// Returns whether a directory has nothing in it.
pub(super) fn is_empty(parent: &OwnedFd, name: &str) -> bool {
    let names = open_directory(parent.as_fd(), name).and_then(|directory| DirNames::read(directory.as_fd()));
    names.is_ok_and(|names| names.is_empty())
}

/// Puts the path of the directory before paths that begin in it.
fn below(directory: &str, kept: Kept) -> Kept {
    let whole = |path: String| if directory.is_empty() { path } else { format!("{directory}/{path}") };
    Kept {
        mounts: kept.mounts.into_iter().map(whole).collect(),
        restores: kept.restores.into_iter().map(whole).collect(),
        not_chosen: kept.not_chosen,
    }
}

impl<V: FnMut(&Change)> DryRun<'_, V> {
    /// Decides what would be deleted, as the restore does once everything else is in its place.
    pub(super) fn settle(&mut self, extras: Extras) {
        let Extras { directories, in_the_way, problems } = extras;
        let is_whole = self.is_whole(problems);
        for InTheWay { path, entry, is_empty, kept } in in_the_way {
            let kept = match kept {
                Err(error) if is_whole => {
                    self.problem(path, Reason::of(Operation::Move, error));
                    continue;
                }
                kept => kept.unwrap_or_default(),
            };
            if is_whole && kept.is_nothing() {
                self.deleted(path.clone());
                self.written(path, Action::Write, &entry, 0);
            } else if !is_whole && is_empty && kept.is_nothing() {
                self.written(path, Action::Replace, &entry, 0);
            } else {
                if is_whole {
                    self.note_kept(kept);
                }
                self.problem(path, Reason::NotEmpty);
            }
        }
        let is_whole = self.is_whole(problems);
        for Directory { path, in_use, is_closed, extras } in directories {
            match (is_whole, in_use) {
                (false, _) => self.preview.extras_kept += extras.len() as u64,
                (true, true) => self.preview.restores_kept.push(path),
                (true, false) if is_closed => {
                    let reason = || NotDeleted::failed(Errno::ACCESS.into());
                    extras.into_iter().for_each(|(path, _)| self.extra_problem(path, reason()));
                }
                (true, false) => {
                    for (path, kept) in extras {
                        match kept {
                            Ok(kept) => {
                                if kept.is_nothing() {
                                    self.deleted(path);
                                }
                                self.note_kept(kept);
                            }
                            Err(error) => self.extra_problem(path, NotDeleted::failed(error)),
                        }
                    }
                }
            }
        }
        self.preview.mounts_kept.sort_unstable();
        self.preview.restores_kept.sort_unstable();
    }

    fn note_kept(&mut self, kept: Kept) {
        self.preview.mounts_kept.extend(kept.mounts);
        self.preview.restores_kept.extend(kept.restores);
    }
}
