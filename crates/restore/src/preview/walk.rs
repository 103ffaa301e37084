//! Walks a snapshot beside the target and decides about every entry.

mod account;
mod compare;
mod foresee;
mod leaf;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use kopia_format::directory::EntryKind;
use kopia_repository::Defect;
use kopia_repository::{DirectorySource, Entry, Fetched, MAX_WAITING, Repository, Trail};
use rustix::fs::{Mode, OFlags, Stat};

use compare::Waiting;
use foresee::{cannot_replace, is_ours};

use super::extras::Extras;
use super::{Action, Change, Preview};
use crate::decide::existing::freed_bytes;
use crate::decide::extras::{DirNames, originals};
use crate::destination::metadata::keep::Creator;
use crate::destination::mounts::is_boundary;
use crate::destination::naming::{Folding, Made};
use crate::destination::placeholder::{self, Placeholders};
use crate::destination::{Identity, is_folder, look, open_folder, staging};
use crate::plan::folding::{self, Merged, Seen};
use crate::reason::{NotDeleted, Reason};
use crate::room::{InTurn, Space};
use crate::{Existing, Options};

/// How many folders of the target are open meanwhile.
const OPEN: usize = 16;

/// A folder that is to be walked.
struct Place {
    source: DirectorySource,
    merged: Vec<Merged>,
    trail: Trail,
    /// The target's folder, if it has one.
    handle: Option<Arc<OwnedFd>>,
    /// Whether another restore is at work in a folder that it lies in.
    in_use: bool,
    /// Whether this process may make no entries in the target's folder, nor give itself the right.
    is_closed: bool,
}

impl Place {
    fn path_of(&self, name: &str) -> String {
        self.trail.path_of(name)
    }

    /// Foresees that nothing may be put into the place of something that the target has.
    fn foresee_in_place(&self, name: &str) -> Option<Reason> {
        cannot_replace(self.is_closed, self.handle.as_deref()?, name)
    }
}

pub(super) struct Walk<'a, V> {
    options: &'a Options,
    /// The target, if it is there.
    target: Option<Arc<OwnedFd>>,
    device: Option<u64>,
    creator: Creator,
    /// Which names are one in the target.
    folding: Folding,
    repository: &'a Repository,
    /// The nearest directory above a target that does not exist.
    ground: Option<OwnedFd>,
    /// Whether the first difference ends it.
    pub(super) until_different: bool,
    /// The groups that this process may give its files to.
    groups: Vec<u32>,
    visit: V,
    pub(super) preview: Preview,
    /// What is taken when each is put into its place at once.
    in_turn: InTurn,
    inodes_in_turn: InTurn,
    /// The file system's unit of room in bytes.
    block: u64,
    extras: Extras,
    waiting: Vec<Waiting>,
    /// How many folders those that wait may hold open.
    open: usize,
    /// How many folders are still to be walked, without those found in the one that is being walked.
    waiting_folders: usize,
    /// How many bytes the paths of problems have.
    kept_bytes: usize,
}

impl<'a, V: FnMut(&Change)> Walk<'a, V> {
    pub(super) fn new(
        options: &'a Options,
        repository: &'a Repository,
        (path, target): (&Path, Option<Arc<OwnedFd>>),
        visit: V,
    ) -> Self {
        let open = |path: &Path| {
            // The last ancestor of a relative path is "", the current folder.
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()
        };
        let ground = if target.is_some() { None } else { path.ancestors().find_map(open) };
        let stat = target.as_ref().and_then(|target| rustix::fs::fstat(&**target).ok());
        let device = stat.map(|stat| stat.st_dev);
        let creator = target.as_ref().map_or_else(Creator::of_process, Creator::expected_in);
        let existing = target.as_deref().or(ground.as_ref());
        let block = existing.and_then(|existing| rustix::fs::fstatvfs(existing).ok());
        let block = block.map_or(4096, |stat| stat.f_frsize);
        let free = existing.map(Space::free);
        let known = |amount: &u64| *amount < u64::MAX;
        let preview = Preview {
            free: free.map(|free| free.bytes).filter(known),
            free_inodes: free.map(|free| free.inodes).filter(known),
            ..Preview::default()
        };
        let (in_turn, inodes_in_turn) = (InTurn::default(), InTurn::default());
        let (extras, waiting) = (Extras::default(), Vec::new());
        let (waiting_folders, kept_bytes) = (0, 0);
        let groups = rustix::process::getgroups().unwrap_or_default();
        Self {
            options,
            target,
            device,
            creator,
            folding: Folding::foresee(path),
            repository,
            ground,
            until_different: false,
            groups: groups.iter().map(|group| group.as_raw()).collect(),
            visit,
            preview,
            in_turn,
            inodes_in_turn,
            block,
            extras,
            waiting,
            open: 0,
            waiting_folders,
            kept_bytes,
        }
    }

    /// Compares what is left and returns what was found.
    pub(super) fn end(mut self) -> Preview {
        self.compare();
        let extras = std::mem::take(&mut self.extras);
        self.settle(extras);
        self.preview.least_room = self.in_turn.most();
        self.preview.least_inodes = match self.inodes_in_turn.most() {
            0 => 0,
            // The unfinished folder and its tag are two more, and the target is one if it is to be made.
            inodes => inodes.saturating_add(2 + u64::from(self.target.is_none())),
        };
        self.preview
    }

    /// Returns whether everything that the snapshot has would be restored, as far as is known.
    pub(super) fn is_whole(&self, extra_problems: u64) -> bool {
        self.preview.problem_count == extra_problems
    }

    /// Looks at a snapshot that is a file or link, which gets this name.
    pub(super) fn single(&mut self, entry: &Entry, name: &str) {
        self.note(entry);
        let place = self.root(entry);
        self.leaf(&place, name, entry);
        let placeholder = place.handle.as_ref().and_then(|handle| placeholder::of(handle.as_fd(), name));
        placeholder.iter().for_each(|name| self.deleted(place.path_of(name)));
    }

    fn root(&self, entry: &Entry) -> Place {
        let source = entry.source();
        Place {
            trail: Trail::root(&source),
            source,
            merged: Vec::new(),
            handle: self.target.clone(),
            in_use: false,
            is_closed: false,
        }
    }

    /// Looks at a snapshot that is a folder.
    pub(super) fn folders(&mut self, root: &Entry) {
        if self.options.root_attributes {
            self.note(root);
        }
        let mut places = vec![self.root(root)];
        while !places.is_empty() {
            if self.until_different && self.differs() {
                break;
            }
            let sources = places.iter().rev().map(|place| place.source.clone());
            let fetched = Entry::fetch_some(root.repository(), sources);
            let next = places.split_off(places.len() - fetched.len());
            let mut below = Vec::new();
            for (place, fetched) in next.into_iter().rev().zip(fetched) {
                let is_root = place.trail.depth() == 0;
                below.push(self.folder(place, fetched, is_root));
                self.waiting_folders = places.len() + below.iter().map(Vec::len).sum::<usize>();
            }
            places.extend(below.into_iter().rev().flat_map(|found| found.into_iter().rev()));
        }
    }

    fn differs(&self) -> bool {
        let Preview { written, folders, problem_count, .. } = self.preview;
        written > 0 || folders > 0 || problem_count > 0
    }

    /// Looks at the entries of a folder and returns its folders.
    fn folder(&mut self, mut place: Place, fetched: Fetched, is_root: bool) -> Vec<Place> {
        let mut found = Vec::new();
        if let Some(handle) = place.handle.as_ref().filter(|_| self.options.delete_extra && !is_root) {
            place.in_use |= staging::is_in_use(handle.as_fd()).unwrap_or(true);
        }
        let listed = place.handle.as_ref().filter(|_| self.options.delete_extra);
        let listed = listed.map(|handle| DirNames::read(handle.as_fd())).transpose();
        let mut extras = listed.unwrap_or_else(|error| {
            self.extra_problem(place.path_of(""), NotDeleted::Unlisted(error.into()));
            None
        });
        let mut stubbed = Vec::new();
        let shallow = place.handle.as_ref().filter(|_| !self.options.delete_extra);
        let mut placeholders =
            shallow.map_or_else(Placeholders::default, |handle| Placeholders::read(handle.as_fd()));
        let (folding, merged) = (self.folding, std::mem::take(&mut place.merged));
        let read = folding::for_each(folding, self.repository, fetched, &merged, |seen| match seen {
            Seen::Refused(refused) => {
                extras.as_mut().and_then(|extras| extras.take(&refused.name));
                self.problem(place.path_of(&refused.name), refused.into());
            }
            Seen::Clash(clash) => {
                self.lost(clash.path(&place.path_of("")), clash.reason(), &clash.entry);
            }
            Seen::Entry(entry, merged) => {
                placeholders.note(entry.name());
                self.note(&entry);
                if let (Some(extras), Some(existing)) = (&mut extras, &place.handle) {
                    extras.take_or_look(existing.as_fd(), entry.name());
                    if !extras.is_empty() {
                        stubbed.extend(originals(&entry));
                    }
                }
                match entry.kind() {
                    EntryKind::Directory if self.waiting_folders + found.len() >= MAX_WAITING => {
                        self.lost(
                            place.path_of(entry.name()),
                            Defect::TooManyWaiting { limit: MAX_WAITING }.into(),
                            &entry,
                        );
                    }
                    EntryKind::Directory => found.extend(self.inner(&place, &entry, merged)),
                    EntryKind::File | EntryKind::Symlink => self.leaf(&place, entry.name(), &entry),
                }
            }
        });
        for name in placeholders.into_replaced() {
            let there = place.handle.as_ref().and_then(|handle| placeholder::of(handle.as_fd(), &name));
            there.iter().for_each(|name| self.deleted(place.path_of(name)));
        }
        match (read, extras) {
            (Err(error), _) => self.problem(place.path_of(""), error.into()),
            (Ok(summary), Some(mut extras)) => {
                if let Some(handle) = &place.handle {
                    let kept = extras.take_originals(handle.as_fd(), stubbed);
                    kept.iter()
                        .for_each(|name| self.extra_problem(place.path_of(name), NotDeleted::OnlyStub));
                }
                match extras.take_unread(summary.as_ref()) {
                    Ok(kept) => {
                        kept.iter().for_each(|name| {
                            self.extra_problem(place.path_of(name), NotDeleted::UnreadInBackup)
                        });
                    }
                    Err(reason) => {
                        self.extra_problem(place.path_of(""), reason);
                        extras = DirNames::default();
                    }
                }
                if let Some(handle) = &place.handle {
                    let names = extras.into_extras(is_root, self.options);
                    let path_of = |name: &str| place.path_of(name);
                    let (in_use, is_closed) = (place.in_use, place.is_closed);
                    self.extras.add(handle.as_fd(), place.path_of(""), (in_use, is_closed), names, path_of);
                }
            }
            (Ok(_), None) => {}
        }
        self.open += 1;
        if self.open >= OPEN {
            self.compare();
        }
        found
    }

    /// Looks at a folder in another; returns it if it is to be walked.
    fn inner(&mut self, parent: &Place, entry: &Entry, merged: Vec<Merged>) -> Option<Place> {
        let path = parent.path_of(entry.name());
        if parent.trail.depth() >= self.options.max_depth {
            self.lost(path, Defect::TooDeep { limit: self.options.max_depth }.into(), entry);
            return None;
        }
        let source = entry.source();
        if parent.trail.contains(&source) {
            self.lost(path, Defect::ContainsItself.into(), entry);
            return None;
        }
        let handle = parent.handle.as_ref();
        let stat = handle.and_then(|handle| look(handle.as_fd(), entry.name()).ok().flatten());
        let mut is_closed = false;
        let handle = match stat {
            Some(stat) if is_folder(&stat) && self.is_boundary(handle, entry.name(), &stat) => {
                self.lost(path, Reason::Mounted, entry);
                return None;
            }
            Some(stat) if is_folder(&stat) => {
                let opened = handle.map(|handle| open_folder(handle.as_fd(), entry.name())).transpose();
                let opened = match opened {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_ours(&stat) => {
                        self.lost(path, error.into(), entry);
                        return None;
                    }
                    opened => opened.ok().flatten(),
                };
                let opened = opened
                    .filter(|opened| Identity::of(opened).is_ok_and(|found| found == Identity::from(&stat)));
                is_closed = opened.as_ref().is_some_and(|opened| foresee::is_closed(opened, &stat));
                opened
            }
            Some(_) if self.options.existing == Existing::Error => {
                self.lost(path, Reason::Exists, entry);
                return None;
            }
            Some(stat) => {
                if let Some(reason) = parent.foresee_in_place(entry.name()) {
                    self.lost(path, reason, entry);
                    return None;
                }
                self.preview.folders += 1;
                self.takes(self.block, 0, freed_bytes(&stat));
                self.inodes_in_turn.add(1, 1);
                self.tell(path.clone(), Action::Replace, true, 0);
                None
            }
            None => {
                if let Some(reason) = self.foresee_refusal(parent, Made::Directory, entry.name()) {
                    self.lost(path, reason, entry);
                    return None;
                }
                self.preview.folders += 1;
                // Some file systems keep a small folder with its attributes.
                self.takes(self.block, 0, 0);
                self.inodes_in_turn.add(1, 0);
                self.tell(path.clone(), Action::Write, true, 0);
                None
            }
        };
        let trail = parent.trail.child(entry.name(), &source);
        let handle = handle.map(Arc::new);
        Some(Place { source, merged, trail, handle, in_use: parent.in_use, is_closed })
    }

    fn is_boundary(&self, parent: Option<&Arc<OwnedFd>>, name: &str, stat: &Stat) -> bool {
        let is_boundary = |parent: &Arc<OwnedFd>| {
            is_boundary(parent.as_fd(), name.as_bytes(), stat, self.device.unwrap_or(stat.st_dev))
        };
        parent.is_some_and(|parent| is_boundary(parent).unwrap_or(false))
    }
}
