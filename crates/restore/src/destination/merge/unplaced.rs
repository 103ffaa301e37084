//! What cannot be moved to its place: reported, and taken out of the counts of what was restored.
//!
//! An entry counts as restored once it lies whole in the staging tree. If it stays there, it is removed with
//! that tree, and so is all that lies in it if it is a directory; the summary must not count it.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::{FileType, Mode};

use super::super::compare::size;
use super::super::directory::Directory;
use super::super::handles::Handles;
use super::super::{DIRECTORY, look, partial};
use super::{Publisher, names};
use crate::reason::Reason;
use crate::tally::Unplaced;

impl Unplaced {
    /// Counts a staged entry and all that lies in it. What cannot be looked at is left out.
    fn of(parent: BorrowedFd<'_>, name: &[u8]) -> Self {
        let mut unplaced = Self::default();
        unplaced.add(parent, name);
        unplaced
    }

    fn add(&mut self, parent: BorrowedFd<'_>, name: &[u8]) {
        if !self.note(parent, name) {
            return;
        }
        let Ok(parent) = parent.try_clone_to_owned() else { return };
        // A directory stays open only as long as others in it wait, so a deep chain needs few handles.
        let mut waiting = vec![(Rc::new(parent), name.to_vec())];
        while let Some((parent, name)) = waiting.pop() {
            let Ok(directory) = rustix::fs::openat(&*parent, &*name, DIRECTORY, Mode::empty()) else {
                continue;
            };
            let directory = Rc::new(directory);
            for name in names::all(directory.as_fd()).unwrap_or_default() {
                if self.note(directory.as_fd(), &name) {
                    waiting.push((directory.clone(), name));
                }
            }
        }
    }

    /// Counts an entry; returns whether it is a directory.
    fn note(&mut self, parent: BorrowedFd<'_>, name: &[u8]) -> bool {
        // A file of which pieces are lost was never counted as restored.
        if partial::is_temporary(name) {
            return false;
        }
        let Ok(Some(stat)) = look(parent, name) else { return false };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directories += 1,
            FileType::Symlink => self.symlinks += 1,
            _ => {
                self.files += 1;
                self.bytes += size(&stat);
            }
        }
        FileType::from_raw_mode(stat.st_mode) == FileType::Directory
    }
}

impl Publisher<'_> {
    /// Reports an entry of a directory that stays in its staging directory.
    pub(super) fn unplaced(
        &self,
        staged: BorrowedFd<'_>,
        directory: &Arc<Directory>,
        name: &[u8],
        reason: impl Into<Reason>,
    ) {
        let path = directory.path_of(&String::from_utf8_lossy(name));
        self.tally.unplaced(path, reason.into(), Unplaced::of(staged, name));
    }

    /// Reports a directory of the target that could not be filled, but for directories that `exist` in it:
    /// these were filled before.
    pub(super) fn unfilled(
        &self,
        directory: &Arc<Directory>,
        handles: &mut Handles<'_>,
        exist: &HashSet<&[u8]>,
        reason: Reason,
    ) {
        let mut unplaced = Unplaced::default();
        if (directory.parent.is_none() || directory.is_in_staging())
            && let Ok(staged) = handles.open(directory)
        {
            let mut names = names::all(staged.as_fd()).unwrap_or_default();
            names.retain(|name| !exist.contains(&name[..]) && !self.is_our_own(directory, name));
            names.iter().for_each(|name| unplaced.add(staged.as_fd(), name));
        }
        self.tally.lost(directory.path_of(""), reason, unplaced.entries());
        self.tally.take_back(unplaced);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_counts_with_all_that_lies_in_it() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("d/e/f")).unwrap();
        fs::create_dir(path("d/g")).unwrap();
        for (name, bytes) in
            [("d/one", 1), ("d/e/two", 2), ("d/e/f/three", 3), ("d/g/four", 4), ("beside", 9)]
        {
            fs::write(path(name), vec![0; bytes]).unwrap();
        }
        std::os::unix::fs::symlink("d", path("d/link")).unwrap();
        fs::write(path(&partial::temporary("x")), b"salvaged").unwrap();
        fs::write(path("d/g").join(partial::temporary("y")), b"salvaged").unwrap();
        let parent = fs::File::open(place.path()).unwrap();
        let of = |name: &str| Unplaced::of(parent.as_fd(), name.as_bytes());
        assert_eq!(of("d"), Unplaced { files: 4, bytes: 10, directories: 4, symlinks: 1 });
        assert_eq!(of("d").entries(), 9);
        assert_eq!(of("beside"), Unplaced { files: 1, bytes: 9, ..Unplaced::default() });
        assert_eq!(of("d/link"), Unplaced { symlinks: 1, ..Unplaced::default() }, "links are not followed");
        assert_eq!(of("not there"), Unplaced::default());
        assert_eq!(of(&partial::temporary("x")), Unplaced::default());
    }
}
