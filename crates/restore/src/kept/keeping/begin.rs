//! Makes the folder for what a restore replaces, or goes on in that of one that was killed.
//!
//! It lies beside the target; in the target where the directory above is on another file system or closed to this
//! user, and for a single file. Others may write in the directory that it lies in. But a new folder that lets them in
//! itself, as where no mode can be set, is none that an undo would trust, and nothing can be moved to one on another
//! file system: it is refused before anything is changed, and removed again.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::super::PREFIX;
use super::super::find::names_in;
use super::super::folder::{KeptFolder, KeptState};
use super::super::journal::Journal;
use super::super::names::{cut, time_in_name};
use super::super::ownership::refuse_others;
use super::super::record::{Found, Header};
use super::super::sweep::{remove_empty, sweep};
use super::{Keeping, State, open_store};
use crate::Result;
use crate::destination::lockable::Lockable;
use crate::destination::mounts::is_mounted;
use crate::destination::target::Target;
use crate::destination::{is_posix, open_directory};

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
