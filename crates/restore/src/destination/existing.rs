//! Folders that the target had before: opened from its handle, never through a link.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use super::folder::Folder;
use super::handles::descend;
use super::open_to_change;

/// Opens a folder of the target without following links. Its mode is no obstacle: the restore sets it at the end, as that
/// of every folder that it goes through.
pub(crate) fn open_existing(root: BorrowedFd<'_>, folder: &Arc<Folder>) -> io::Result<OwnedFd> {
    let mut names: Vec<&str> = folder.ancestors().map(|folder| &*folder.name).collect();
    names.pop();
    names.reverse();
    let mut handle = root.try_clone_to_owned()?;
    let mut openat2 = true;
    let mut rest = &names[..];
    while let [first, ..] = rest {
        // All but the last at once, which are only gone through; one that is closed to us is opened up by itself.
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

/// The folder of the target that was used last.
#[derive(Default)]
pub(crate) struct InTarget(Option<(Arc<Folder>, Rc<OwnedFd>)>);

impl InTarget {
    /// Opens a folder that the target had before.
    pub(crate) fn open(&mut self, root: BorrowedFd<'_>, folder: &Arc<Folder>) -> io::Result<Rc<OwnedFd>> {
        if let Some((_, handle)) = self.0.as_ref().filter(|(open, _)| Arc::ptr_eq(open, folder)) {
            return Ok(handle.clone());
        }
        let handle = Rc::new(open_existing(root, folder)?);
        self.0 = Some((folder.clone(), handle.clone()));
        Ok(handle)
    }
}
