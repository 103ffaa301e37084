//! Finds paths below many roots, each shared directory read once.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Refused, Summary};

use crate::tree::{Problem, Visitor, Walk, Walked, reach};
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
    /// What is refused, by the names that are looked for and may lead there, with how many names lead there.
    refused: HashMap<Names, (usize, Defect)>,
    /// Why not all is known.
    defect: Option<Defect>,
}

impl Known {
    /// Reads a directory for the first of some names.
    fn read(directory: &Entry, names: &[Box<str>]) -> Self {
        let mut known = Self::default();
        let read = directory.for_each(|entry| {
            match entry {
                Ok(entry) if names.first().is_some_and(|name| **name == *entry.name()) => {
                    known.entries.insert(entry.name().into(), entry);
                    return ControlFlow::Break(());
                }
                Ok(_) => {}
                Err(refused) => known.note(refused, names),
            }
            ControlFlow::Continue(())
        });
        known.defect = read.err().map(Defect::from);
        known
    }

    /// Notes what is refused, if that may lie where some names lead.
    fn note(&mut self, refused: Refused, names: &[Box<str>]) {
        let Some(reach) = reach(&refused, names) else { return };
        if self.refused.get(names).is_none_or(|(known, _)| *known < reach) {
            self.refused.insert(names.to_vec(), (reach, refused.into()));
        }
    }
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
            Ok(root) => root.clone(),
            Err(defect) => return Err(defect.clone()),
        };
        let mut is_shared = true;
        // What was refused on the way, and the number of the name behind its own.
        let mut refused: Option<(usize, Defect)> = None;
        for (number, name) in names.iter().enumerate() {
            let missing = |refused: Option<(usize, Defect)>| match refused {
                Some((end, defect)) if number < end => Err(defect),
                _ => Ok(None),
            };
            if entry.kind() != EntryKind::Directory {
                return missing(refused);
            }
            // Names of other entries may lead here, and below: that is seldom, and not shared.
            is_shared &= entry.is_whole();
            let own;
            let known = if is_shared {
                self.known.get(&entry.object())
            } else {
                own = Known::read(&entry, &names[number..]);
                Some(&own)
            };
            let Some(known) = known else { return missing(refused) };
            if let Some((reach, defect)) = known.refused.get(&names[number..])
                && refused.as_ref().is_none_or(|(end, _)| *end < number + reach)
            {
                refused = Some((number + reach, defect.clone()));
            }
            match (known.entries.get(name), &known.defect) {
                (Some(child), _) => entry = child.clone(),
                (None, Some(defect)) => return Err(defect.clone()),
                (None, None) => return missing(refused),
            }
        }
        Ok(Some(entry))
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

    fn problem(&mut self, parent: &mut Walked<Names>, problem: Problem) -> ControlFlow<()> {
        if let (Some(refused), Some(object)) = (problem.refused(), parent.trail.object()) {
            self.lookup.known.entry(object).or_default().note(refused, &parent.attached);
        }
        ControlFlow::Continue(())
    }

    fn leave(&mut self, directory: Walked<Names>, read: Result<Option<Summary>, Error>) -> ControlFlow<()> {
        if let (Err(error), Some(object)) = (read, directory.trail.object()) {
            self.lookup.known.entry(object).or_default().defect = Some(error.into());
        }
        ControlFlow::Continue(())
    }
}
