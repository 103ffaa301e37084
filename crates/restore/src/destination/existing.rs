//! Directories that the target had before: opened from its handle, never through a link.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::Errno;

use super::directory::Directory;
use super::handles::descend;
use super::open_to_change;

/// Opens a directory of the target without following links. Its mode is no obstacle: the restore sets it at
/// the end, as that of every directory that it goes through.
pub(crate) fn open_existing(root: BorrowedFd<'_>, directory: &Arc<Directory>) -> io::Result<OwnedFd> {
    let names = names(directory);
    let mut handle = root.try_clone_to_owned()?;
    let mut openat2 = true;
    let mut rest = &names[..];
    while let [first, ..] = rest {
        // All but the last at once, which are only gone through; one that is closed to us is opened up by
        // itself.
        let (through, _) = rest.split_at(rest.len() - 1);
        let many =
            if through.is_empty() { None } else { descend(&mut openat2, handle.as_fd(), through).ok() };
        let (next, count) = match many {
            Some(opened) => opened,
            None => (open_to_change(handle.as_fd(), first.as_bytes())?, 1),
        };
        (handle, rest) = (next, &rest[count..]);
    }
    Ok(handle)
}

/// Opens a directory of the target for looking only; a permission error also if its owner may not list and
/// search it, but for what a caller `insists` on.
pub(crate) fn look_into(
    root: BorrowedFd<'_>,
    directory: &Arc<Directory>,
    insists: bool,
) -> io::Result<OwnedFd> {
    let names = names(directory);
    let mut handle = root.try_clone_to_owned()?;
    let mut openat2 = true;
    let mut rest = &names[..];
    while !rest.is_empty() {
        let (next, count) = descend(&mut openat2, handle.as_fd(), rest)?;
        (handle, rest) = (next, &rest[count..]);
    }
    let looks = |handle| rustix::fs::fstat(handle).is_ok_and(|stat| stat.st_mode & 0o500 == 0o500);
    if insists || looks(&handle) { Ok(handle) } else { Err(Errno::ACCESS.into()) }
}

/// Returns the names that lead from the root to a directory.
fn names(directory: &Arc<Directory>) -> Vec<&str> {
    let mut names: Vec<&str> = directory.ancestors().map(|directory| directory.name()).collect();
    names.pop();
    names.reverse();
    names
}

/// The directory of the target that was used last.
#[derive(Default)]
pub(crate) struct InTarget(Option<(Arc<Directory>, Rc<OwnedFd>)>);

impl InTarget {
    /// Opens a directory that the target had before.
    pub(crate) fn open(
        &mut self,
        root: BorrowedFd<'_>,
        directory: &Arc<Directory>,
    ) -> io::Result<Rc<OwnedFd>> {
        if let Some((_, handle)) = self.0.as_ref().filter(|(open, _)| Arc::ptr_eq(open, directory)) {
            return Ok(handle.clone());
        }
        let handle = Rc::new(open_existing(root, directory)?);
        self.0 = Some((directory.clone(), handle.clone()));
        Ok(handle)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use kopia_repository::Trail;

    use super::*;
    use crate::destination::leftover::Leftover;
    use crate::destination::metadata::Attributes;

    #[test]
    fn what_its_owner_may_not_list_and_search_is_looked_into_where_that_is_insisted_on() {
        let place = tempfile::tempdir().unwrap();
        let set = |mode| fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
        let root = fs::File::open(place.path()).unwrap();
        let directory = Directory::root(Trail::root(None), Attributes::default(), Leftover::Nothing);
        let look = |insists| {
            let looked = look_into(root.as_fd(), &directory, insists);
            looked.map(drop).map_err(|error| error.kind())
        };
        for (mode, looks) in
            [(0o700, true), (0o500, true), (0o455, false), (0o155, false), (0o055, false), (0, false)]
        {
            set(mode);
            let expected = if looks { Ok(()) } else { Err(io::ErrorKind::PermissionDenied) };
            assert_eq!((look(false), look(true)), (expected, Ok(())), "{mode:o}");
        }
        set(0o700);
    }
}
