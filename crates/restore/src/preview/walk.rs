//! Walks a snapshot beside the target and decides about every entry.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_format::directory::EntryKind;
use kopia_repository::object::{Extent, Extents};
use kopia_repository::{DirectorySource, Entry, Fetched, MAX_WAITING, Repository, Trail};
use rustix::fs::{Access, AtFlags, Mode, OFlags, Stat, accessat};
use rustix::io::Errno;

use super::extras::{Extras, is_empty};
use super::{Action, Change, Preview};
use crate::decide::existing::{Old, freed_bytes};
use crate::decide::extras::{Names, originals, stub_alone, unlisted, unread};
use crate::destination::compare::{is_right, open_file, size};
use crate::destination::merge::full_folder;
use crate::destination::metadata::keep::{Creator, may_keep};
use crate::destination::metadata::skip::Skip;
use crate::destination::mounts::{is_boundary, is_mounted};
use crate::destination::naming::{Folding, Made, foresee_refusal};
use crate::destination::placeholder::{self, Placeholders};
use crate::destination::{Identity, is_folder, look, open_folder, staging};
use crate::outcome::{Cause, KEPT, KEPT_BYTES};
use crate::plan::folding::{self, Merged, Seen, below};
use crate::plan::{mounted, waiting};
use crate::room::{InTurn, Space};
use crate::{Existing, Options, Problem};

/// How many entries are compared with the target at once.
const COMPARED: usize = 4096;

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
    fn foresee_in_place(&self, name: &str) -> Option<Cause> {
        cannot_replace(self.is_closed, self.handle.as_deref()?, name)
    }
}

/// Foresees that an entry of the target cannot be replaced: nothing can be renamed over what is mounted.
fn cannot_replace(is_closed: bool, folder: &OwnedFd, name: &str) -> Option<Cause> {
    if is_closed {
        return Some(refused());
    }
    let is_mounted = is_mounted(folder.as_fd(), name.as_bytes()).unwrap_or(false);
    is_mounted.then(|| io::Error::from(Errno::BUSY).into())
}

fn refused() -> Cause {
    io::Error::from(Errno::ACCESS).into()
}

/// Returns whether a folder of the target refuses this process. Its owner gives itself the right.
fn is_closed(folder: &OwnedFd, stat: &Stat) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    let is_refused = || accessat(folder, ".", access, AtFlags::EACCESS) == Err(Errno::ACCESS);
    !is_ours(stat) && is_refused()
}

fn is_ours(stat: &Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw()
}

/// A file or link that the target may have already.
struct Waiting {
    entry: Entry,
    name: String,
    trail: Trail,
    folder: Arc<OwnedFd>,
    is_closed: bool,
    /// The bytes that are freed when it is replaced.
    frees: u64,
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

    /// Counts what cannot be restored exactly of an entry.
    fn note(&mut self, entry: &Entry) {
        self.preview.notes.names += u64::from(entry.name().contains('\u{fffd}'));
        let Creator { uid, gid, may_give, .. } = self.creator;
        let (wanted, group) = entry.owner();
        let may_have_group = group == gid || self.groups.contains(&group);
        let is_settable = may_give || (wanted == uid && may_have_group);
        if self.options.skip_owners || is_settable {
            return;
        }
        self.preview.notes.owners += 1;
        // A directory of the right group keeps setgid, whoever owns it.
        let lending = match entry.kind() {
            EntryKind::Symlink => 0,
            EntryKind::Directory if may_have_group => 0o4000,
            EntryKind::Directory | EntryKind::File => 0o6000,
        };
        let lends = entry.mode() & lending != 0;
        self.preview.notes.special_bits += u64::from(lends && !self.options.skip_permissions);
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
        let listed = listed.map(|handle| Names::read(handle.as_fd())).transpose();
        let mut extras = listed.unwrap_or_else(|error| {
            self.extra_problem(place.path_of(""), unlisted(&error));
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
                self.lost(clash.path(&place.path_of("")), clash.cause(), &clash.entry);
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
                        self.lost(place.path_of(entry.name()), Cause::Entry(waiting()), &entry);
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
                    kept.iter().for_each(|name| self.extra_problem(place.path_of(name), stub_alone()));
                }
                match extras.take_unread(summary.as_ref()) {
                    Ok(kept) => {
                        kept.iter().for_each(|name| self.extra_problem(place.path_of(name), unread()));
                    }
                    Err(cause) => {
                        self.extra_problem(place.path_of(""), cause);
                        extras = Names::default();
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
            let why = format!("folders are nested more than {} deep", self.options.max_depth);
            self.lost(path, Cause::Entry(why), entry);
            return None;
        }
        let source = entry.source();
        if parent.trail.contains(&source) {
            self.lost(path, Cause::Entry("the folder contains itself".into()), entry);
            return None;
        }
        let handle = parent.handle.as_ref();
        let stat = handle.and_then(|handle| look(handle.as_fd(), entry.name()).ok().flatten());
        let mut is_closed = false;
        let handle = match stat {
            Some(stat) if is_folder(&stat) && self.is_boundary(handle, entry.name(), &stat) => {
                self.lost(path, mounted(), entry);
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
                is_closed = opened.as_ref().is_some_and(|opened| self::is_closed(opened, &stat));
                opened
            }
            Some(_) if self.options.existing == Existing::Error => {
                self.lost(path, Cause::Exists, entry);
                return None;
            }
            Some(stat) => {
                if let Some(cause) = parent.foresee_in_place(entry.name()) {
                    self.lost(path, cause, entry);
                    return None;
                }
                self.preview.folders += 1;
                self.takes(self.block, 0, freed_bytes(&stat));
                self.inodes_in_turn.add(1, 1);
                self.tell(path.clone(), Action::Replace, true, 0);
                None
            }
            None => {
                if let Some(cause) = self.foresee_refusal(parent, Made::Directory, entry.name()) {
                    self.lost(path, cause, entry);
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

    /// Foresees that the target does not take an entry.
    fn foresee_refusal(&self, parent: &Place, made: Made, name: &str) -> Option<Cause> {
        if parent.is_closed {
            return Some(refused());
        }
        let ground = parent.handle.as_deref().or(self.target.as_deref()).or(self.ground.as_ref())?;
        foresee_refusal(made, name, ground.as_fd())
    }

    fn is_boundary(&self, parent: Option<&Arc<OwnedFd>>, name: &str, stat: &Stat) -> bool {
        let is_boundary = |parent: &Arc<OwnedFd>| {
            is_boundary(parent.as_fd(), name.as_bytes(), stat, self.device.unwrap_or(stat.st_dev))
        };
        parent.is_some_and(|parent| is_boundary(parent).unwrap_or(false))
    }

    fn leaf(&mut self, place: &Place, name: &str, entry: &Entry) {
        let path = place.path_of(name);
        let handle = place.handle.as_ref();
        let found = handle.and_then(|handle| Some((handle, look(handle.as_fd(), name).ok()??)));
        let Some((folder, stat)) = found else {
            let made = if entry.kind() == EntryKind::Symlink { Made::Symlink } else { Made::File };
            return match self.foresee_refusal(place, made, name) {
                Some(cause) => self.problem(path, cause),
                None => self.written(path, Action::Write, entry, 0),
            };
        };
        let frees = if is_folder(&stat) { 0 } else { freed_bytes(&stat) };
        match Old::decide(&stat, entry, self.options, self.creator) {
            Old::Replace if is_folder(&stat) => self.instead_of_folder(place, folder, name, path, entry),
            Old::Replace => match place.foresee_in_place(name) {
                Some(cause) => self.problem(path, cause),
                None => self.written(path, Action::Replace, entry, frees),
            },
            Old::Refuse => self.problem(path, Cause::Exists),
            Old::Trust { .. } => self.kept(path, entry),
            Old::Compare => {
                let (entry, name, folder) = (entry.clone(), name.to_string(), folder.clone());
                let (trail, is_closed) = (place.trail.clone(), place.is_closed);
                self.waiting.push(Waiting { entry, name, trail, folder, is_closed, frees });
                if self.waiting.len() >= COMPARED {
                    self.compare();
                }
            }
        }
    }

    /// A folder is where a file or link is to be: an empty one is replaced, any other goes only where extras do.
    fn instead_of_folder(
        &mut self,
        place: &Place,
        parent: &OwnedFd,
        name: &str,
        path: String,
        entry: &Entry,
    ) {
        if place.is_closed {
            return self.problem(path, refused());
        }
        if self.options.delete_extra {
            return self.extras.add_in_the_way(parent, name, &place.path_of(""), path, entry);
        }
        if !is_empty(parent, name) {
            self.problem(path, full_folder());
        } else if let Some(cause) = place.foresee_in_place(name) {
            self.problem(path, cause);
        } else {
            self.written(path, Action::Replace, entry, 0);
        }
    }

    /// Compares those that wait with the target, side by side.
    fn compare(&mut self) {
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

    pub(super) fn written(&mut self, path: String, action: Action, entry: &Entry, frees: u64) {
        let takes = Space::of(entry.size(), self.block).bytes;
        // File systems keep short targets of links with the attributes.
        let least = if entry.kind() == EntryKind::File { takes } else { 0 };
        match action {
            // It grows where it is.
            Action::Change => self.takes(takes.saturating_sub(frees), least.saturating_sub(frees), 0),
            _ => self.takes(takes, least, frees),
        }
        if action != Action::Change {
            self.inodes_in_turn.add(1, u64::from(action == Action::Replace));
        }
        let bytes = if entry.kind() == EntryKind::File { entry.size() } else { 0 };
        self.preview.written += 1;
        self.preview.bytes += bytes;
        self.tell(path, action, false, bytes);
    }

    /// Counts the room that something takes at most and at least, and frees once it is in its place.
    fn takes(&mut self, most: u64, least: u64, frees: u64) {
        self.preview.room = self.preview.room.saturating_add(most);
        self.in_turn.add(least, frees);
    }

    pub(super) fn deleted(&mut self, path: String) {
        self.preview.deleted += 1;
        self.tell(path, Action::Delete, false, 0);
    }

    fn kept(&mut self, path: String, entry: &Entry) {
        self.preview.kept += 1;
        self.tell(path, Action::Keep, false, entry.size());
    }

    fn tell(&mut self, path: String, action: Action, folder: bool, bytes: u64) {
        (self.visit)(&Change { path, action, folder, bytes });
    }

    /// As [`Self::problem`], of what the snapshot does not have.
    pub(super) fn extra_problem(&mut self, path: String, cause: Cause) {
        self.extras.problems += 1;
        self.preview.undeleted += 1;
        self.problem(path, cause);
    }

    /// As [`Self::problem`], of an entry with all below it.
    fn lost(&mut self, path: String, cause: Cause, entry: &Entry) {
        self.problem(path, cause);
        self.preview.problem_count = self.preview.problem_count.saturating_add(below(entry));
    }

    pub(super) fn problem(&mut self, path: String, cause: Cause) {
        self.preview.problem_count += 1;
        if self.preview.problems.len() < KEPT && self.kept_bytes < KEPT_BYTES {
            self.kept_bytes += path.len();
            self.preview.problems.push(Problem { path, cause, salvaged: None });
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
