//! What the newer tree lacks, and all that is below it.

use std::ops::ControlFlow;

use kopia_format::directory::{EntryKind, Summary};

use super::{Changes, Differing, Event};
use crate::tree::{Order, Problem, RefusedAt, RefusedPaths, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Result, Trail};

/// Tells of what the newer tree lacks.
pub(super) struct Removed<'a> {
    /// What the newer tree refuses: it does not lack that.
    pub(super) refused: &'a RefusedPaths,
    /// Whether all below what it lacks is told as well.
    pub(super) recursive: bool,
    pub(super) visit: &'a mut dyn FnMut(Event) -> ControlFlow<()>,
}

impl Removed<'_> {
    /// Tells of an entry that the newer tree was not seen to have in the directory of a path. Where it refuses
    /// something below, it may have a directory here, and lacks the rest.
    pub(super) fn tell(&mut self, directory: &str, old: &Entry) -> ControlFlow<()> {
        let mut waiting = Vec::new();
        self.look_at(directory, old, &mut waiting)?;
        while let Some((path, directory)) = waiting.pop() {
            let mut flow = ControlFlow::Continue(());
            let read = directory.for_each(|entry| {
                flow = match entry {
                    Ok(entry) => self.look_at(&path, &entry, &mut waiting),
                    Err(refused) => self.problem(joined(&path, &refused.name), refused.into()),
                };
                flow
            });
            flow?;
            if let Err(error) = read {
                self.problem(path, error.into())?;
            }
        }
        ControlFlow::Continue(())
    }

    fn look_at(
        &mut self,
        directory: &str,
        old: &Entry,
        waiting: &mut Vec<(String, Entry)>,
    ) -> ControlFlow<()> {
        let path = joined(directory, old.name());
        let is_directory = old.kind() == EntryKind::Directory;
        match self.refused.at(directory, old.name()) {
            RefusedAt::Nothing => {
                let (path, changes) = (path.clone(), Changes::default());
                (self.visit)(Event::Differs(Differing { path, old: Some(old.clone()), new: None, changes }))?;
            }
            RefusedAt::Below if is_directory => {
                waiting.push((path, old.clone()));
                return ControlFlow::Continue(());
            }
            RefusedAt::Entry | RefusedAt::Below => return ControlFlow::Continue(()),
        }
        if self.recursive && is_directory {
            return below(old, &path, &mut *self.visit);
        }
        ControlFlow::Continue(())
    }

    fn problem(&mut self, path: String, defect: Defect) -> ControlFlow<()> {
        (self.visit)(Event::Problem { path, defect })
    }
}

/// Joins the path of a directory with a name in it; either may be empty.
fn joined(directory: &str, name: &str) -> String {
    match (directory, name) {
        ("", path) | (path, "") => path.to_owned(),
        _ => format!("{directory}/{name}"),
    }
}

/// Tells of everything below a directory as removed.
pub(super) fn below(
    directory: &Entry,
    path: &str,
    visit: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let walk = Walk::new(directory.repository()).order(Order::DepthFirst).read_ahead();
    walk.run([(directory, ())], &mut Below { path, visit })
}

struct Below<'a> {
    path: &'a str,
    visit: &'a mut dyn FnMut(Event) -> ControlFlow<()>,
}

impl Below<'_> {
    fn path_of(&self, parent: &Walked<()>, name: &str) -> String {
        joined(self.path, &parent.path_of(name))
    }

    fn removed(&mut self, parent: &Walked<()>, entry: &Entry) -> ControlFlow<()> {
        let (path, changes) = (self.path_of(parent, entry.name()), Changes::default());
        (self.visit)(Event::Differs(Differing { path, old: Some(entry.clone()), new: None, changes }))
    }
}

impl Visitor for Below<'_> {
    type Directory = ();

    fn leaf(&mut self, parent: &mut Walked<()>, entry: Entry) -> ControlFlow<()> {
        self.removed(parent, &entry)
    }

    fn directory(
        &mut self,
        parent: &mut Walked<()>,
        entry: &Entry,
        way: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<()>> {
        self.removed(parent, entry)?;
        if let Err(defect) = way {
            let path = self.path_of(parent, entry.name());
            (self.visit)(Event::Problem { path, defect })?;
        }
        ControlFlow::Continue(Some(()))
    }

    fn problem(&mut self, parent: &mut Walked<()>, problem: Problem) -> ControlFlow<()> {
        let Some(refused) = problem.refused() else { return ControlFlow::Continue(()) };
        let path = self.path_of(parent, &refused.name);
        (self.visit)(Event::Problem { path, defect: refused.into() })
    }

    fn leave(&mut self, directory: Walked<()>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        match read {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => {
                let path = self.path_of(&directory, "");
                (self.visit)(Event::Problem { path, defect: error.into() })
            }
        }
    }
}
