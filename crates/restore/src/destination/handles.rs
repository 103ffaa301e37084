//! Open directories of the staging tree, a few for each worker.
//!
//! A worker writes many files of one directory one after the other, so its handle is worth keeping; but trees
//! may be deeper than a process may have files open. So only the directories used last are kept, and others
//! are opened again from the nearest one that is: downwards in as few system calls as the length of paths
//! allows (`openat2`, which follows no link on the way), upwards by `..`, where device and inode say whether
//! it is still the directory that it was.
//!
//! Directories that are not there yet are made on the way, and those that an interrupted run left are made as new ones
//! are (`left`): nothing is made in a directory before that.

mod left;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::metadata::probe::NewDirectory;
use super::remove::remove_tree;
use super::{DIRECTORY, Identity, open_directory};
use crate::destination::leftover::Leftover;

/// The longest path that is given to the system at once; its limit is 4096 with the final NUL.
const PATH: usize = 4000;

/// One worker's open directories.
pub(crate) struct Handles<'a> {
    root: BorrowedFd<'a>,
    limit: usize,
    /// How directories are made that are not there yet; `None` if none are made.
    making: Option<Making>,
    /// The one used last in front.
    open: VecDeque<(Arc<Directory>, Rc<OwnedFd>)>,
    /// Whether `openat2` works here: it needs Linux 5.6, and sandboxes may refuse it.
    openat2: bool,
}

/// How directories are made.
#[derive(Clone, Copy)]
struct Making {
    /// Whether modes can be set later, so that a directory is nobody else's until it is finished.
    sets_modes: bool,
    /// What they have then.
    new: NewDirectory,
}

impl<'a> Handles<'a> {
    /// Starts at the staging directory; `limit` handles are kept open. Where modes cannot be set later,
    /// directories are made with their permissions.
    pub(crate) fn new(root: BorrowedFd<'a>, limit: usize, sets_modes: bool, new: NewDirectory) -> Self {
        Self { making: Some(Making { sets_modes, new }), ..Self::of_made(root, limit) }
    }

    /// Starts at the staging directory, and makes nothing.
    pub(crate) fn of_made(root: BorrowedFd<'a>, limit: usize) -> Self {
        Self { root, limit: limit.max(1), making: None, open: VecDeque::new(), openat2: true }
    }

    /// Opens a directory, making it and those it lies in where that was not done yet.
    ///
    /// # Errors
    /// What the system says; also if the directory could not be made before, or another one lies in its
    /// place.
    pub(crate) fn open(&mut self, directory: &Arc<Directory>) -> io::Result<Rc<OwnedFd>> {
        if let Some(found) = self.open.iter().position(|(open, _)| Arc::ptr_eq(open, directory)) {
            if found > 0 {
                let entry = self.open.remove(found).expect("it was found there");
                self.open.push_front(entry);
            }
            return Ok(self.open[0].1.clone());
        }
        let handle = Rc::new(self.reach(directory)?);
        self.keep(directory, &handle);
        Ok(handle)
    }

    /// Forgets a directory that is finished.
    pub(crate) fn forget(&mut self, directory: &Arc<Directory>) {
        self.open.retain(|(open, _)| !Arc::ptr_eq(open, directory));
    }

    /// Goes from a directory that is open up to its parent, and keeps that open.
    pub(crate) fn open_parent(&mut self, directory: &Arc<Directory>, handle: BorrowedFd<'_>) {
        let Some(parent) = directory.parent.as_ref().filter(|parent| parent.parent.is_some()) else { return };
        if self.open.iter().any(|(open, _)| Arc::ptr_eq(open, parent)) {
            return;
        }
        // A failure only means that the parent is opened from above when it is needed.
        if let Ok(up) = rustix::fs::openat(handle, "..", DIRECTORY, Mode::empty())
            && Identity::of(&up).is_ok_and(|identity| parent.identity() == Some(identity))
        {
            self.keep(parent, &Rc::new(up));
        }
    }

    fn keep(&mut self, directory: &Arc<Directory>, handle: &Rc<OwnedFd>) {
        self.open.truncate(self.limit - 1);
        self.open.push_front((directory.clone(), handle.clone()));
    }

    /// Opens a directory from the nearest one that is open.
    fn reach(&mut self, directory: &Arc<Directory>) -> io::Result<OwnedFd> {
        let mut below = Vec::new();
        let mut start = None;
        for ancestor in directory.ancestors().take_while(|ancestor| ancestor.parent.is_some()) {
            if let Some((_, handle)) = self.open.iter().find(|(open, _)| Arc::ptr_eq(open, ancestor)) {
                start = Some(handle.clone());
                break;
            }
            below.push(ancestor.clone());
        }
        below.reverse();
        let mut current: Option<OwnedFd> = None;
        let mut rest = &below[..];
        while !rest.is_empty() {
            let from = match (&current, &start) {
                (Some(handle), _) => handle.as_fd(),
                (None, Some(handle)) => handle.as_fd(),
                (None, None) => self.root,
            };
            // Those that exist are opened many at a time; the first that does not is made.
            let is_there =
                |directory: &&Arc<Directory>| self.making.is_none() || directory.identity().is_some();
            let known = rest.iter().take_while(is_there).count();
            let names: Vec<&str> = rest[..known].iter().map(|directory| directory.name()).collect();
            let (next, count) = match self.making.filter(|_| known == 0) {
                Some(making) => (make(from, &rest[0], making)?, 1),
                None => descend(&mut self.openat2, from, &names)?,
            };
            let made = rest[count - 1].identity();
            if made.is_some() && made != Some(Identity::of(&next)?) {
                return Err(io::Error::other("the folder was replaced while the restore ran"));
            }
            current = Some(next);
            rest = &rest[count..];
        }
        match current {
            Some(handle) => Ok(handle),
            // The root itself: a handle of our own to the same directory.
            None => Ok(self.root.try_clone_to_owned()?),
        }
    }
}

/// Makes a directory unless another thread just did, and opens it.
fn make(
    parent: BorrowedFd<'_>,
    directory: &Directory,
    Making { sets_modes, new }: Making,
) -> io::Result<OwnedFd> {
    let mode = if sets_modes { 0o700 } else { directory.attributes.mode & 0o777 | 0o700 };
    let is_in_other = directory.parent.as_ref().is_some_and(|parent| parent.is_unlike_new());
    let mut opened = None;
    let identity = directory.made(|| {
        let make = || rustix::fs::mkdirat(parent, directory.name(), Mode::from_raw_mode(mode));
        let handle = match make() {
            // An interrupted restore may have given it its final attributes already.
            Err(Errno::EXIST) if directory.left == Leftover::Usable => {
                let handle = left::open(parent, directory.name(), &new)?;
                let identity = left::renew(handle.as_fd(), directory, &new)?;
                opened = Some(handle);
                return Ok(identity);
            }
            Err(Errno::EXIST) if directory.left == Leftover::InTheWay => {
                remove_tree(parent, directory.name().as_bytes(), None)?;
                make()?;
                open_directory(parent, directory.name())?
            }
            made => made.map(|()| open_directory(parent, directory.name()))??,
        };
        let identity = Identity::of(&handle)?;
        // It has inherited what its parent has. That it cannot be changed is no reason to make it a second time.
        if is_in_other && left::renew(handle.as_fd(), directory, &new).is_err() {
            directory.set_unlike_new();
        }
        opened = Some(handle);
        Ok(identity)
    });
    match (identity, opened) {
        (Ok(_), Some(handle)) => Ok(handle),
        (Ok(_), None) => open_directory(parent, directory.name()),
        (Err(error), _) => Err(error),
    }
}

/// Opens as many nested directories at once as one path can name; returns the innermost and how many they
/// were.
pub(crate) fn descend(
    openat2: &mut bool,
    from: BorrowedFd<'_>,
    names: &[&str],
) -> io::Result<(OwnedFd, usize)> {
    if *openat2 && names.len() > 1 {
        let count = fitting(names);
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(from, names[..count].join("/"), flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => *openat2 = false,
            // A rename elsewhere in the tree may ask for another try; going one by one is one.
            Err(Errno::AGAIN) => {}
            result => return Ok((result?, count)),
        }
    }
    Ok((open_directory(from, names[0])?, 1))
}

/// Returns how many nested directories one path can name, and one at least.
fn fitting(names: &[&str]) -> usize {
    let mut length = 0;
    let fitting = names.iter().take_while(|name| {
        length += name.len() + 1;
        length <= PATH
    });
    fitting.count().max(1)
}

/// `io::Error` cannot be cloned, but what the system says is a number.
pub(crate) fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use kopia_repository::Trail;
    use rustix::fs::AtFlags;

    use super::super::directory::DirectoryKind;
    use super::super::metadata::Attributes;
    use super::super::metadata::probe::ProbedDefaults;
    use super::*;

    /// Starts at a directory, which is taken for the staging directory.
    fn handles(root: &fs::File, limit: usize, sets_modes: bool) -> Handles<'_> {
        let new = ProbedDefaults::probe(root.as_fd()).unwrap().new_directory;
        Handles::new(root.as_fd(), limit, sets_modes, new)
    }

    fn directory(parent: &Arc<Directory>, name: &str) -> Arc<Directory> {
        let trail = Trail::root(None).child(name, None);
        parent.child(trail, 0, Attributes::default(), DirectoryKind::Inner, Leftover::Nothing)
    }

    fn parent_and_child() -> (Arc<Directory>, Arc<Directory>) {
        let parent = directory(
            &Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing),
            "parent",
        );
        let child = directory(&parent, "child");
        (parent, child)
    }

    #[test]
    fn a_parent_is_reached_through_its_child_only_if_it_is_still_the_same() {
        let place = tempfile::tempdir().unwrap();
        let root_handle = fs::File::open(place.path()).unwrap();
        let (parent, child) = parent_and_child();
        let mut handles = handles(&root_handle, 1, true);
        let open = handles.open(&child).unwrap();
        handles.open_parent(&child, open.as_fd());
        assert!(Arc::ptr_eq(&handles.open[0].0, &parent));
        // Somebody moves the child elsewhere: the way back would lead out.
        handles.open.clear();
        fs::create_dir(place.path().join("elsewhere")).unwrap();
        fs::rename(place.path().join("parent/child"), place.path().join("elsewhere/child")).unwrap();
        handles.open_parent(&child, open.as_fd());
        assert!(handles.open.is_empty(), "another directory was taken for the parent");
        // The parent itself is still where it was.
        handles.open(&parent).unwrap();
    }

    #[test]
    fn no_more_are_kept_open_than_allowed_and_those_are_that_were_used_last() {
        let place = tempfile::tempdir().unwrap();
        let root_handle = fs::File::open(place.path()).unwrap();
        let root = Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing);
        let all = ["a", "b", "c", "d"].map(|name| directory(&root, name));
        let mut handles = handles(&root_handle, 3, true);
        for number in [0, 1, 2, 0, 3] {
            handles.open(&all[number]).unwrap();
            assert!(handles.open.len() <= 3);
        }
        let open: Vec<_> = handles.open.iter().map(|(open, _)| open.name()).collect();
        assert_eq!(open, ["d", "a", "c"]);
    }

    #[test]
    fn looking_makes_nothing() {
        let place = tempfile::tempdir().unwrap();
        let root_handle = fs::File::open(place.path()).unwrap();
        let (_, child) = parent_and_child();
        let mut handles = Handles::of_made(root_handle.as_fd(), 1);
        assert_eq!(handles.open(&child).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(!place.path().join("parent").exists());
        fs::create_dir_all(place.path().join("parent/child")).unwrap();
        handles.open(&child).unwrap();
    }

    #[test]
    fn what_is_made_is_closed_to_others_unless_its_mode_cannot_be_set_later() {
        let place = tempfile::tempdir().unwrap();
        let root_handle = fs::File::open(place.path()).unwrap();
        let mode =
            |name: &str| rustix::fs::statat(&root_handle, name, AtFlags::empty()).unwrap().st_mode & 0o7777;
        // What the umask leaves.
        rustix::fs::mkdirat(&root_handle, "usual", Mode::from_raw_mode(0o751)).unwrap();
        for (name, sets_modes, expected) in [("closed", true, 0o700), ("open", false, mode("usual"))] {
            let root = Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing);
            let attributes = Attributes { mode: 0o1651, ..Attributes::default() };
            let trail = Trail::root(None).child(name, None);
            let made = root.child(trail, 0, attributes, DirectoryKind::Inner, Leftover::Nothing);
            handles(&root_handle, 1, sets_modes).open(&made).unwrap();
            assert_eq!(mode(name), expected, "{name}");
        }
    }

    #[test]
    fn the_way_down_leads_through_no_link_and_to_directories_alone() {
        let place = tempfile::tempdir().unwrap();
        for path in ["a/b", "outside/b"] {
            fs::create_dir_all(place.path().join(path)).unwrap();
        }
        fs::write(place.path().join("a/file"), b"").unwrap();
        std::os::unix::fs::symlink(place.path().join("outside"), place.path().join("a/link")).unwrap();
        let root = fs::File::open(place.path()).unwrap();
        for with_openat2 in [true, false] {
            let go = |names: &[&str]| -> io::Result<()> {
                let (mut openat2, mut handle, mut rest) =
                    (with_openat2, OwnedFd::from(root.try_clone()?), names);
                while !rest.is_empty() {
                    let (next, count) = descend(&mut openat2, handle.as_fd(), rest)?;
                    (handle, rest) = (next, &rest[count..]);
                }
                Ok(())
            };
            go(&["a", "b"]).unwrap();
            for names in [&["a", "link"][..], &["a", "link", "b"], &["a", "file"], &["a", "none"]] {
                assert!(go(names).is_err(), "{names:?}");
            }
        }
    }

    #[test]
    fn a_path_names_as_many_as_the_system_takes_at_once() {
        // With its `/` each takes one byte more than its name.
        assert_eq!(fitting(&["d"; 3000]), 2000);
        assert_eq!(fitting(&["d".repeat(199).as_str(); 30]), 20);
        assert_eq!(fitting(&["a", "b"]), 2);
        assert_eq!(fitting(&["d".repeat(5000).as_str(); 2]), 1, "it is tried");
    }

    #[test]
    fn a_directory_that_was_replaced_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let root_handle = fs::File::open(place.path()).unwrap();
        let (parent, child) = parent_and_child();
        let mut handles = handles(&root_handle, 1, true);
        handles.open(&child).unwrap();
        handles.forget(&child);
        fs::rename(place.path().join("parent"), place.path().join("moved")).unwrap();
        fs::create_dir_all(place.path().join("parent/child")).unwrap();
        for replaced in [&parent, &child] {
            let error = handles.open(replaced).unwrap_err();
            assert!(error.to_string().contains("replaced"), "{error}");
        }
    }
}
