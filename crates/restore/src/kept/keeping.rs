//! The restore's side: what is in the way is moved into the folder, once the journal says so.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use kopia_format::Timestamp;
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::aside::move_entry;
use super::find::names_in;
use super::folder::{KeptFolder, KeptState};
use super::journal::Journal;
use super::ownership::refuse_others;
use super::record::{Found, Header, Moment, Put, Record};
use super::sweep::{remove_empty, sweep};
use super::{KEPT, PREFIX};
use crate::destination::directory::Directory;
use crate::destination::lockable::Lockable;
use crate::destination::metadata::put_time_back;
use crate::destination::mounts::is_mounted;
use crate::destination::target::Target;
use crate::destination::{is_posix, open_directory, open_to_change};
use crate::{Result, lock};

/// The longest part of a name that is kept, in bytes.
const LONGEST: usize = 180;

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

/// Returns the name of what is kept, by its number and path.
pub(super) fn stored(number: u64, path: &[u8]) -> String {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    format!("{number}-{}", cut(&name))
}

/// Cuts a name that is too long for anything to be put before it.
pub(super) fn cut(name: &str) -> &str {
    let ends = name.char_indices().map(|(start, letter)| start + letter.len_utf8());
    &name[..ends.take_while(|end| *end <= LONGEST).last().unwrap_or(0)]
}

/// Returns how the name of a folder says when its restore began, in seconds since 1970.
pub(super) fn time_in_name(began: i64) -> String {
    Timestamp::new(began, 0).unwrap_or_default().to_string().replace(['-', ':'], "")
}

impl Keeping {
    /// Makes a folder for what a restore replaces, or goes on in that of one that was killed.
    pub(crate) fn begin(target: &Target, key: &str) -> Result<Self> {
        Self::open(target, key).map_err(|source| target.error("what is replaced cannot be kept", source))
    }

    fn open(target: &Target, key: &str) -> io::Result<Self> {
        let path = fs::canonicalize(&target.path)?;
        let stat = rustix::fs::fstat(&target.directory)?;
        let beside = path.parent().filter(|_| target.name.is_none());
        for directory in beside.into_iter().chain([&*path]) {
            let Ok(names) = names_in(directory) else { continue };
            for name in names {
                let Ok(folder) = KeptFolder::open(directory.join(&name)) else {
                    sweep(directory, &name);
                    continue;
                };
                let header = &folder.read.header;
                let is_target = header.inode == stat.st_ino || !is_posix(target.directory.as_fd());
                let is_there = is_target && header.path == path.as_os_str().as_bytes();
                let is_same = is_there && header.key == key;
                if is_same && folder.state() == KeptState::Unfinished {
                    return Self::go_on(folder);
                }
            }
        }
        let label = target.name.as_deref().or_else(|| path.file_name().map(OsStrExt::as_bytes));
        let label = String::from_utf8_lossy(label.unwrap_or(b"root"));
        let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
        let label = format!("{PREFIX}{}-{}", cut(&label), time_in_name(began));
        let header = Header {
            inode: stat.st_ino,
            new: target.found.is_none(),
            key: key.to_owned(),
            began,
            path: path.as_os_str().as_bytes().to_vec(),
        };
        let beside = beside.filter(|parent| lies_in_one_mount(parent, &path));
        let made = beside.map(|parent| Self::make(parent, &label, &header, target));
        let keeping = match made {
            Some(Ok(keeping)) => keeping,
            // An ordinary user may well own a folder, but not the one that it lies in.
            Some(Err(error)) if !is_refused(&error) => return Err(error),
            _ => Self::make(&path, &label, &header, target)?,
        };
        keeping.sync()?;
        Ok(keeping)
    }

    fn make(directory: &Path, label: &str, header: &Header, target: &Target) -> io::Result<Self> {
        let parent =
            rustix::fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let mut name = label.to_owned();
        let mut number = 1;
        while let Err(errno) = rustix::fs::mkdirat(&parent, &*name, Mode::RWXU) {
            number += 1;
            if errno != Errno::EXIST || number > 1000 {
                return Err(errno.into());
            }
            name = format!("{label}-{number}");
        }
        let made = || -> io::Result<Self> {
            let folder = Lockable::new(open_directory(parent.as_fd(), &name)?);
            let stat = rustix::fs::fstat(&folder)?;
            if stat.st_dev != target.device {
                return Err(Errno::XDEV.into());
            }
            // What could not be undone is not to be begun.
            refuse_others(parent.as_fd(), folder.as_fd())?;
            // Some network file systems have no locks.
            if folder.try_lock() == Err(Errno::WOULDBLOCK) {
                return Err(Errno::BUSY.into());
            }
            let store = open_store(folder.as_fd())?;
            let journal = Journal::create(folder.as_fd(), header, target.found.as_ref().map(Found::of))?;
            for directory in [folder.as_fd(), parent.as_fd()] {
                // Some network file systems have nothing to sync in directories.
                let _ = rustix::fs::fsync(directory);
            }
            let state = Mutex::new(State::new(journal, 0, false, header.new));
            let (path, parent, name) = (directory.join(&name), parent.try_clone()?, name.clone());
            let in_target = header.path == directory.as_os_str().as_bytes();
            Ok(Self { path, parent, name, in_target, folder, store, state })
        };
        made().inspect_err(|_| {
            if let Ok(folder) = open_directory(parent.as_fd(), &name) {
                let _ = remove_empty(parent.as_fd(), &name, folder.as_fd());
            }
        })
    }

    /// Goes on in the folder of a restore that was killed.
    fn go_on(folder: KeptFolder) -> io::Result<Self> {
        folder.lock()?;
        let KeptFolder { path, parent, name, handle, read } = folder;
        let store = open_store(handle.as_fd())?;
        let journal = Journal::open(handle.as_fd(), read.length)?;
        // The first says what the target was like, unless it is new, before anything was changed.
        let changes = read.records > u64::from(!read.header.new);
        let state = Mutex::new(State::new(journal, read.next, changes, read.header.new));
        let in_target = path.parent().is_some_and(|parent| parent.as_os_str().as_bytes() == read.header.path);
        Ok(Self { path, parent, name, in_target, folder: handle, store, state })
    }

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

/// Returns whether something can be moved from a directory to the one that it lies in.
fn lies_in_one_mount(parent: &Path, directory: &Path) -> bool {
    let opened = rustix::fs::open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let name = directory.file_name().map(OsStrExt::as_bytes);
    opened.ok().zip(name).is_some_and(|(parent, name)| !is_mounted(parent.as_fd(), name).unwrap_or(true))
}

fn is_refused(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::XDEV | Errno::OPNOTSUPP))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kopia_testkit::refuse::{Call, refusing};
    use kopia_testkit::writer::RepositoryWriter;
    use serde_json::json;

    use super::*;
    use crate::destination::look;
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
