//! Compares files and links that the target may have already, many side by side.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_format::directory::EntryKind;
use kopia_repository::{Entry, Trail};
use rustix::fs::{Access, AtFlags, Stat, accessat};

use super::DryRun;
use super::foresee::cannot_replace;
use crate::decide::present::Present;
use crate::destination::metadata::Attributes;
use crate::destination::metadata::keep::Keeper;
use crate::preview::{Action, Change};

/// How many entries are compared with the target at once.
pub(super) const COMPARED: usize = 4096;

/// A file or link that the target may have already.
pub(super) struct Waiting {
    pub(super) entry: Entry,
    pub(super) name: Vec<u8>,
    pub(super) trail: Trail,
    /// The target's directory that it lies in.
    pub(super) directory: Arc<OwnedFd>,
    pub(super) is_closed: bool,
    /// The bytes that are freed when it is replaced.
    pub(super) frees: u64,
}

impl<V: FnMut(&Change)> DryRun<'_, V> {
    /// Compares those that wait with the target, side by side.
    pub(super) fn compare(&mut self) {
        self.open = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let next = AtomicUsize::new(0);
        let keeper = Keeper::new(self.options, self.creator);
        let options = self.options;
        let work = || {
            let (mut buffer, mut compared) = (Vec::new(), Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(waiting) = waiting.get(number) else { return compared };
                let Waiting { entry, name, directory, .. } = waiting;
                let wanted = Attributes::of(entry, options);
                let may_keep = |stat: &Stat| keeper.may_keep(stat, &wanted);
                let present = Present::of(entry, directory.as_fd(), name, may_keep, &mut buffer);
                compared.push((number, present));
            }
        };
        let mut found = vec![Present::default(); waiting.len()];
        std::thread::scope(|scope| {
            let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
            let others: Vec<_> = (1..self.options.workers().min(waiting.len())).map_while(start).collect();
            let mut compared = work();
            others.into_iter().filter_map(|other| other.join().ok()).for_each(|more| compared.extend(more));
            compared.into_iter().for_each(|(number, present)| found[number] = present);
        });
        for (Waiting { entry, trail, name, directory, is_closed, frees }, found) in
            waiting.into_iter().zip(found)
        {
            let path = trail.path_of(&String::from_utf8_lossy(&name));
            let large = entry.kind() == EntryKind::File && entry.object().indirection() > 0;
            let writable = || accessat(&directory, &*name, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
            if found.is_right && found.may_stay {
                self.kept(path, &entry);
            } else if large && self.options.in_place && found.may_stay && writable() {
                self.written(path, Action::Change, &entry, frees);
            } else if let Some(reason) = cannot_replace(is_closed, &directory, &name) {
                self.problem(path, reason);
            } else {
                self.written(path, Action::Replace, &entry, frees);
            }
        }
    }
}
