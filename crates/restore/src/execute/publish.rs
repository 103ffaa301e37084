//! Putting finished entries into their place before the end, because they free what they replace.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::{AtFlags, Stat};
use rustix::io::Errno;

use super::Worker;
use crate::Durability;
use crate::destination::directory::Directory;
use crate::destination::metadata::{is_overtaken, put_time_back};
use crate::destination::{is_directory, look};
use crate::plan::room::Finished;

/// How many entries are moved into a directory until it has its time again. Setting it for each costs two more
/// requests to a server for each.
const AT_ONCE: usize = 64;

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
        let (mut count, mut filled) = (0, None);
        for finished in finished {
            let done = match &finished {
                Finished::Entry { directory, name } => {
                    self.publish_entry(directory, name, &mut filled).inspect(|()| count += 1)
                }
                Finished::Moved(directory) => {
                    self.publish_directory(directory, &mut filled).inspect(|()| count += 1)
                }
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

    fn publish_entry(
        &mut self,
        directory: &Arc<Directory>,
        name: &[u8],
        filled: &mut Option<Filled>,
    ) -> io::Result<()> {
        let staged = self.handles.open(directory)?;
        let existing = self.in_target.open(self.shared.target.directory.as_fd(), directory)?;
        if filled.as_mut().is_none_or(|filled| !filled.takes(directory)) {
            // It may be the same, which is looked at once it has its time again.
            *filled = None;
            *filled = Some(Filled::new(directory.clone(), existing.clone())?);
        }
        replace(staged.as_fd(), existing.as_fd(), name, self.shared.options.newer)?;
        directory.one_published();
        Ok(())
    }

    /// Puts a directory into its place and gives it its attributes: the end may be far, and were the restore
    /// killed until then, it would pass for one that the target has, with a mode and time of its own.
    fn publish_directory(
        &mut self,
        directory: &Arc<Directory>,
        filled: &mut Option<Filled>,
    ) -> io::Result<()> {
        let Some(parent) = &directory.parent else { return Ok(()) };
        let staged = self.handles.open(directory)?;
        self.publish_entry(parent, directory.name().as_bytes(), filled)?;
        self.handles.forget(directory);
        // They are set once more at the end, which says what cannot be.
        if let Err(error) = self.metadata.finish_staged(staged.as_fd(), directory) {
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

/// A directory of the target that entries are moved into. It gets back the time that it had before when this is
/// dropped: the end may be far, and were the restore killed until then, it would pass for newer than the snapshot's.
struct Filled {
    directory: Arc<Directory>,
    handle: Rc<OwnedFd>,
    before: Stat,
    /// How many more entries it takes.
    left: usize,
}

impl Filled {
    fn new(directory: Arc<Directory>, handle: Rc<OwnedFd>) -> io::Result<Self> {
        let before = rustix::fs::fstat(&*handle)?;
        Ok(Self { directory, handle, before, left: AT_ONCE - 1 })
    }

    /// Returns whether it takes one more entry, which is one of this directory.
    fn takes(&mut self, directory: &Arc<Directory>) -> bool {
        let takes = self.left > 0 && Arc::ptr_eq(&self.directory, directory);
        self.left -= usize::from(takes);
        takes
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        put_time_back(&*self.handle, &self.before);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use kopia_repository::Trail;

    use super::*;
    use crate::destination::leftover::Leftover;
    use crate::destination::metadata::Attributes;

    #[test]
    fn a_directory_gets_its_time_back_once_for_many_entries() {
        let place = tempfile::tempdir().unwrap();
        let new = || Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing);
        let (directory, other) = (new(), new());
        let modified = || fs::metadata(place.path()).unwrap().modified().unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 5);
        let handle = fs::File::open(place.path()).unwrap();
        handle.set_modified(then).unwrap();
        let mut filled = Filled::new(directory.clone(), Rc::new(handle.into())).unwrap();
        assert!(!filled.takes(&other));
        for number in 0..AT_ONCE {
            fs::write(place.path().join(number.to_string()), b"").unwrap();
            assert_ne!(modified(), then);
            assert_eq!(filled.takes(&directory), number + 1 < AT_ONCE, "{number}");
        }
        drop(filled);
        assert_eq!(modified(), then);
    }
}
