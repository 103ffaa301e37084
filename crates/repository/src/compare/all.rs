//! All that is below a directory which the newer tree lacks.

use std::ops::ControlFlow;

use kopia_format::directory::Summary;

use super::{Changes, Differing, Event};
use crate::tree::{Order, Problem, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Result, Trail};

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
        match parent.path_of(name).as_str() {
            "" => self.path.to_owned(),
            below => format!("{}/{below}", self.path),
        }
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
