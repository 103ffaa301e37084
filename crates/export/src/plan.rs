//! Visits the tree in the order of the archive, and gathers batches of entries with what they need.
//!
//! A file that fits into the window is in one batch with all its contents, so all is known of it when its
//! turn comes. The contents of a longer one are decoded twice: the planner has all of them checked, waits for
//! that, and plans them again to be written.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Summary};
use kopia_repository::object::{Extent, Extents};
use kopia_repository::tree::{CurrentPath, Problem as Skipped, Visitor, Walked};
use kopia_repository::{Defect, Entry, Error, Trail};

use crate::Problem;
use crate::batch::{Attributes, Batch, Checked, Item, Meta};
use crate::refused::loss;
use crate::root::Root;
use crate::shared::{Shared, StopOnPanic};

/// How many entries a batch has at most, if their contents and paths do not fill it before that. Where each
/// read takes long, more of them are read together.
const ENTRIES: usize = 4096;
const FAR_ENTRIES: usize = 16_384;

/// How many batches are checked ahead of the one that is waited for.
const CHECKING: usize = 4;

/// Walks the tree on one thread.
pub(crate) struct Planner<'s, 'a> {
    shared: &'s Shared<'a>,
    batches: Sender<Arc<Batch>>,
    batch: Batch,
    /// What is being planned.
    root: &'s Root,
    /// Below the root.
    path: CurrentPath,
}

/// Plans some roots, each with everything below it.
pub(crate) fn run(shared: &Shared<'_>, first: &Root, others: &[Root], batches: Sender<Arc<Batch>>) {
    let _guard = StopOnPanic(shared);
    let (batch, path) = (Batch::default(), CurrentPath::default());
    let mut planner = Planner { shared, batches, batch, root: first, path };
    planner.plan();
    for root in others {
        planner.root = root;
        planner.plan();
    }
    planner.hand_out();
    shared.fetcher.close();
}

impl Visitor for Planner<'_, '_> {
    /// What the archive says of a directory; nothing of a root that is left out.
    type Directory = Option<Attributes>;

    /// A directory comes when its entries do, after the files of the one that it lies in: tar sets the time
    /// of a directory once it is through with what lies in it.
    fn enter(&mut self, directory: &mut Walked<Option<Attributes>>) -> ControlFlow<()> {
        self.path.enter(&directory.trail);
        if let Some(attributes) = directory.attached {
            let path = self.path_of("").into();
            self.add(Item::Directory(Meta { path, attributes, size: 0 }));
        }
        self.unless_stopped()
    }

    fn leaf(&mut self, _: &mut Walked<Option<Attributes>>, entry: Entry) -> ControlFlow<()> {
        self.leaf_at(self.path_of(entry.name()), &entry);
        self.unless_stopped()
    }

    fn directory(
        &mut self,
        _: &mut Walked<Option<Attributes>>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Option<Attributes>>> {
        self.unless_stopped()?;
        if let Err(defect) = way {
            self.problem_at(self.path_of(entry.name()), defect, entry.entries_below());
            return ControlFlow::Continue(None);
        }
        ControlFlow::Continue(Some(Some(Attributes::of(entry, &self.root.owners))))
    }

    fn left_out(&mut self, _: &mut Walked<Option<Attributes>>, _: &str, entry: Option<&Entry>) {
        self.shared.leave_out(1 + entry.map_or(0, Entry::entries_below));
    }

    fn problem(&mut self, _: &mut Walked<Option<Attributes>>, skipped: Skipped) -> ControlFlow<()> {
        match skipped {
            Skipped::Refused(refused) => {
                self.problem_at(self.path_of(&refused.name), Defect::from(refused), 0);
            }
            // Names are folded in no archive.
            Skipped::Clash(_) => {}
            Skipped::NotMerged { name, defect, .. } => {
                self.problem_at(self.path_of(&name), defect, 0);
            }
        }
        self.unless_stopped()
    }

    fn leave(
        &mut self,
        _: Walked<Option<Attributes>>,
        read: Result<Option<Summary>, Error>,
    ) -> ControlFlow<()> {
        if let Err(error) = read {
            self.problem_at(self.path_of(""), Defect::from(error), 0);
        }
        self.unless_stopped()
    }
}

impl Planner<'_, '_> {
    /// Plans the root.
    fn plan(&mut self) {
        if self.shared.is_stopped() {
            return;
        }
        self.path = CurrentPath::default();
        let Root { entry, attributes, owners, .. } = self.root;
        match entry.kind() {
            EntryKind::File | EntryKind::Symlink => self.leaf_at(self.root.path_of_leaf(), entry),
            EntryKind::Directory => {
                let attributes = attributes.then(|| Attributes::of(entry, owners));
                let _ = self.root.walk(self.shared.options).run([(entry, attributes)], self);
            }
        }
    }

    /// Returns the path of an entry in the directory that is being planned, or its own for an empty name.
    fn path_of(&self, name: &str) -> String {
        self.root.path_of(self.path.path_of(name))
    }

    fn unless_stopped(&self) -> ControlFlow<()> {
        if self.shared.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn add(&mut self, item: Item) {
        self.batch.push(item);
        let is_far = self.shared.repository.contents().is_far();
        let entries = if is_far { FAR_ENTRIES } else { ENTRIES };
        if self.batch.items().len() >= entries || self.batch.bytes() >= self.shared.options.window / 4 {
            self.hand_out();
        }
    }

    /// Hands out what was gathered.
    fn hand_out(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            // Nobody listens any more once the export is stopped.
            let _ = self.batches.send(self.shared.hand_out(batch));
        }
    }

    fn problem_at(&mut self, path: String, defect: Defect, below: u64) {
        let problem = Problem { path, defect, lost: Vec::new() };
        self.add(Item::Problem(problem, below));
    }

    /// Plans a file or link.
    fn leaf_at(&mut self, path: String, entry: &Entry) {
        let (repository, object, size) = (self.shared.repository, entry.object(), entry.size());
        if let Some(stub) = entry.stub() {
            self.batch.push(Item::Stub(path.clone().into(), stub));
        }
        if let Some(refusal) = self.shared.options.format.refusal(&path) {
            // None of it is read. What is lost as well is told as such: so does a dry run, which reads no files.
            let defect = loss(entry).map_or(refusal, |loss| loss.defect);
            return self.problem_at(path, defect, 0);
        }
        let attributes = Attributes::of(entry, &self.root.owners);
        let meta = Meta { path: path.into(), attributes, size };
        let is_symlink = entry.kind() == EntryKind::Symlink;
        if size == 0 && !is_symlink && repository.object_is_empty(object) {
            return self.add(Item::File(meta, 0..0));
        }
        let mut extents = Extents::new(repository, object).assuming(size);
        match (extents.next(), extents.next()) {
            (Some(Ok(extent)), None) if is_symlink => {
                let slot = self.batch.need(repository.contents(), &extent, size);
                self.add(Item::Symlink(meta, slot));
            }
            (Some(Ok(_)), Some(_)) if is_symlink => {
                self.problem_at(meta.path.into(), Defect::LongTarget, 0);
            }
            (Some(Err(error)), _) => self.problem_at(meta.path.into(), Defect::from(error), 0),
            (None, _) if is_symlink => self.problem_at(meta.path.into(), Defect::LinkTarget, 0),
            (None, _) => self.add(Item::File(meta, 0..0)),
            (Some(Ok(first)), second) => {
                let extents = [Some(Ok(first)), second].into_iter().flatten().chain(extents);
                self.file(meta, object, extents);
            }
        }
    }

    /// Plans the contents of a file.
    fn file(
        &mut self,
        meta: Meta,
        object: ObjectId,
        mut extents: impl Iterator<Item = kopia_repository::Result<Extent>>,
    ) {
        let most = self.shared.options.window / 2;
        let (mut pieces, mut end) = (Vec::new(), 0);
        for extent in extents.by_ref() {
            end = extent.as_ref().map_or(end, end_of);
            // A single content waits in memory in any case.
            if end > most && !pieces.is_empty() {
                drop(extents);
                return self.long_file(meta, object);
            }
            pieces.push(extent);
        }
        if self.batch.bytes() > 0 && self.batch.bytes().saturating_add(end) > most {
            self.hand_out();
        }
        let (first, mut end) = (self.batch.slots.len(), 0);
        for piece in pieces {
            self.piece(piece, &mut end, &meta);
        }
        let slots = first..self.batch.slots.len();
        self.add(Item::File(meta, slots));
    }

    /// Plans one piece of a file, of which those before it reach so far. Where its list cannot be read, the
    /// rest is lost.
    fn piece(&mut self, piece: kopia_repository::Result<Extent>, end: &mut u64, meta: &Meta) -> usize {
        let contents = self.shared.repository.contents();
        match piece {
            Ok(extent) => {
                *end = (*end).max(end_of(&extent));
                self.batch.need(contents, &extent, meta.size)
            }
            Err(error) => {
                let start = *end;
                *end = start.max(meta.size);
                self.batch.lose(start, *end - start, error.into())
            }
        }
    }

    /// Plans a file that is too long to wait in memory: all its contents are checked before its header goes
    /// out.
    fn long_file(&mut self, meta: Meta, object: ObjectId) {
        self.hand_out();
        let checked = Arc::new(Checked::default());
        let (mut length, mut waiting) = (0, VecDeque::new());
        self.batch = Batch::checking(checked.clone());
        for piece in Extents::new(self.shared.repository, object).assuming(meta.size) {
            self.piece(piece, &mut length, &meta);
            if self.batch.bytes() >= self.shared.options.window / 4 {
                let next = Batch::checking(checked.clone());
                waiting.push_back(self.shared.hand_out(std::mem::replace(&mut self.batch, next)));
                if waiting.len() > CHECKING
                    && !waiting.pop_front().is_some_and(|batch| self.is_through(&batch))
                {
                    break;
                }
            }
        }
        waiting.push_back(self.shared.hand_out(std::mem::take(&mut self.batch)));
        if !waiting.iter().all(|batch| self.is_through(batch)) {
            return;
        }
        if let Some(defect) = checked.defect().filter(|_| !self.shared.options.salvage) {
            return self.problem_at(meta.path.into(), defect, 0);
        }
        self.add(Item::Begin(meta.clone(), length));
        let mut end = 0;
        for piece in Extents::new(self.shared.repository, object).assuming(meta.size) {
            let slot = self.piece(piece, &mut end, &meta);
            self.add(Item::Piece(slot));
            if self.shared.is_stopped() {
                return;
            }
        }
        self.add(Item::End);
    }

    /// Waits until a batch is checked; returns false if the export was stopped.
    fn is_through(&self, batch: &Batch) -> bool {
        let is_through = self.shared.wait_for(batch);
        self.shared.release(batch);
        is_through
    }
}

/// Returns where an extent ends in its object, as far as that is known.
fn end_of(extent: &Extent) -> u64 {
    extent.start.saturating_add(extent.length.unwrap_or_default())
}
