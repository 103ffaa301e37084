//! Saves what was found, in a new file outside the repository.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::error::Failure;

/// How deep the file may lie. Paths are shorter.
const MAX_DEPTH: usize = 4096;

/// Writes bytes to a new file. Nothing is ever written to a repository, so the file may not lie in its folder.
pub(super) fn save(path: &Path, bytes: &[u8], repository: Option<&Path>) -> Result<(), Failure> {
    let failure =
        |why: &dyn std::fmt::Display| Failure::failed(format!("{} cannot be written: {why}", path.display()));
    let name = path.file_name().ok_or_else(|| failure(&"it names no file"))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = open_folder(CWD, parent).map_err(|error| failure(&error))?;
    let repository =
        repository.map(|path| open_folder(CWD, path)).transpose().map_err(|error| failure(&error))?;
    if let Some(repository) = repository
        && lies_in(&folder, &repository).map_err(|error| failure(&error))?
    {
        return Err(failure(&"it would lie in the repository"));
    }
    // The folder is open, so what is checked is what is written to; and an existing name is never followed or replaced.
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, name, flags, Mode::RUSR | Mode::WUSR);
    let mut file = File::from(file.map_err(|errno| failure(&io::Error::from(errno)))?);
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| failure(&error))
}

fn open_folder(at: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, path, flags, Mode::empty())?)
}

/// Compares devices and inodes on the way up, so that neither links nor mounts deceive.
fn lies_in(folder: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let identity = |folder: &OwnedFd| rustix::fs::fstat(folder).map(|stat| (stat.st_dev, stat.st_ino));
    let wanted = identity(other)?;
    let mut here = folder.try_clone()?;
    for _ in 0..MAX_DEPTH {
        let current = identity(&here)?;
        if current == wanted {
            return Ok(true);
        }
        let above = open_folder(&here, Path::new(".."))?;
        if identity(&above)? == current {
            return Ok(false);
        }
        here = above;
    }
    Err(io::Error::other("it lies too deep"))
}
