//! Removes what an interrupted restore left, without following anything.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode};
use rustix::io::Errno;

use super::{FOLDER, Identity, is_folder, look, open_to_change};

/// Removes an entry and, if it is a folder, all below it; where an identity is given, only the folder of that identity.
///
/// Folders are emptied one after the other, going down by name and up by `..`, so that the number of open files does not
/// grow with depth; device and inode say whether `..` is where we came from.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &str, wanted: Option<Identity>) -> io::Result<()> {
    if wanted.is_none() {
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if look(parent, name)?.is_none() {
        return Ok(());
    }
    let mut current = open_to_change(parent, name.as_bytes())?;
    if wanted.is_some_and(|wanted| Identity::of(&current).is_ok_and(|found| found != wanted)) {
        return Err(io::Error::other("another folder has taken its place"));
    }
    // The folders above the one that is open, each with the names of its folders that are still to be removed.
    let mut above: Vec<(Identity, Vec<CString>)> = Vec::new();
    let mut left = remove_files(&current)?;
    loop {
        match left.last() {
            Some(child) => match rustix::fs::unlinkat(&current, &**child, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => drop(left.pop()),
                Err(_) => {
                    let next = open_to_change(current.as_fd(), child.to_bytes())?;
                    above.push((Identity::of(&current)?, left));
                    left = remove_files(&next)?;
                    current = next;
                }
            },
            None => {
                let Some((identity, left_above)) = above.pop() else { break };
                let up = rustix::fs::openat(&current, "..", FOLDER, Mode::empty())?;
                if Identity::of(&up)? != identity {
                    return Err(io::Error::other("the folder was moved while it was removed"));
                }
                // Empty now, so the next round removes it by name.
                (current, left) = (up, left_above);
            }
        }
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Removes everything in a folder that is no folder itself, and returns the names of its folders.
fn remove_files(folder: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut folders = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match look(folder.as_fd(), name)? {
            Some(stat) if is_folder(&stat) => folders.push(name.to_owned()),
            Some(_) => rustix::fs::unlinkat(folder, name, AtFlags::empty())?,
            None => {}
        }
    }
    Ok(folders)
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
        remove_tree(parent.as_fd(), "tree", None).unwrap();
        assert!(!tree.exists() && outside.join("kept").exists());
        remove_tree(parent.as_fd(), "tree", None).unwrap();
        symlink(&outside, &tree).unwrap();
        remove_tree(parent.as_fd(), "tree", None).unwrap();
        assert!(outside.join("kept").exists());
    }
}
