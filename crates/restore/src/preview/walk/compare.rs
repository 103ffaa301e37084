//! Compares files and links that the target may have already, many side by side.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_format::directory::EntryKind;
use kopia_repository::object::{Extent, Extents};
use kopia_repository::{Entry, Trail};
use rustix::fs::{Access, AtFlags, OFlags, Stat, accessat};

use super::Walk;
use super::foresee::cannot_replace;
use crate::destination::compare::{is_right, open_file, size};
use crate::destination::look;
use crate::destination::metadata::keep::{Creator, may_keep};
use crate::destination::metadata::skip::Skip;
use crate::preview::{Action, Change};

/// How many entries are compared with the target at once.
pub(super) const COMPARED: usize = 4096;

/// A file or link that the target may have already.
pub(super) struct Waiting {
    pub(super) entry: Entry,
    pub(super) name: String,
    pub(super) trail: Trail,
    pub(super) folder: Arc<OwnedFd>,
    pub(super) is_closed: bool,
    /// The bytes that are freed when it is replaced.
    pub(super) frees: u64,
}

impl<V: FnMut(&Change)> Walk<'_, V> {
    /// Compares those that wait with the target, side by side.
    pub(super) fn compare(&mut self) {
        self.open = 0;
        let waiting = std::mem::take(&mut self.waiting);
        let next = AtomicUsize::new(0);
        let keeper = Keeper { skip: self.options.into(), creator: self.creator };
        let work = || {
            let (mut buffer, mut compared) = (Vec::new(), Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(waiting) = waiting.get(number) else { return compared };
                compared.push((number, present(waiting, keeper, &mut buffer)));
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
        for (Waiting { entry, trail, name, folder, is_closed, frees }, found) in
            waiting.into_iter().zip(found)
        {
            let path = trail.path_of(&name);
            let large = entry.kind() == EntryKind::File && entry.object().indirection() > 0;
            let writable = || accessat(&folder, &*name, Access::WRITE_OK, AtFlags::EACCESS).is_ok();
            if found.is_right && found.may_stay {
                self.kept(path, &entry);
            } else if large && self.options.in_place && found.may_stay && writable() {
                self.written(path, Action::Change, &entry, frees);
            } else if let Some(cause) = cannot_replace(is_closed, &folder, &name) {
                self.problem(path, cause);
            } else {
                self.written(path, Action::Replace, &entry, frees);
            }
        }
    }
}

/// What the target has in place of a file or link.
#[derive(Debug, Clone, Copy, Default)]
struct Present {
    /// Whether it has the right bytes.
    is_right: bool,
    /// Whether it may be kept, or changed in place.
    may_stay: bool,
}

/// What decides whether a file may stay.
#[derive(Debug, Clone, Copy)]
struct Keeper {
    skip: Skip,
    creator: Creator,
}

impl Keeper {
    fn may_keep(self, stat: &Stat, entry: &Entry) -> bool {
        may_keep(stat, &self.skip.adjust(&entry.into(), stat), self.creator)
    }
}

/// Compares the target's file or link with the snapshot's.
fn present(waiting: &Waiting, keeper: Keeper, buffer: &mut Vec<u8>) -> Present {
    let Waiting { entry, name, folder, .. } = waiting;
    let (repository, object) = (entry.repository(), entry.object());
    let mut extents = Extents::new(repository, object);
    if entry.kind() == EntryKind::Symlink {
        let target = rustix::fs::readlinkat(folder, &**name, Vec::new());
        let is_right = match (target, extents.next(), extents.next()) {
            (Ok(target), Some(Ok(extent)), None) => {
                repository.verify_content(&extent.content, target.to_bytes())
            }
            _ => false,
        };
        let stat = look(folder.as_fd(), &**name).ok().flatten();
        return Present { is_right, may_stay: stat.is_some_and(|stat| keeper.may_keep(&stat, entry)) };
    }
    let Ok((file, stat)) = open_file(folder.as_fd(), name, OFlags::RDONLY) else { return Present::default() };
    let (may_stay, length) = (keeper.may_keep(&stat, entry), size(&stat));
    let mut end = 0;
    let right = length == entry.size()
        && extents.all(|extent| {
            let Ok(extent) = extent else { return false };
            let whole = extent.length.or((object.indirection() == 0).then_some(length));
            end = extent.start.saturating_add(whole.unwrap_or_default());
            length == 0 || is_right(repository, file.as_fd(), &Extent { length: whole, ..extent }, buffer)
        });
    // A list may have fewer bytes than its entry says, or none at all.
    Present { is_right: right && end == length, may_stay }
}
