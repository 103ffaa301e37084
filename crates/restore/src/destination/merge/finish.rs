//! Directories in their final place get their attributes.
//!
//! What is put into a directory changes its time, and one that is closed takes nothing more: so each gets its own once
//! all that was to be moved into it is there, and the target itself after the staging directory has gone from it. A
//! directory that somebody has put in the place of one that was moved is left alone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::fs::Mode;

use super::super::directory::Directory;
use super::super::{Identity, look, open_directory, open_to_change};
use super::{Merge, Publisher};
use crate::outcome::Unset;
use crate::reason::{Operation, Reason};

impl Publisher<'_> {
    /// Sets the attributes of a directory that the target had, but for the target itself.
    pub(super) fn finish(
        &mut self,
        directory: &Arc<Directory>,
        destination: BorrowedFd<'_>,
    ) -> Result<(), Reason> {
        if directory.parent.is_none() {
            return Ok(());
        }
        if self.metadata.preserves_permissions()
            && let Some(found) = directory.found()
        {
            // It may have been opened up.
            let _ = rustix::fs::fchmod(destination, Mode::from_raw_mode(found.st_mode & 0o7777));
        }
        let unset = self.metadata.finish_existing(destination, &directory.attributes).map_err(attributes)?;
        self.tally.unset(unset, || directory.path_of(""));
        self.note_changed(directory, destination);
        Ok(())
    }

    /// Sets the attributes of the target directory itself, after the staging directory is gone from it.
    pub(crate) fn finish_root(&mut self, merge: &Merge) {
        let Some(root) = merge.existing.first() else { return };
        let directory = self.target.directory.as_fd();
        if !self.root_attributes || self.metadata.preserves_permissions() {
            self.target.settle_mode();
        }
        if !self.root_attributes {
            return;
        }
        match self.metadata.finish_existing(directory, &root.attributes) {
            Ok(unset) => {
                self.tally.unset(unset, || root.path_of(""));
                self.note_changed(root, directory);
            }
            Err(error) => self.tally.problem(root.path_of(""), attributes(error)),
        }
    }

    /// Sets the attributes of a directory in its final place.
    pub(super) fn finish_moved(
        &mut self,
        parent: BorrowedFd<'_>,
        directory: &Arc<Directory>,
    ) -> Result<(), Reason> {
        let Some(identity) = directory.identity() else { return Ok(()) };
        let name = directory.name();
        let is_refused = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let mut handle = open_directory(parent, name);
        // One that got to its place before the end has its attributes already, and may be closed by them.
        if handle.as_ref().is_err_and(is_refused)
            && let Ok(Some(stat)) = look(parent, name)
            && Identity::from(&stat) == identity
        {
            handle = open_to_change(parent, name.as_bytes());
            // It may be another user's by now. What it lacks then nobody could set.
            if handle.as_ref().is_err_and(is_refused) {
                let wanted = self.metadata.staged(&directory.attributes, &stat);
                self.tally.unset(Unset::of(&stat, &wanted), || directory.path_of(""));
                return Ok(());
            }
        }
        let handle = handle.map_err(attributes)?;
        if Identity::of(&handle).map_err(attributes)? != identity {
            return Err(Reason::Replaced);
        }
        let unset = self.metadata.finish_staged(handle.as_fd(), directory).map_err(attributes)?;
        self.tally.unset(unset, || directory.path_of(""));
        Ok(())
    }
}

/// Returns why a directory does not get its attributes.
pub(super) fn attributes(error: io::Error) -> Reason {
    Reason::of(Operation::SetAttributes, error)
}
