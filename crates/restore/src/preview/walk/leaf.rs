//! Decides about one file or link.

use std::os::fd::OwnedFd;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use super::compare::{COMPARED, Waiting};
use super::foresee::refused;
use super::{DryRun, WalkedDir};
use crate::decide::existing::{Candidates, ExistingPolicy};
use crate::destination::is_directory;
use crate::destination::naming::Made;
use crate::preview::extras::{InTheWay, is_empty};
use crate::preview::{Action, Change};
use crate::reason::Reason;

impl<V: FnMut(&Change)> DryRun<'_, V> {
    /// Decides about a file or link that gets this name; what only its bytes can tell waits to be compared.
    pub(super) fn leaf(&mut self, directory: &WalkedDir, name: &[u8], entry: &Entry) {
        let shown = String::from_utf8_lossy(name);
        let path = directory.path_of(&shown);
        let found = match directory.attached.look(name) {
            Ok(found) => found,
            Err(error) => return self.problem(path, error.into()),
        };
        let candidates = Candidates::of(found.as_ref(), entry, self.options, self.creator);
        let frees = candidates.frees.unwrap_or(0);
        match (candidates.existing, &directory.attached.handle) {
            (None, _) | (_, None) => {
                let made = if entry.kind() == EntryKind::Symlink { Made::Symlink } else { Made::File };
                match self.foresee_refusal(directory, made, name) {
                    Some(reason) => self.problem(path, reason),
                    None => self.written(path, Action::Write, entry, 0),
                }
            }
            (Some(ExistingPolicy::Replace), Some(parent)) if found.as_ref().is_some_and(is_directory) => {
                // It is the snapshot's: what the caller names goes into a directory of that name.
                self.instead_of_directory(directory, parent, &shown, path, entry);
            }
            (Some(ExistingPolicy::Replace), _) => match directory.attached.foresee_in_place(name) {
                Some(reason) => self.problem(path, reason),
                None => self.written(path, Action::Replace, entry, frees),
            },
            (Some(ExistingPolicy::Refuse), _) => self.problem(path, Reason::Exists),
            (Some(ExistingPolicy::Trust { .. }), _) => self.kept(path, entry),
            (Some(ExistingPolicy::Leave), _) => self.left_as_new(path, entry),
            (Some(ExistingPolicy::Compare), Some(handle)) => {
                let (trail, is_closed) = (directory.trail.clone(), directory.attached.is_closed);
                let (entry, name, directory) = (entry.clone(), name.to_vec(), handle.clone());
                self.waiting.push(Waiting { entry, name, trail, directory, is_closed, frees });
                if self.waiting.len() >= COMPARED {
                    self.compare();
                }
            }
        }
    }

    /// Decides about a file or link where the target has a directory: an empty one is replaced, any other
    /// goes only where extras do.
    fn instead_of_directory(
        &mut self,
        directory: &WalkedDir,
        parent: &OwnedFd,
        name: &str,
        path: String,
        entry: &Entry,
    ) {
        if directory.attached.is_closed {
            return self.problem(path, refused());
        }
        if self.options.delete_extra {
            let spared = self.spared(directory);
            let way = InTheWay::look(parent, name, &directory.path_of(""), spared, (path, entry));
            return self.extras.in_the_way.push(way);
        }
        if !is_empty(parent, name) {
            self.problem(path, Reason::NotEmpty);
        } else if let Some(reason) = directory.attached.foresee_in_place(name.as_bytes()) {
            self.problem(path, reason);
        } else {
            self.written(path, Action::Replace, entry, 0);
        }
    }
}
