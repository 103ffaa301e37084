//! Putting finished entries into their place before the end, because they free what they replace.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::Worker;
use crate::Durability;
use crate::destination::directory::Directory;
use crate::destination::metadata::{is_overtaken, put_time_back};
use crate::destination::{is_directory, look};
use crate::plan::room::Finished;

impl Worker<'_> {
    /// Puts finished entries into their place. What cannot stays staged, and the end says why.
    ///
    /// Nothing may be under way. What is forced to disk before entries get their names at the end is forced
    /// here as well.
    pub(super) fn publish(&mut self) {
        let finished = self.shared.room.take_finished();
        let has_entries = finished.iter().any(|finished| !matches!(finished, Finished::Directory(_)));
        if has_entries
            && self.shared.options.sync == Durability::Filesystem
            && let Err(error) = self.shared.target.sync()
        {
            self.shared.give_up(error);
            return;
        }
        let mut count = 0;
        for finished in finished {
            let done = match &finished {
                Finished::Entry { directory, name } => {
                    self.publish_entry(directory, name).inspect(|()| count += 1)
                }
                Finished::Moved(directory) => self.publish_directory(directory).inspect(|()| count += 1),
                Finished::Directory(directory) => self.remove_emptied(directory),
            };
            if let Err(error) = done {
                tracing::debug!(%error, ?finished, "left for the end");
            }
        }
        self.shared.room.note_published(count);
    }

    /// Has the file system free what was replaced, which some do late.
    ///
    /// The tag of the unfinished directory goes as well.
    pub(super) fn flush(&self) {
        self.shared.staging.untag();
        if let Err(error) = rustix::fs::syncfs(&self.shared.target.directory) {
            tracing::debug!(%error, "what was replaced may not be free yet");
        }
    }

    fn publish_entry(&mut self, directory: &Arc<Directory>, name: &[u8]) -> io::Result<()> {
        let staged = self.handles.open(directory)?;
        let existing = self.in_target.open(self.shared.target.directory.as_fd(), directory)?;
        let before = rustix::fs::fstat(&*existing)?;
        let replaced = replace(staged.as_fd(), existing.as_fd(), name, self.shared.options.newer);
        // The end may be far, and were the restore killed until then, it would pass for newer than the snapshot's.
        put_time_back(&*existing, &before);
        replaced?;
        directory.one_published();
        Ok(())
    }

    /// Puts a directory into its place and gives it its attributes: the end may be far, and were the restore
    /// killed until then, it would pass for one that the target has, with a mode and time of its own.
    fn publish_directory(&mut self, directory: &Arc<Directory>) -> io::Result<()> {
        let Some(parent) = &directory.parent else { return Ok(()) };
        let staged = self.handles.open(directory)?;
        self.publish_entry(parent, directory.name().as_bytes())?;
        self.handles.forget(directory);
        // They are set once more at the end, which says what cannot be.
        if let Err(error) = self.metadata.finish_directory(staged.as_fd(), &directory.attributes) {
            tracing::debug!(%error, directory = directory.path_of(""), "its attributes are left for the end");
        }
        Ok(())
    }

    /// Removes the staged counterpart of a directory if nothing is left in it.
    fn remove_emptied(&mut self, directory: &Arc<Directory>) -> io::Result<()> {
        let Some(parent) = directory.parent.as_ref().filter(|_| directory.staged() == 0) else {
            return Ok(());
        };
        let parent = self.handles.open(parent)?;
        self.handles.forget(directory);
        match rustix::fs::unlinkat(&*parent, directory.name(), AtFlags::REMOVEDIR) {
            Ok(()) => {
                directory.set_removed();
                Ok(())
            }
            // Something in it waits for the end.
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Replaces a file or link by what is finished, in one step unless that is a directory. A directory is
/// replaced at the end only, and with `newer` what was changed meanwhile is left to it.
fn replace(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &[u8], newer: bool) -> io::Result<()> {
    if let Some(there) = look(to, name)? {
        if is_directory(&there) {
            return Err(Errno::ISDIR.into());
        }
        if let Some(staged) = look(from, name)? {
            if newer && is_overtaken(&staged, &there) {
                return Err(Errno::EXIST.into());
            }
            if is_directory(&staged) {
                rustix::fs::unlinkat(to, name, AtFlags::empty())?;
            }
        }
    }
    Ok(rustix::fs::renameat(from, name, to, name)?)
}
