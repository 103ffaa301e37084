//! The restore's side: what is in the way is moved into the folder, once the journal says so.
//!
//! Here it notes, moves and ends. How it begins, with a folder that is made or taken up, is in `begin`.

mod begin;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::fs::{AtFlags, Mode, Stat};
use rustix::io::Errno;

use super::KEPT;
use super::aside::move_entry;
use super::journal::Journal;
use super::names::stored;
use super::record::{Found, Moment, Put, Record};
use super::sweep::remove_empty;
use crate::destination::directory::Directory;
use crate::destination::lockable::Lockable;
use crate::destination::metadata::put_time_back;
use crate::destination::open_to_change;
use crate::lock;

/// A folder that a restore moves into what is in its way.
#[derive(Debug)]
pub(crate) struct Keeping {
    path: PathBuf,
    /// The directory that it lies in, and its name there.
    parent: OwnedFd,
    name: String,
    /// Whether that directory is the target, which has the mode already that it is to have when this is dropped.
    in_target: bool,
    /// Held because it is locked.
    folder: Lockable,
    store: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    journal: Journal,
    /// The number that the next gets that is kept.
    next: u64,
    /// Whether the journal has anything that is to be undone.
    changes: bool,
    /// Whether directories are opened up, until the restore comes to its end.
    opens: bool,
    /// Whether something is noted of these that is not known to be on disk.
    unsynced: bool,
    /// Whether the restore made the target, which is to go again.
    new: bool,
}

impl State {
    fn new(journal: Journal, next: u64, changes: bool, new: bool) -> Self {
        Self { journal, next, changes, opens: false, unsynced: false, new }
    }
}

/// A file or link that is about to get other attributes.
pub(crate) struct Noted {
    pub(crate) path: Vec<u8>,
    /// What it is like.
    pub(crate) found: Stat,
    /// The time that it gets: seconds and nanoseconds.
    pub(crate) then: (i64, u32),
}

/// A place for something that is in the way.
#[derive(Debug, Clone)]
pub(crate) struct Slot(String);

/// What is about to happen at a path.
pub(crate) struct Change {
    pub(crate) path: Vec<u8>,
    /// What is there, and is to be moved away.
    pub(crate) there: Option<Stat>,
    /// What is to be moved there.
    pub(crate) put: Option<Stat>,
}

impl Keeping {
    /// Notes what a directory was like that is about to be changed, without forcing that to disk.
    pub(crate) fn directory(&self, path: Vec<u8>, found: &Stat) -> io::Result<()> {
        self.state().journal.record(&Record::Directory { found: Found::of(found), path })
    }

    /// As [`Self::directory`], of one that is opened up, which stays so if the restore does not come to its end.
    ///
    /// [`Self::sync_closed`] has to come before that.
    pub(crate) fn closed_directory(&self, path: Vec<u8>, found: &Stat) -> io::Result<()> {
        self.directory(path, found)?;
        let mut state = self.state();
        (state.opens, state.unsynced) = (true, true);
        Ok(())
    }

    /// Forces to disk what is noted of closed directories, if that is still to be done.
    pub(crate) fn sync_closed(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.unsynced {
            state.journal.sync()?;
            state.unsynced = false;
        }
        Ok(())
    }

    /// Notes what all directories were like that are about to be changed, and forces that to disk.
    pub(crate) fn directories(&self, directories: &[Arc<Directory>]) -> io::Result<()> {
        for directory in directories {
            if let Some(found) = directory.found() {
                self.directory(path_in(directory, b""), found)?;
            }
        }
        self.sync()
    }

    /// Notes that something has other attributes than it had.
    pub(crate) fn note_change(&self) {
        self.state().changes = true;
    }

    /// Notes what files and links were like that are about to get other attributes, and forces that to disk.
    pub(crate) fn attributes(&self, noted: &[Noted]) -> io::Result<()> {
        let line = |Noted { path, found, then }: &Noted| {
            let (inode, then, path) = (found.st_ino, Moment(then.0, then.1), path.clone());
            Record::Attributes { inode, found: Found::of(found), then, path }.line()
        };
        let lines: String = noted.iter().map(line).collect();
        let mut state = self.state();
        state.journal.append(&lines)?;
        state.journal.sync()
    }

    /// Writes into the journal what is about to happen, and forces it to disk; returns the places for what is
    /// in the way.
    pub(crate) fn announce(&self, changes: &[Change]) -> io::Result<Vec<Option<Slot>>> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = self.state();
        let clock = state.journal.clock()?;
        let (mut lines, mut slots, mut next) = (String::new(), Vec::new(), state.next);
        for Change { path, there, put } in changes {
            let kept = there.map(|stat| {
                next += 1;
                let (number, mode) = (next - 1, stat.st_mode & 0o7777);
                lines += &Record::Keep { number, mode, path: path.clone() }.line();
                number
            });
            if let Some(stat) = put {
                let (size, modified) = (u64::try_from(stat.st_size).unwrap_or(0), Moment::modified(stat));
                let (inode, replaces, path) = (stat.st_ino, kept, path.clone());
                lines += &Record::Put(Put { inode, size, modified, replaces, clock, path }).line();
            }
            slots.push(kept.map(|number| Slot(stored(number, path))));
        }
        state.changes = true;
        state.journal.append(&lines)?;
        state.next = next;
        state.journal.sync()?;
        Ok(slots)
    }

    /// Keeps a file or link under a second name, so that it can be replaced in one step; moves it away where
    /// that cannot be.
    pub(crate) fn save(&self, parent: BorrowedFd<'_>, name: &[u8], slot: &Slot) -> io::Result<()> {
        match rustix::fs::linkat(parent, name, &self.store, &*slot.0, AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Errno::EXIST.into()),
            // Files of others may not be linked, and some file systems have no links.
            Err(_) => self.take(parent, name, slot),
        }
    }

    /// Moves something away.
    pub(crate) fn take(&self, parent: BorrowedFd<'_>, name: &[u8], slot: &Slot) -> io::Result<()> {
        move_entry(parent, name, self.store.as_fd(), slot.0.as_bytes())
    }

    /// Puts back what was moved away, where nothing got to its place.
    pub(crate) fn give_back(&self, parent: BorrowedFd<'_>, name: &[u8], slot: &Slot) {
        if let Err(error) = move_entry(self.store.as_fd(), slot.0.as_bytes(), parent, name) {
            tracing::warn!(%error, kept = slot.0, "what was moved away stays so until it is undone");
        }
    }

    /// Forces the journal to disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.state().journal.sync()
    }

    /// Ends the journal; returns the path of the folder, which is gone if nothing was changed.
    pub(crate) fn finish(self) -> Option<PathBuf> {
        let mut state = self.state();
        state.changes |= state.new;
        state.opens = false;
        if !state.changes {
            return None;
        }
        // What is not known to have come to its end can be undone, too.
        let ended = state.journal.record(&Record::Done).and_then(|()| state.journal.sync());
        let _ =
            ended.inspect_err(|error| tracing::warn!(%error, "the journal of what was replaced has no end"));
        Some(self.path.clone())
    }

    /// Removes the folder, which is empty, from a target in which its owner may not write any more.
    fn remove_from_closed(&self, target: &Stat) {
        let mode = target.st_mode & 0o7777;
        if rustix::fs::fchmod(&self.parent, Mode::from_raw_mode(mode | 0o700)).is_ok() {
            let _ = rustix::fs::unlinkat(&self.parent, &*self.name, AtFlags::REMOVEDIR);
            let _ = rustix::fs::fchmod(&self.parent, Mode::from_raw_mode(mode));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock::lock(&self.state)
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let state = self.state();
        if !state.changes && !state.opens {
            // It may lie in the target, which has the time already that it is to have.
            let before = rustix::fs::fstat(&self.parent);
            let removed = remove_empty(self.parent.as_fd(), &self.name, self.folder.as_fd());
            if let Ok(before) = before {
                if removed == Err(Errno::ACCESS) && self.in_target {
                    self.remove_from_closed(&before);
                }
                put_time_back(&self.parent, &before);
            }
        }
    }
}

/// Returns the path of an entry in a directory, or of the directory itself for an empty name.
pub(crate) fn path_in(directory: &Directory, name: &[u8]) -> Vec<u8> {
    let above = directory.path_of("").into_bytes();
    if above.is_empty() || name.is_empty() {
        return [above, name.to_vec()].concat();
    }
    [&above, &b"/"[..], name].concat()
}

/// Opens what has all that is kept. It is made if there is none: what removes an empty folder may be killed.
pub(super) fn open_store(folder: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(folder, KEPT, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => open_to_change(folder, KEPT.as_bytes()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use kopia_testkit::refuse::{Call, refusing};
    use kopia_testkit::writer::RepositoryWriter;
    use serde_json::json;

    use super::*;
    use crate::KeptFolder;
    use crate::destination::look;
    use crate::destination::target::Target;
    use crate::testing::root_of;

    #[test]
    fn attributes_are_noted_on_disk_before_they_change() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("target");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), b"x").unwrap();
        let root = root_of(RepositoryWriter::new(), &[]);
        let target = Target::open(&root, &path).unwrap();
        let keeping = Keeping::begin(&target, "kaa").unwrap();
        let found = look(target.directory.as_fd(), "file").unwrap().unwrap();
        let note = || keeping.attributes(&[Noted { path: b"file".to_vec(), found, then: (1, 2) }]);
        note().unwrap();
        keeping.sync_closed().unwrap();
        refusing(&[(Call::Fsync, Some(Errno::IO))], || {
            assert!(note().is_err(), "nobody knows whether it is on disk");
            keeping.sync_closed().unwrap();
            keeping.closed_directory(b"closed".to_vec(), &found).unwrap();
            assert!(keeping.sync_closed().is_err() && keeping.sync_closed().is_err());
        });
        keeping.sync_closed().unwrap();
        let noted = KeptFolder::open(&keeping.path).unwrap().read;
        assert!(noted.records >= 3, "{noted:?}");
    }

    #[test]
    fn what_is_kept_nowhere_leaves_the_target_its_time() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("target");
        fs::create_dir(&path).unwrap();
        let mut writer = RepositoryWriter::new();
        let text = writer.file(b"text");
        let root = root_of(writer, &[json!({"name": "file", "type": "f", "size": 4, "obj": text})]);
        // What is kept of a single file lies beside it, in the target.
        let target = Target::open(&root.at("file").unwrap(), &path).unwrap();
        let keeping = Keeping::begin(&target, "kaa").unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
        let then = UNIX_EPOCH + Duration::new(1_000_000_000, 5);
        fs::File::open(&path).unwrap().set_modified(then).unwrap();
        assert_eq!(keeping.finish(), None);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), then);
    }
}
