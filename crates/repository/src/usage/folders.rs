//! Folder by folder, what a restore writes.

use std::ops::ControlFlow;

use kopia_format::directory::{EntryKind, Summary};

use super::Totals;
use crate::tree::{Order, Problem, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Result, Trail};

/// What is come by.
#[derive(Debug)]
pub enum Event {
    /// A directory, after those in it.
    Folder(Folder),
    /// What cannot be counted.
    Problem {
        /// Its path below the root.
        path: String,
        /// What is wrong.
        defect: Defect,
    },
}

/// A directory, with all that is below it.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it lies below the root. Unlike paths, trails of directories in the same one share what they have in
    /// common.
    pub trail: Trail,
    /// The directory itself.
    pub entry: Entry,
    /// What is below it.
    pub totals: Totals,
}

impl Folder {
    /// Returns the path below the root, empty for the root.
    pub fn path(&self) -> String {
        self.trail.path_of("")
    }
}

/// Adds up what is in a directory, and in each of those down to `depth` below it; `visit` may stop it.
///
/// Directories below that are not read where the one above has their totals, as kopia writes them.
pub fn folders(root: &Entry, depth: usize, visit: impl FnMut(Event) -> ControlFlow<()>) -> ControlFlow<()> {
    let open = Vec::new();
    let mut run = Run { depth, open, visit };
    let walk = Walk::new(root.repository()).order(Order::DepthFirst).read_ahead();
    walk.run([(root, Some(root.clone()))], &mut run)?;
    run.close(0)
}

struct Run<V> {
    depth: usize,
    /// The directory that is being visited, last, and those that it lies in.
    open: Vec<Folder>,
    visit: V,
}

impl<V: FnMut(Event) -> ControlFlow<()>> Run<V> {
    /// Ends all directories of this depth or more.
    fn close(&mut self, depth: usize) -> ControlFlow<()> {
        while self.open.len() > depth {
            let Some(folder) = self.open.pop() else { break };
            if let Some(above) = self.open.last_mut() {
                above.totals.add(folder.totals);
            }
            if self.open.len() <= self.depth {
                (self.visit)(Event::Folder(folder))?;
            }
        }
        ControlFlow::Continue(())
    }

    fn add(&mut self, totals: Totals) {
        if let Some(folder) = self.open.last_mut() {
            folder.totals.add(totals);
        }
    }

    fn tell(&mut self, path: String, defect: Defect) -> ControlFlow<()> {
        (self.visit)(Event::Problem { path, defect })
    }
}

impl<V: FnMut(Event) -> ControlFlow<()>> Visitor for Run<V> {
    /// The directory itself, until it is entered.
    type Directory = Option<Entry>;

    fn enter(&mut self, directory: &mut Walked<Option<Entry>>) -> ControlFlow<()> {
        self.close(directory.trail.depth())?;
        let Some(entry) = directory.attached.take() else { return ControlFlow::Continue(()) };
        self.open.push(Folder { trail: directory.trail.clone(), entry, totals: Totals::default() });
        ControlFlow::Continue(())
    }

    fn leaf(&mut self, _: &mut Walked<Option<Entry>>, entry: Entry) -> ControlFlow<()> {
        let bytes = if entry.kind() == EntryKind::File { entry.size() } else { 0 };
        self.add(Totals { files: 1, directories: 0, bytes });
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Option<Entry>>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Option<Entry>>> {
        self.add(Totals { directories: 1, ..Totals::default() });
        let depth = parent.trail.depth() + 1;
        let totals = Totals::of_summary(entry).filter(|_| depth >= self.depth);
        if let Some(totals) = totals {
            self.add(totals);
            if depth == self.depth {
                let trail = way.ok().cloned().unwrap_or_else(|| parent.trail.child(entry.name(), None));
                (self.visit)(Event::Folder(Folder { trail, entry: entry.clone(), totals }))?;
            }
            return ControlFlow::Continue(None);
        }
        if let Err(defect) = way {
            self.tell(parent.path_of(entry.name()), defect)?;
        }
        ControlFlow::Continue(Some(Some(entry.clone())))
    }

    fn problem(&mut self, parent: &mut Walked<Option<Entry>>, problem: Problem) -> ControlFlow<()> {
        let Some(refused) = problem.refused() else { return ControlFlow::Continue(()) };
        self.tell(parent.path_of(&refused.name), refused.into())
    }

    fn leave(
        &mut self,
        directory: Walked<Option<Entry>>,
        read: Result<Option<Summary>, Error>,
    ) -> ControlFlow<()> {
        match read {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => self.tell(directory.path_of(""), error.into()),
        }
    }
}
