//! One walk over all directories below some roots, for everything that looks at whole trees.
//!
//! It reads directories in batches, joins paths, and decides what it cannot descend into: directories that
//! contain themselves, lie too deep, or are too many. What it does with an entry is up to its [`Visitor`]. It
//! neither recurses nor keeps entries: what waits are directories alone, each with its name and what the
//! visitor attaches to it.

use std::ops::ControlFlow;

use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Summary};

use super::directory::{Fetched, fetch};
use super::folding::{self, FoldName, Merged, Seen, Taken};
use super::passed::Passed;
use super::problem::Problem;
use super::source::DirectorySource;
use super::{Entry, Trail};
use crate::choice::{Chosen, Scope};
use crate::{Defect, Error, Repository};

/// The most directories that wait to be visited; each takes some 200 bytes, its name, and what the visitor
/// attaches.
pub const MAX_WAITING: usize = 2 << 20;

/// How many bytes the names of directories that wait may have together: enough for [`MAX_WAITING`] names of 128
/// bytes. A visitor that attaches an entry has its name once more.
pub const MAX_WAITING_NAMES: usize = 256 << 20;

/// How many bytes of directories are kept that were read before their turn; then each is read when it comes.
const MAX_AHEAD: u64 = 8 << 20;

/// Is told what a walk comes by, and says where it goes on.
///
/// Each method may stop the walk by `ControlFlow::Break`.
pub trait Visitor {
    /// What the visitor attaches to a directory until its entries are visited.
    type Directory;

    /// Returns whether a directory need not be visited after all; asked of the next one before each read, and of
    /// those that are read together before each is visited.
    fn is_known(&mut self, directory: &Walked<Self::Directory>) -> bool {
        let _ = directory;
        false
    }

    /// Begins with the entries of a directory.
    fn enter(&mut self, directory: &mut Walked<Self::Directory>) -> ControlFlow<()> {
        let _ = directory;
        ControlFlow::Continue(())
    }

    /// Visits a file or link.
    fn leaf(&mut self, parent: &mut Walked<Self::Directory>, entry: Entry) -> ControlFlow<()>;

    /// Visits a directory in another; the walk descends into it later if something is attached to it.
    ///
    /// `way` is its own trail, or why the walk does not descend into it whatever is attached.
    fn directory(
        &mut self,
        parent: &mut Walked<Self::Directory>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Self::Directory>>;

    /// Is told of the name of an entry that is not taken, where the walk has a choice, and of the entry unless
    /// it is refused.
    fn left_out(&mut self, parent: &mut Walked<Self::Directory>, name: &str, entry: Option<&Entry>) {
        let _ = (parent, name, entry);
    }

    /// Is told of an entry that cannot be visited.
    fn problem(&mut self, parent: &mut Walked<Self::Directory>, problem: Problem) -> ControlFlow<()>;

    /// Ends with the entries of a directory: none are left, or the rest cannot be read. Those of its
    /// directories come later.
    fn leave(
        &mut self,
        directory: Walked<Self::Directory>,
        read: Result<Option<Summary>, Error>,
    ) -> ControlFlow<()>;
}

/// A directory of a walk.
#[derive(Debug)]
pub struct Walked<D> {
    /// Where it lies.
    pub trail: Trail,
    /// Whether its object alone says what is in it, rather than names of other directories' entries as well.
    pub is_whole: bool,
    /// What is taken in it, where the walk has a choice.
    pub scope: Scope,
    /// What the visitor has attached to it.
    pub attached: D,
}

impl<D> Walked<D> {
    /// Returns the path of an entry in it, or its own for an empty name.
    pub fn path_of(&self, name: &str) -> String {
        self.trail.path_of(name)
    }

    /// Returns whether it is a root of the walk.
    pub fn is_root(&self) -> bool {
        self.trail.depth() == 0
    }
}

/// In which order a walk visits directories. In both, those of one directory come in its own order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As many as are short together are read at once and visited before any that lie in them: one read from
    /// a slow store serves up to 1024.
    #[default]
    Batches,
    /// Each directory is followed by those that lie in it.
    DepthFirst,
}

/// How to walk.
#[derive(Clone, Copy)]
pub struct Walk<'w> {
    repository: &'w Repository,
    order: Order,
    max_depth: usize,
    max_waiting: usize,
    max_names: usize,
    fold: Option<FoldName<'w>>,
    chosen: Option<&'w Chosen>,
    as_it_stands: bool,
    ahead: bool,
}

impl<'w> Walk<'w> {
    /// Walks in batches, to any depth, with names as they are.
    pub fn new(repository: &'w Repository) -> Self {
        let (order, max_depth) = (Order::default(), usize::MAX);
        let (max_waiting, max_names) = (MAX_WAITING, MAX_WAITING_NAMES);
        let (fold, chosen, as_it_stands, ahead) = (None, None, false, false);
        Self { repository, order, max_depth, max_waiting, max_names, fold, chosen, as_it_stands, ahead }
    }

    /// Sets the order of directories.
    pub fn order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Reads directories that lie side by side at once, also where they are visited one after the other: for
    /// walks that visit all of them. Some MiB are kept until their turn.
    pub fn read_ahead(self) -> Self {
        Self { ahead: true, ..self }
    }

    /// Sets how many directories below the root the walk goes down.
    pub fn max_depth(self, max_depth: usize) -> Self {
        Self { max_depth, ..self }
    }

    /// Sets how many directories may wait to be visited, [`MAX_WAITING`] if it is not called.
    pub fn max_waiting(self, max_waiting: usize) -> Self {
        Self { max_waiting, ..self }
    }

    /// Sets how many bytes the names of directories that wait may have together, [`MAX_WAITING_NAMES`] if it is
    /// not called.
    pub fn max_names(self, max_names: usize) -> Self {
        Self { max_names, ..self }
    }

    /// Takes names for one that `fold` makes equal: directories are merged, and of files and links the first
    /// counts.
    ///
    /// All entries of a directory are kept until its end, and directories come last.
    pub fn fold(self, fold: FoldName<'w>) -> Self {
        Self { fold: Some(fold), ..self }
    }

    /// Visits only what is taken of the roots that the choice was made among, and directories on the way there.
    pub fn choosing(self, chosen: impl Into<Option<&'w Chosen>>) -> Self {
        Self { chosen: chosen.into(), ..self }
    }

    /// Visits entries where their directories have them, wherever their names lead, and as many as there are.
    ///
    /// The visitor has to see to it that nothing is visited without end: it descends into no object twice.
    /// Then no more directories wait than the repository has. Their names are not kept: trails have none.
    pub fn as_it_stands(self) -> Self {
        Self { as_it_stands: true, max_waiting: usize::MAX, ..self }
    }

    /// Walks everything below some roots, with what is attached to each.
    ///
    /// The roots themselves are not visited as entries.
    pub fn run<'e, V: Visitor>(
        &self,
        roots: impl IntoIterator<Item = (&'e Entry, V::Directory)>,
        visitor: &mut V,
    ) -> ControlFlow<()> {
        let mut passed = Passed::new();
        let roots = roots.into_iter().map(|(root, attached)| {
            let source = root.source();
            source.object().into_iter().for_each(|object| passed.add(object));
            let scope = self.chosen.map(|chosen| chosen.root(root)).unwrap_or_default();
            Waiting::new(source.clone(), Vec::new(), Trail::root(source.object()), (scope, attached))
        });
        let mut waiting: Vec<_> = roots.collect();
        waiting.reverse();
        Run { walk: self, visitor, waiting, names: 0, passed, ahead: 0 }.run()
    }
}

/// A directory that is to be visited.
struct Waiting<D> {
    source: DirectorySource,
    /// Directories that are merged into it.
    merged: Vec<Merged>,
    walked: Walked<D>,
    /// What was read before its turn: few have it, and many may wait.
    fetched: Option<Box<Fetched>>,
}

impl<D> Waiting<D> {
    fn new(
        source: DirectorySource,
        merged: Vec<Merged>,
        trail: Trail,
        (scope, attached): (Scope, D),
    ) -> Self {
        let is_whole = source.is_whole();
        Self { source, merged, walked: Walked { trail, is_whole, scope, attached }, fetched: None }
    }

    /// Returns how many bytes its names take, and what is merged into it.
    fn names(&self) -> usize {
        let merged = |merged: &Merged| size_of_val(merged) + size_of::<ObjectId>() + merged.name.len();
        self.walked.trail.name().len() + self.merged.iter().map(merged).sum::<usize>()
    }
}

/// A walk under way.
struct Run<'r, 'w, V: Visitor> {
    walk: &'r Walk<'w>,
    visitor: &'r mut V,
    /// What is to be visited, the next one last.
    waiting: Vec<Waiting<V::Directory>>,
    /// How many bytes the names of these take.
    names: usize,
    /// Every object of which there is a trail.
    passed: Passed,
    /// How many bytes were read of directories that wait.
    ahead: u64,
}

impl<V: Visitor> Run<'_, '_, V> {
    fn run(mut self) -> ControlFlow<()> {
        loop {
            while self.waiting.last().is_some_and(|next| self.visitor.is_known(&next.walked)) {
                self.take_next();
            }
            if self.waiting.is_empty() {
                return ControlFlow::Continue(());
            }
            match self.walk.order {
                Order::Batches => {
                    let sources = self.waiting.iter().rev().map(|waiting| &waiting.source);
                    let fetched = fetch(self.walk.repository, usize::MAX, sources);
                    let batch = self.waiting.split_off(self.waiting.len() - fetched.len());
                    self.visit_batch(batch, fetched)?;
                }
                Order::DepthFirst => self.visit_next()?,
            }
        }
    }

    /// Takes the next directory, with what was read of it.
    fn take_next(&mut self) -> Option<Waiting<V::Directory>> {
        let next = self.waiting.pop()?;
        self.names -= next.names();
        self.ahead -= next.fetched.as_ref().map_or(0, |fetched| fetched.length());
        Some(next)
    }

    /// Visits the next directory, and lets those in it come before all others.
    fn visit_next(&mut self) -> ControlFlow<()> {
        if self.waiting.last().is_some_and(|next| next.fetched.is_none()) {
            let most = if self.walk.ahead && self.ahead < MAX_AHEAD { usize::MAX } else { 1 };
            let unread = self.waiting.iter().rev().take_while(|waiting| waiting.fetched.is_none());
            let fetched = fetch(self.walk.repository, most, unread.map(|waiting| &waiting.source));
            for (waiting, fetched) in self.waiting.iter_mut().rev().zip(fetched) {
                self.ahead += fetched.length();
                waiting.fetched = Some(Box::new(fetched));
            }
        }
        let Some(mut next) = self.take_next() else { return ControlFlow::Continue(()) };
        let Some(fetched) = next.fetched.take() else { return ControlFlow::Continue(()) };
        let found = self.visit(next, *fetched, self.waiting.len())?;
        self.waiting.extend(found.into_iter().rev());
        ControlFlow::Continue(())
    }

    /// Visits directories, the first one last in the batch, and lets those in them wait in their order.
    fn visit_batch(
        &mut self,
        mut batch: Vec<Waiting<V::Directory>>,
        fetched: Vec<Fetched>,
    ) -> ControlFlow<()> {
        let (mut below, mut count) = (Vec::new(), 0);
        for fetched in fetched {
            let Some(next) = batch.pop() else { break };
            self.names -= next.names();
            if self.visitor.is_known(&next.walked) {
                continue;
            }
            let others = self.waiting.len() + batch.len() + count;
            let found = self.visit(next, fetched, others)?;
            count += found.len();
            below.push(found);
            // The rest is put back, to be read again later: a whole batch could find more than may wait.
            if count > self.walk.max_waiting / 8 {
                break;
            }
        }
        self.waiting.append(&mut batch);
        self.waiting.extend(below.into_iter().rev().flat_map(|found| found.into_iter().rev()));
        ControlFlow::Continue(())
    }

    /// Visits what is in a directory and returns the directories in it, where so many others wait.
    fn visit(
        &mut self,
        next: Waiting<V::Directory>,
        fetched: Fetched,
        others: usize,
    ) -> ControlFlow<(), Vec<Waiting<V::Directory>>> {
        let Waiting { merged, mut walked, .. } = next;
        self.visitor.enter(&mut walked)?;
        let (walk, mut found) = (self.walk, Vec::new());
        let scope = walked.scope.clone();
        let taken = Taken { chosen: walk.chosen, scope: &scope };
        let mut visit = |seen: Seen| match seen {
            Seen::Entry(entry, scope, merged) if entry.kind() == EntryKind::Directory => {
                let below = (scope, merged);
                found.extend(self.descend(&mut walked, &entry, below, others + found.len())?);
                ControlFlow::Continue(())
            }
            Seen::Entry(entry, ..) => self.visitor.leaf(&mut walked, entry),
            Seen::LeftOut(name, entry) => {
                self.visitor.left_out(&mut walked, &name, entry.as_ref());
                ControlFlow::Continue(())
            }
            Seen::Problem(problem) => self.visitor.problem(&mut walked, problem),
        };
        let read = match walk.fold {
            Some(fold) => folding::for_each(fold, walk.repository, fetched, taken, &merged, &mut visit),
            None if walk.as_it_stands => folding::for_each_as_it_stands(fetched, taken, &mut visit),
            None => folding::for_each_as_named(fetched, taken, &mut visit),
        };
        let read = match read {
            Ok(ControlFlow::Break(())) => return ControlFlow::Break(()),
            Ok(ControlFlow::Continue(summary)) => Ok(summary),
            Err(error) => Err(error),
        };
        self.visitor.leave(walked, read)?;
        ControlFlow::Continue(found)
    }

    /// Visits a directory as an entry of another, and returns it if the walk descends into it.
    fn descend(
        &mut self,
        parent: &mut Walked<V::Directory>,
        entry: &Entry,
        (scope, merged): (Scope, Vec<Merged>),
        others: usize,
    ) -> ControlFlow<(), Option<Waiting<V::Directory>>> {
        let source = entry.source();
        if let Some(defect) = self.why_barred(parent, entry, &source, others) {
            self.visitor.directory(parent, entry, Err(defect))?;
            return ControlFlow::Continue(None);
        }
        let is_cycle = |merged: &Merged| self.is_cycle(parent, &merged.source);
        let (cycles, merged): (Vec<_>, Vec<_>) = merged.into_iter().partition(is_cycle);
        for Merged { name, source, .. } in cycles {
            let (object, defect) = (source.object(), Defect::ContainsItself);
            self.visitor.problem(parent, Problem::NotMerged { name, object, defect })?;
        }
        let objects =
            merged.iter().map(|merged| &merged.source).chain([&source]).filter_map(|source| source.object());
        objects.for_each(|object| self.passed.add(object));
        let name = if self.walk.as_it_stands { "" } else { entry.name() };
        let trail = parent.trail.merged_child(name, source.object(), &merged);
        let attached = self.visitor.directory(parent, entry, Ok(&trail))?;
        let waiting = attached.map(|attached| Waiting::new(source, merged, trail, (scope, attached)));
        self.names += waiting.as_ref().map_or(0, Waiting::names);
        ControlFlow::Continue(waiting)
    }

    /// Returns why the walk does not descend into a directory, where so many others wait.
    fn why_barred(
        &self,
        parent: &Walked<V::Directory>,
        entry: &Entry,
        source: &DirectorySource,
        others: usize,
    ) -> Option<Defect> {
        let limit = self.walk.max_depth;
        if parent.trail.depth() >= limit {
            Some(Defect::TooDeep { limit })
        } else if others >= self.walk.max_waiting {
            Some(Defect::TooManyWaiting { limit: self.walk.max_waiting })
        } else if !self.walk.as_it_stands && self.names + entry.name().len() > self.walk.max_names {
            Some(Defect::LongWaiting { limit: self.walk.max_names })
        } else if self.is_cycle(parent, source) {
            Some(Defect::ContainsItself)
        } else {
            None
        }
    }

    fn is_cycle(&self, parent: &Walked<V::Directory>, source: &DirectorySource) -> bool {
        let may_be = |object| !self.walk.as_it_stands && self.passed.may_have(object);
        source.object().is_some_and(may_be) && parent.trail.contains(source)
    }
}
