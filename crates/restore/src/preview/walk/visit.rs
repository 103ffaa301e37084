//! What the dry run does with each directory that the walk comes to.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use kopia_format::directory::Summary;
use kopia_repository::tree::{FoldName, Problem, Visitor, Walk, Walked};
use kopia_repository::{Defect, Entry, Error, Trail};
use rustix::fs::Stat;

use super::foresee::{cannot_replace, is_closed, is_ours, is_shut};
use super::{DryRun, OPEN};
use crate::decide::directory::DirectoryPolicy;
use crate::decide::existing::freed_bytes;
use crate::decide::extra_names::ExtraNames;
use crate::destination::naming::Made;
use crate::destination::placeholder::{self, Placeholders};
use crate::destination::remove::Spared;
use crate::destination::{Identity, look_for, open_directory, staging, unless_gone};
use crate::kept::is_kept_name;
use crate::preview::{Action, Change, Preview};
use crate::reason::{NotDeleted, Reason};

/// What is known of the target's counterpart of a directory until its entries are visited.
#[derive(Default)]
pub(in crate::preview) struct PendingDir {
    /// The target's directory, if it has one.
    pub(super) handle: Option<Arc<OwnedFd>>,
    /// Whether another restore is at work in a directory that it lies in.
    pub(super) in_use: bool,
    /// Whether this process may make no entries in the target's directory, nor give itself the right.
    pub(super) is_closed: bool,
}

/// A directory of the walk, with its counterpart.
pub(in crate::preview) type WalkedDir = Walked<PendingDir>;

/// What is gathered while the entries of a directory are visited.
#[derive(Default)]
pub(super) struct Visited {
    /// What the target's directory has and the snapshot has not, as far as that is known; nothing where
    /// extras stay.
    extras: Option<ExtraNames>,
    placeholders: Placeholders,
}

impl PendingDir {
    /// Looks at what the target has by a name.
    pub(super) fn look(&self, name: &[u8]) -> io::Result<Option<Stat>> {
        self.handle.as_ref().map_or(Ok(None), |handle| look_for(handle.as_fd(), name))
    }

    /// Foresees that nothing may be put into the place of something that the target has.
    pub(super) fn foresee_in_place(&self, name: &[u8]) -> Option<Reason> {
        cannot_replace(self.is_closed, self.handle.as_deref()?, name)
    }
}

impl<V: FnMut(&Change)> DryRun<'_, V> {
    /// Looks at a snapshot that is a directory.
    pub(in crate::preview) fn directories(&mut self, root: &Entry) {
        if self.options.root_attributes {
            self.note(root);
        }
        let folding = self.folding;
        let fold: FoldName<'_> = &|name| folding.key(name);
        let walk = Walk::new(root.repository()).max_depth(self.options.max_depth);
        let walk = walk.choosing(&self.options.chosen);
        let walk = if folding.is_nothing() { walk } else { walk.fold(fold) };
        let counterpart = PendingDir { handle: self.target.clone(), ..PendingDir::default() };
        let _ = walk.run([(root, counterpart)], self);
    }

    /// Stops at the first difference if nothing more is wanted.
    fn unless_different(&self) -> ControlFlow<()> {
        let Preview { written, directories, problem_count, .. } = self.preview;
        let differs = written > 0 || directories > 0 || problem_count > 0;
        if self.until_different && differs { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Lists the target's directory, if what the snapshot does not have is to be deleted.
    fn names_of(&mut self, directory: &WalkedDir) -> Option<ExtraNames> {
        let listed = directory.attached.handle.as_ref().filter(|_| self.options.delete_extra)?;
        match ExtraNames::read(listed.as_fd()) {
            Ok(names) => Some(names),
            Err(error) => {
                self.extra_problem(directory.path_of(""), NotDeleted::Unlisted(error.into()));
                None
            }
        }
    }

    /// Notes that the snapshot has an entry.
    fn visit_entry(&mut self, directory: &WalkedDir, entry: &Entry) {
        self.note(entry);
        let Visited { extras, placeholders } = &mut self.visited;
        placeholders.note(entry.name());
        if let (Some(extras), Some(existing)) = (extras, &directory.attached.handle) {
            extras.note(existing.as_fd(), entry);
        }
    }

    /// Looks at the counterpart of a directory, and tells what would be made where there is none.
    fn counterpart(&mut self, parent: &WalkedDir, entry: &Entry) -> Result<PendingDir, Reason> {
        let (name, in_use) = (entry.name(), parent.attached.in_use);
        let handle = parent.attached.handle.as_ref();
        let stat = parent.attached.look(name.as_bytes())?;
        let is_boundary = |stat: &Stat| self.is_boundary(handle, name, stat);
        let policy = DirectoryPolicy::decide(stat.as_ref(), entry.modified(), is_boundary, self.options)?;
        let (mut opened, mut is_closed) = (None, false);
        match (policy, handle, stat) {
            (DirectoryPolicy::Fill, Some(handle), Some(stat)) => {
                opened = open(handle, name, &stat)?;
                is_closed = opened.as_ref().is_some_and(|opened| self::is_closed(opened, &stat));
            }
            (DirectoryPolicy::Replace, _, Some(stat)) => {
                parent.attached.foresee_in_place(name.as_bytes()).map_or(Ok(()), Err)?;
                self.made(parent.path_of(name), Action::Replace, freed_bytes(&stat));
            }
            _ => {
                self.foresee_refusal(parent, Made::Directory, name.as_bytes()).map_or(Ok(()), Err)?;
                self.made(parent.path_of(name), Action::Write, 0);
            }
        }
        Ok(PendingDir { handle: opened.map(Arc::new), in_use, is_closed })
    }

    /// Decides about what the target's directory has and the snapshot has not.
    fn settle_extras(&mut self, directory: &WalkedDir, summary: Option<&Summary>) {
        let extras = self.visited.extras.take();
        let (Some(extras), Some(handle)) = (extras, &directory.attached.handle) else { return };
        let (options, path_of) = (self.options, |name: &str| directory.path_of(name));
        let keep = |name: &str, why| self.extra_problem(path_of(name), why);
        let chosen = (options, &directory.scope);
        let names = extras.settle(handle.as_fd(), summary, directory.is_root(), chosen, keep);
        if let Some(names) = names {
            let PendingDir { in_use, is_closed, .. } = directory.attached;
            let spared = options.chosen.as_ref().map(|chosen| Spared { chosen, scope: &directory.scope });
            let path = directory.path_of("");
            let state = (in_use, is_closed, options.keep_replaced);
            self.extras.add((handle.as_fd(), spared), path, state, names, path_of);
        }
    }
}

/// Opens the target's directory, unless it is another one than was found, or one that its owner has to open up
/// first.
fn open(parent: &OwnedFd, name: &str, stat: &Stat) -> io::Result<Option<OwnedFd>> {
    let opened = match open_directory(parent.as_fd(), name) {
        // Its owner gives itself the right.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && is_ours(stat) => return Ok(None),
        opened => unless_gone(opened)?,
    };
    let Some(opened) = opened else { return Ok(None) };
    let is_same = Identity::of(&opened)? == Identity::from(stat);
    Ok(Some(opened).filter(|opened| is_same && !is_shut(opened)))
}

impl<V: FnMut(&Change)> Visitor for DryRun<'_, V> {
    type Directory = PendingDir;

    fn enter(&mut self, directory: &mut WalkedDir) -> ControlFlow<()> {
        self.unless_different()?;
        let is_root = directory.is_root();
        let PendingDir { handle, in_use, .. } = &mut directory.attached;
        if let Some(handle) = handle.as_ref().filter(|_| self.options.delete_extra && !is_root) {
            // What cannot be listed is told below.
            *in_use |= staging::is_in_use(handle.as_fd()).unwrap_or(true);
        }
        let extras = self.names_of(directory);
        let shallow = directory.attached.handle.as_ref().filter(|_| !self.options.delete_extra);
        let listed = shallow.map_or(Ok(Placeholders::default()), |handle| Placeholders::read(handle.as_fd()));
        let placeholders = listed.unwrap_or_else(|error| {
            self.problem(directory.path_of(""), error.into());
            Placeholders::default()
        });
        self.visited = Visited { extras, placeholders };
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, parent: &mut WalkedDir, entry: Entry) -> ControlFlow<()> {
        self.visit_entry(parent, &entry);
        self.leaf(parent, entry.name().as_bytes(), &entry);
        self.unless_different()
    }

    fn directory(
        &mut self,
        parent: &mut WalkedDir,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<PendingDir>> {
        self.visit_entry(parent, entry);
        let counterpart = match way {
            Ok(_) if is_kept_name(entry.name()) => Err(Reason::KeptName),
            Ok(_) => self.counterpart(parent, entry),
            Err(defect) => Err(defect.into()),
        };
        let counterpart =
            counterpart.map_err(|reason| self.lost(parent.path_of(entry.name()), reason, entry)).ok();
        self.unless_different()?;
        ControlFlow::Continue(counterpart)
    }

    fn left_out(&mut self, parent: &mut WalkedDir, name: &str, entry: Option<&Entry>) {
        match (&mut self.visited.extras, &parent.attached.handle, entry) {
            (Some(extras), Some(existing), Some(entry)) => extras.note(existing.as_fd(), entry),
            (Some(extras), ..) => extras.note_refused(name),
            (None, ..) => {}
        }
        self.preview.left_out += 1 + entry.map_or(0, Entry::entries_below);
    }

    fn problem(&mut self, parent: &mut WalkedDir, problem: Problem) -> ControlFlow<()> {
        match problem {
            Problem::Refused(refused) => {
                self.visited.extras.iter_mut().for_each(|extras| extras.note_refused(&refused.name));
                self.problem(parent.path_of(&refused.name), refused.into());
            }
            Problem::Clash(clash) => {
                self.lost(clash.path(&parent.path_of("")), Reason::name_taken(&clash), &clash.entry);
            }
            Problem::NotMerged { name, defect, .. } => {
                self.problem(parent.path_of(&name), defect.into());
            }
        }
        self.unless_different()
    }

    fn leave(&mut self, directory: WalkedDir, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        for name in std::mem::take(&mut self.visited.placeholders).into_replaced() {
            let handle = directory.attached.handle.as_ref();
            let there = handle.and_then(|handle| placeholder::of(handle.as_fd(), &name));
            there.iter().for_each(|name| self.deleted(directory.path_of(name)));
        }
        match read {
            Ok(summary) => self.settle_extras(&directory, summary.as_ref()),
            Err(error) => self.problem(directory.path_of(""), error.into()),
        }
        self.open += 1;
        if self.open >= OPEN {
            self.compare();
        }
        ControlFlow::Continue(())
    }
}
