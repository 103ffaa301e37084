//! Foresees what the target will refuse, where only trying would tell for certain.

use std::os::fd::{AsFd, OwnedFd};

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;
use rustix::fs::{Access, AtFlags, Stat, accessat};
use rustix::io::Errno;

use super::{DryRun, WalkedDir};
use crate::destination::mounts::is_mounted;
use crate::destination::naming::{Made, foresee_refusal, too_large};
use crate::preview::Change;
use crate::reason::{Operation, Reason};

impl<V: FnMut(&Change)> DryRun<'_, V> {
    /// Foresees that the target does not take an entry, and counts the names of which only trying tells.
    pub(super) fn foresee_refusal(&mut self, parent: &WalkedDir, made: Made, name: &[u8]) -> Option<Reason> {
        if parent.attached.is_closed {
            return Some(refused());
        }
        let ground = parent.attached.handle.as_deref().or(self.target.as_deref()).or(self.ground.as_ref())?;
        let refusal = foresee_refusal(made, name, ground.as_fd());
        let is_doubtful = self.may_reserve && name.iter().any(|byte| matches!(byte, b'\\' | b':'));
        self.preview.doubtful_names += u64::from(is_doubtful && refusal.is_none());
        refusal
    }

    /// Foresees that the target's file system does not take a file of this size.
    pub(super) fn foresee_size(&self, entry: &Entry) -> Option<Reason> {
        let is_too_large =
            entry.kind() == EntryKind::File && self.largest.is_some_and(|largest| entry.size() > largest);
        is_too_large.then(too_large)
    }
}

/// Foresees that an entry of the target cannot be replaced: nothing can be renamed over what is mounted.
pub(super) fn cannot_replace(is_closed: bool, directory: &OwnedFd, name: &[u8]) -> Option<Reason> {
    if is_closed {
        return Some(refused());
    }
    let is_mounted = is_mounted(directory.as_fd(), name).unwrap_or(false);
    is_mounted.then(|| Reason::of(Operation::Move, Errno::BUSY.into()))
}

pub(super) fn refused() -> Reason {
    Reason::of(Operation::Move, Errno::ACCESS.into())
}

/// Returns whether a directory of the target refuses this process. Its owner gives itself the right.
pub(super) fn is_closed(directory: &OwnedFd, stat: &Stat) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    let is_refused = || accessat(directory, ".", access, AtFlags::EACCESS) == Err(Errno::ACCESS);
    !is_ours(stat) && is_refused()
}

/// Returns whether this process cannot look into its own directory as it is: the restore gives itself the right.
pub(super) fn is_shut(directory: &OwnedFd) -> bool {
    let access = Access::READ_OK | Access::EXEC_OK;
    let is_refused = || accessat(directory, ".", access, AtFlags::EACCESS) == Err(Errno::ACCESS);
    rustix::fs::fstat(directory).is_ok_and(|stat| is_ours(&stat)) && is_refused()
}

pub(in crate::preview) fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}
