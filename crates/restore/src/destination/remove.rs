//! Removes what an interrupted restore left, and what the snapshot does not have, without following anything.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{FOLDER, Identity, is_folder, look, open_to_change};

/// Removes an entry and, if it is a folder, all below it but what is mounted there; where an identity is given, only the
/// folder of that identity. Returns the paths of what is mounted, which begin with the name.
///
/// Folders are emptied one after the other, going down by name and up by `..`, so that the number of open files does not
/// grow with depth; device and inode say whether `..` is where we came from.
pub(crate) fn remove_tree(
    parent: BorrowedFd<'_>,
    name: &[u8],
    wanted: Option<Identity>,
) -> io::Result<Vec<String>> {
    let mut mounts = Mounts::default();
    let Some(stat) = look(parent, name)? else { return Ok(mounts.found) };
    if !is_folder(&stat) && wanted.is_none() {
        mounts.unless_mounted(name, rustix::fs::unlinkat(parent, name, AtFlags::empty()))?;
        return Ok(mounts.found);
    }
    if is_mounted(parent, name)? {
        mounts.note(name);
        return Ok(mounts.found);
    }
    let mut current = open_to_change(parent, name)?;
    if wanted.is_some_and(|wanted| Identity::of(&current).is_ok_and(|found| found != wanted)) {
        return Err(io::Error::other("another folder has taken its place"));
    }
    mounts.path.push(name.to_vec());
    let mut level = Level::empty(&current, &mut mounts)?;
    let mut above: Vec<Level> = Vec::new();
    loop {
        if let Some(child) = level.folders.pop() {
            let child = child.as_bytes();
            if rustix::fs::unlinkat(&current, child, AtFlags::REMOVEDIR).is_ok() {
                continue;
            }
            if look(current.as_fd(), child)?.is_none() {
                continue;
            }
            if is_mounted(current.as_fd(), child)? {
                mounts.note(child);
                level.keeps = true;
                continue;
            }
            current = open_to_change(current.as_fd(), child)?;
            mounts.path.push(child.to_vec());
            let below = Level::empty(&current, &mut mounts)?;
            above.push(std::mem::replace(&mut level, below));
            continue;
        }
        let Some(mut upper) = above.pop() else { break };
        current = rustix::fs::openat(&current, "..", FOLDER, Mode::empty())?;
        if Identity::of(&current)? != upper.identity {
            return Err(io::Error::other("the folder was moved while it was removed"));
        }
        let done = mounts.path.pop().unwrap_or_default();
        match level.keeps {
            true => upper.keeps = true,
            false => rustix::fs::unlinkat(&current, &*done, AtFlags::REMOVEDIR)?,
        }
        level = upper;
    }
    if !level.keeps {
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?;
    }
    Ok(mounts.found)
}

/// A folder that is being emptied.
struct Level {
    identity: Identity,
    /// Its folders that are still to be removed.
    folders: Vec<CString>,
    /// Whether it has to stay, because something is mounted in it.
    keeps: bool,
}

impl Level {
    /// Removes everything in a folder that is no folder itself.
    fn empty(folder: &OwnedFd, mounts: &mut Mounts) -> io::Result<Self> {
        let mut level = Self { identity: Identity::of(folder)?, folders: Vec::new(), keeps: false };
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match look(folder.as_fd(), name)? {
                Some(stat) if is_folder(&stat) => level.folders.push(name.to_owned()),
                Some(_) => {
                    let removed = rustix::fs::unlinkat(folder, name, AtFlags::empty());
                    level.keeps |= mounts.unless_mounted(name.to_bytes(), removed)?;
                }
                None => {}
            }
        }
        Ok(level)
    }
}

/// What is mounted below an entry, and therefore stays.
#[derive(Default)]
struct Mounts {
    /// The names of the folders that lead to the one that is being emptied.
    path: Vec<Vec<u8>>,
    found: Vec<String>,
}

impl Mounts {
    fn note(&mut self, name: &[u8]) {
        let names: Vec<_> = self.path.iter().map(|name| &name[..]).chain([name]).collect();
        self.found.push(String::from_utf8_lossy(&names.join(&b'/')).into_owned());
    }

    /// Says whether a file could not be removed because something is mounted on it.
    fn unless_mounted(&mut self, name: &[u8], removed: rustix::io::Result<()>) -> io::Result<bool> {
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(false),
            Err(Errno::BUSY) => {
                self.note(name);
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Says whether a folder is where something is mounted, be it a part of the same file system.
fn is_mounted(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<bool> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(parent, name, flags, Mode::empty(), resolve) {
        Ok(_) => Ok(false),
        Err(Errno::XDEV) => Ok(true),
        // Before Linux 5.6, and in sandboxes that know no such call, a mount of the same file system shows only when it is to be removed.
        Err(_) => {
            let device = |stat: Option<rustix::fs::Stat>| stat.map(|stat| stat.st_dev);
            Ok(device(look(parent, name)?) != Some(rustix::fs::fstat(parent)?.st_dev))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn everything_below_goes_and_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), b"x").unwrap();
        let tree = dir.path().join("tree");
        for path in ["a/b/c", "a/d", "e"] {
            fs::create_dir_all(tree.join(path)).unwrap();
            fs::write(tree.join(path).join("file"), b"x").unwrap();
            symlink(&outside, tree.join(path).join("link")).unwrap();
        }
        for (path, mode) in [("a/d", 0o000), ("a", 0o555)] {
            fs::set_permissions(tree.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        let parent = fs::File::open(dir.path()).unwrap();
        remove_tree(parent.as_fd(), b"tree", None).unwrap();
        assert!(!tree.exists() && outside.join("kept").exists());
        remove_tree(parent.as_fd(), b"tree", None).unwrap();
        symlink(&outside, &tree).unwrap();
        remove_tree(parent.as_fd(), b"tree", None).unwrap();
        assert!(outside.join("kept").exists());
    }
}
