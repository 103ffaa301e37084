//! Walks a snapshot beside the target and decides about every entry.

mod account;
mod compare;
mod foresee;
mod leaf;
mod visit;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use kopia_repository::choice::Scope;
use kopia_repository::tree::Walked;
use kopia_repository::{Entry, Trail};
use rustix::fs::{Mode, OFlags, Stat};

use compare::Waiting;
pub(super) use foresee::is_ours;
use visit::{PendingDir, Visited, WalkedDir};

use super::extras::Extras;
use super::{Change, Preview};
use crate::Options;
use crate::destination::folding::Folding;
use crate::destination::metadata::keep::Creator;
use crate::destination::mounts::is_boundary;
use crate::destination::naming::largest_file;
use crate::destination::placeholder;
use crate::destination::remove::Spared;
use crate::destination::reserved::Reserved;
use crate::space::{InTurn, Space};

/// How many directories of the target are open meanwhile.
const OPEN: usize = 16;

/// A dry run under way.
pub(super) struct DryRun<'a, V> {
    options: &'a Options,
    /// The target, if it is there.
    target: Option<Arc<OwnedFd>>,
    device: Option<u64>,
    creator: Creator,
    /// Which names are one in the target.
    folding: Folding,
    /// The nearest directory above a target that does not exist.
    ground: Option<OwnedFd>,
    /// The size in bytes of the largest file that the target's file system takes, if it is known.
    largest: Option<u64>,
    /// Whether the target's file system may take `\` and `:` in names for something else.
    may_reserve: bool,
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
    /// How many directories those that wait may hold open.
    open: usize,
    /// What is gathered of the directory that is being visited.
    visited: Visited,
    /// How many bytes the paths of problems have.
    kept_bytes: usize,
}

impl<'a, V: FnMut(&Change)> DryRun<'a, V> {
    pub(super) fn new(options: &'a Options, (path, target): (&Path, Option<Arc<OwnedFd>>), visit: V) -> Self {
        let open = |path: &Path| {
            // The last ancestor of a relative path is "", the current directory.
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()
        };
        let ground = if target.is_some() { None } else { path.ancestors().find_map(open) };
        let stat = target.as_ref().and_then(|target| rustix::fs::fstat(&**target).ok());
        let device = stat.map(|stat| stat.st_dev);
        let existing = target.as_deref().or(ground.as_ref());
        // A target that is to be made lies on the same file system, and inherits the same group.
        let creator = existing.map_or_else(Creator::of_process, Creator::expected_in);
        let block = existing.and_then(|existing| rustix::fs::fstatvfs(existing).ok());
        let block = block.map_or(4096, |stat| stat.f_frsize);
        let largest = existing.and_then(|existing| largest_file(existing.as_fd()));
        let may_reserve = existing.is_some_and(|existing| Reserved::may_be(existing.as_fd()));
        let free = existing.map(Space::free);
        let known = |amount: &u64| *amount < u64::MAX;
        let preview = Preview {
            free: free.map(|free| free.bytes).filter(known),
            free_inodes: free.map(|free| free.inodes).filter(known),
            ..Preview::default()
        };
        let (in_turn, inodes_in_turn) = (InTurn::default(), InTurn::default());
        let (extras, waiting) = (Extras::default(), Vec::new());
        let groups = rustix::process::getgroups().unwrap_or_default();
        Self {
            options,
            target,
            device,
            creator,
            folding: Folding::foresee(path),
            ground,
            largest,
            may_reserve,
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
            visited: Visited::default(),
            kept_bytes: 0,
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
            // The unfinished directory and its tag are two more, and the target is one if it is to be made.
            inodes => inodes.saturating_add(2 + u64::from(self.target.is_none())),
        };
        self.preview
    }

    /// Returns whether everything that the snapshot has would be restored, as far as is known.
    pub(super) fn is_whole(&self, extra_problems: u64) -> bool {
        self.preview.problem_count == extra_problems
    }

    /// Returns what stays in a directory because it is not chosen.
    fn spared<'d>(&'d self, directory: &'d WalkedDir) -> Option<Spared<'d>> {
        let chosen = self.options.chosen.as_ref()?;
        Some(Spared { chosen, scope: &directory.scope })
    }

    /// Looks at a snapshot that is a file or link, which gets this name.
    pub(super) fn single(&mut self, entry: &Entry, name: &[u8]) {
        self.note(entry);
        let attached = PendingDir { handle: self.target.clone(), ..PendingDir::default() };
        let (trail, scope) = (Trail::root(None), Scope::default());
        let directory = Walked { trail, is_whole: true, scope, attached };
        self.leaf(&directory, name, entry);
        let handle = directory.attached.handle.as_ref().zip(str::from_utf8(name).ok());
        let placeholder = handle.and_then(|(handle, name)| placeholder::of(handle.as_fd(), name));
        placeholder.iter().for_each(|name| self.deleted(directory.path_of(name)));
    }

    fn is_boundary(&self, parent: Option<&Arc<OwnedFd>>, name: &str, stat: &Stat) -> io::Result<bool> {
        let device = self.device.unwrap_or(stat.st_dev);
        parent.map_or(Ok(false), |parent| is_boundary(parent.as_fd(), name.as_bytes(), stat, device))
    }
}
