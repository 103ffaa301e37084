//! Finds paths below many roots, each shared directory read once.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Summary};

use crate::tree::{Problem, Visitor, Walk, Walked};
use crate::{Defect, Entry, Error, Repository, Result, Trail};

/// What directories have by the names that are looked for in them.
#[derive(Default)]
pub(super) struct Lookup {
    known: HashMap<ObjectId, Known>,
}

/// What is known of a directory.
#[derive(Default)]
struct Known {
    entries: HashMap<Box<str>, Entry>,
    defect: Option<Defect>,
}

/// The names that are looked for below a directory; they begin with those of its own entries.
type Names = Vec<Box<str>>;

impl Lookup {
    /// Finds what lies at a path below each root; nothing where there is none.
    pub(super) fn all(
        repository: &Repository,
        roots: &[(Result<Entry, Defect>, &str)],
    ) -> Vec<Result<Option<Entry>, Defect>> {
        let mut lookup = Self::default();
        let names = |path: &str| -> Names {
            path.split('/').filter(|name| !name.is_empty()).map(Into::into).collect()
        };
        let mut met = HashSet::new();
        let walked = roots.iter().filter_map(|(root, path)| {
            let root = root.as_ref().ok()?;
            let goes_down = root.kind() == EntryKind::Directory && root.is_whole() && !path.is_empty();
            (goes_down && met.insert((root.object(), *path))).then(|| (root, names(path)))
        });
        let mut run = Run { lookup: &mut lookup, met: HashSet::new() };
        let _ = Walk::new(repository).run(walked.collect::<Vec<_>>(), &mut run);
        roots.iter().map(|(root, path)| lookup.find(root, &names(path))).collect()
    }

    fn find(&self, root: &Result<Entry, Defect>, names: &[Box<str>]) -> Result<Option<Entry>, Defect> {
        let mut entry = match root {
            Ok(root) => root,
            Err(defect) => return Err(defect.clone()),
        };
        for (number, name) in names.iter().enumerate() {
            if entry.kind() != EntryKind::Directory {
                return Ok(None);
            }
            if !entry.is_whole() {
                // Names of other entries lead here: that is seldom, and not shared.
                return match entry.at(&names[number..].join("/")) {
                    Ok(entry) => Ok(Some(entry)),
                    Err(Error::NotFound { .. } | Error::WrongKind { .. }) => Ok(None),
                    Err(error) => Err(error.into()),
                };
            }
            let Some(known) = self.known.get(&entry.object()) else { return Ok(None) };
            match (known.entries.get(name), &known.defect) {
                (Some(child), _) => entry = child,
                (None, Some(defect)) => return Err(defect.clone()),
                (None, None) => return Ok(None),
            }
        }
        Ok(Some(entry.clone()))
    }
}

struct Run<'l> {
    lookup: &'l mut Lookup,
    /// Directories that were descended into, with how many names were left.
    met: HashSet<(ObjectId, Names)>,
}

impl Run<'_> {
    /// Keeps an entry that is looked for, and returns the names to look for below it.
    fn keep(&mut self, parent: &Walked<Names>, entry: &Entry) -> Option<Names> {
        let (name, rest) = parent.attached.split_first()?;
        if **name != *entry.name() {
            return None;
        }
        let known = self.lookup.known.entry(parent.trail.object()?).or_default();
        known.entries.insert(name.clone(), entry.clone());
        (!rest.is_empty()).then(|| rest.to_vec())
    }
}

impl Visitor for Run<'_> {
    type Directory = Names;

    fn leaf(&mut self, parent: &mut Walked<Names>, entry: Entry) -> ControlFlow<()> {
        self.keep(parent, &entry);
        ControlFlow::Continue(())
    }

    fn directory(
        &mut self,
        parent: &mut Walked<Names>,
        entry: &Entry,
        _: Result<&Trail, Defect>,
    ) -> ControlFlow<(), Option<Names>> {
        let names = self.keep(parent, entry).filter(|_| entry.is_whole());
        ControlFlow::Continue(names.filter(|names| self.met.insert((entry.object(), names.clone()))))
    }

    fn problem(&mut self, _: &mut Walked<Names>, _: Problem) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn leave(&mut self, directory: Walked<Names>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        if let (Err(error), Some(object)) = (read, directory.trail.object()) {
            self.lookup.known.entry(object).or_default().defect = Some(error.into());
        }
        ControlFlow::Continue(())
    }
}
