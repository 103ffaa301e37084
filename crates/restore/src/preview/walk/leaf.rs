//! Decides about one file or link.

use std::os::fd::{AsFd, OwnedFd};

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use super::compare::{COMPARED, Waiting};
use super::foresee::refused;
use super::{Place, Walk};
use crate::decide::existing::{Old, freed_bytes};
use crate::destination::merge::full_folder;
use crate::destination::naming::Made;
use crate::destination::{is_folder, look};
use crate::outcome::Cause;
use crate::preview::extras::is_empty;
use crate::preview::{Action, Change};

impl<V: FnMut(&Change)> Walk<'_, V> {
    pub(super) fn leaf(&mut self, place: &Place, name: &str, entry: &Entry) {
        let path = place.path_of(name);
        let handle = place.handle.as_ref();
        let found = handle.and_then(|handle| Some((handle, look(handle.as_fd(), name).ok()??)));
        let Some((folder, stat)) = found else {
            let made = if entry.kind() == EntryKind::Symlink { Made::Symlink } else { Made::File };
            return match self.foresee_refusal(place, made, name) {
                Some(cause) => self.problem(path, cause),
                None => self.written(path, Action::Write, entry, 0),
            };
        };
        let frees = if is_folder(&stat) { 0 } else { freed_bytes(&stat) };
        match Old::decide(&stat, entry, self.options, self.creator) {
            Old::Replace if is_folder(&stat) => self.instead_of_folder(place, folder, name, path, entry),
            Old::Replace => match place.foresee_in_place(name) {
                Some(cause) => self.problem(path, cause),
                None => self.written(path, Action::Replace, entry, frees),
            },
            Old::Refuse => self.problem(path, Cause::Exists),
            Old::Trust { .. } => self.kept(path, entry),
            Old::Compare => {
                let (entry, name, folder) = (entry.clone(), name.to_string(), folder.clone());
                let (trail, is_closed) = (place.trail.clone(), place.is_closed);
                self.waiting.push(Waiting { entry, name, trail, folder, is_closed, frees });
                if self.waiting.len() >= COMPARED {
                    self.compare();
                }
            }
        }
    }

    /// A folder is where a file or link is to be: an empty one is replaced, any other goes only where extras do.
    fn instead_of_folder(
        &mut self,
        place: &Place,
        parent: &OwnedFd,
        name: &str,
        path: String,
        entry: &Entry,
    ) {
        if place.is_closed {
            return self.problem(path, refused());
        }
        if self.options.delete_extra {
            return self.extras.add_in_the_way(parent, name, &place.path_of(""), path, entry);
        }
        if !is_empty(parent, name) {
            self.problem(path, full_folder());
        } else if let Some(cause) = place.foresee_in_place(name) {
            self.problem(path, cause);
        } else {
            self.written(path, Action::Replace, entry, 0);
        }
    }
}
