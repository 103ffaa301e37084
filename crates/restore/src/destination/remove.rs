//! Removes what an interrupted restore left, without following anything.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode};
use rustix::io::Errno;

use super::{FOLDER, Identity, is_folder, look, open_to_change};

/// Removes an entry and, if it is a folder, all below it.
///
/// Folders are emptied one after the other, going down by name and up by `..`, so that neither depth nor the number of
/// open files grows; device and inode say whether `..` is where we came from.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let mut above: Vec<(Identity, Vec<u8>)> = Vec::new();
    let mut current = open_to_change(parent, name.as_bytes())?;
    let mut current_name = name.as_bytes().to_vec();
    loop {
        match first_folder_left(&current)? {
            Some(child) => {
                let next = open_to_change(current.as_fd(), &child)?;
                above.push((Identity::of(&current)?, current_name));
                (current, current_name) = (next, child);
            }
            None => {
                let Some((identity, name_above)) = above.pop() else { break };
                let up = rustix::fs::openat(&current, "..", FOLDER, Mode::empty())?;
                if Identity::of(&up)? != identity {
                    return Err(io::Error::other("the folder was moved while it was removed"));
                }
                rustix::fs::unlinkat(&up, &*current_name, AtFlags::REMOVEDIR)?;
                (current, current_name) = (up, name_above);
            }
        }
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Removes everything in a folder that is no folder itself, and returns the name of a folder if one is left.
fn first_folder_left(folder: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match look(folder.as_fd(), name)? {
            Some(stat) if is_folder(&stat) => return Ok(Some(name.to_bytes().to_vec())),
            Some(_) => rustix::fs::unlinkat(folder, name, AtFlags::empty())?,
            None => {}
        }
    }
    Ok(None)
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
        remove_tree(parent.as_fd(), "tree").unwrap();
        assert!(!tree.exists() && outside.join("kept").exists());
        remove_tree(parent.as_fd(), "tree").unwrap();
        symlink(&outside, &tree).unwrap();
        remove_tree(parent.as_fd(), "tree").unwrap();
        assert!(outside.join("kept").exists());
    }
}
