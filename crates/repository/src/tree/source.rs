//! What the entries of a directory are read from.
//!
//! An entry may have a name with `/`: `kopia snapshot create --stdin-file=/var/lib/db.tar` and Velero's
//! copies of block volumes make such. It stands in one directory and belongs below it, where its name leads,
//! so the directories of its name are taken for entries as well, and where the snapshot has them itself the
//! entry is put among theirs.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use kopia_format::ObjectId;
use kopia_format::directory::{self, EntryKind, Refusal, Refused, Summary};

use super::names::SeenNames;
use super::{Entry, MAX_WAITING, MAX_WAITING_NAMES};
use crate::{Repository, Result};

/// The most entries of one directory whose names may have `/`, and their components.
///
/// All their components are counted together: each may be a directory.
const MOST: usize = 1 << 16;
const MOST_COMPONENTS: usize = 1 << 20;

/// What the entries of a directory are read from: its object, and the entries that names with `/` put into
/// it.
///
/// It is cheap to clone, and makes a [`Fetched`](super::directory::Fetched) by [`fetch`](super::fetch).
#[derive(Debug, Clone)]
pub(super) struct DirectorySource {
    pub(super) object: ObjectId,
    /// Whether nothing but names says that there is such a directory. Then the object is that of the
    /// directory with these names.
    pub(super) implied: bool,
    pub(super) placed: Option<Arc<Vec<Placed>>>,
}

/// An entry that its name puts into a directory.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// Its name, which is shared by all that are made of it on the way.
    name: Arc<str>,
    /// Where that begins which is left of it, at least one component.
    at: usize,
    entry: Arc<directory::Entry<'static>>,
}

impl Placed {
    /// Returns what is left of its name.
    fn path(&self) -> &str {
        &self.name[self.at..]
    }
}

impl DirectorySource {
    /// Returns the directory's object; an implied one has none.
    pub(super) fn object(&self) -> Option<ObjectId> {
        (!self.implied).then_some(self.object)
    }

    /// Returns the entries that names put into the directory, or below it, by these names.
    pub(super) fn placed_entries<'s>(
        &'s self,
        repository: &'s Repository,
    ) -> impl Iterator<Item = Entry> + 's {
        let placed = self.placed.iter().flat_map(|placed| placed.iter());
        placed.map(|placed| Entry::new(repository, (*placed.entry).clone()))
    }

    /// Returns whether the object alone says what is in the directory.
    pub(super) fn is_whole(&self) -> bool {
        !self.implied && self.placed.is_none()
    }
}

impl From<ObjectId> for DirectorySource {
    fn from(object: ObjectId) -> Self {
        Self { object, implied: false, placed: None }
    }
}

/// Visits entries as their directory has them.
pub(super) type Visit<'v> = dyn FnMut(Result<directory::Entry<'_>, Refused>) -> ControlFlow<()> + 'v;

/// Visits entries of a repository. A trait object: one copy of the code serves all who read directories.
pub(super) type VisitEntry<'v> = dyn FnMut(Result<Entry, Refused>) -> ControlFlow<()> + 'v;

/// What is known of a directory once its entries were visited: its summary, unless the visitor stopped.
pub(super) type Read = Result<ControlFlow<(), Option<Summary>>>;

/// Returns why an entry is left out that has the name of another one.
pub(super) fn doubled(name: &str, object: ObjectId) -> Refused {
    Refused { name: name.into(), why: Refusal::Doubled, object: Some(object) }
}

/// Reads a directory once more and visits those of its entries that are wanted.
pub(super) fn reread(
    read: &dyn Fn(&mut Visit<'_>) -> Read,
    is_wanted: fn(&directory::Entry<'_>) -> bool,
    visit: &mut dyn FnMut(&directory::Entry<'_>) -> ControlFlow<()>,
) {
    // The first reading reports what is wrong with the directory.
    let _ = read(&mut |entry| match entry {
        Ok(entry) if is_wanted(&entry) => visit(&entry),
        _ => ControlFlow::Continue(()),
    });
}

/// Reads a directory and visits its entries, each by a name of one component: first files and links, then
/// directories.
///
/// `read` reads the directory as it is, up to three times.
pub(super) fn merge(
    repository: &Repository,
    source: &DirectorySource,
    read: &dyn Fn(&mut Visit<'_>) -> Read,
    visit: &mut VisitEntry<'_>,
) -> Read {
    let (mut directories, mut placed) = (Vec::new(), Vec::new());
    let (mut components, mut name_bytes) = (0, 0);
    let mut names = SeenNames::default();
    let summary = read(&mut |entry| match entry {
        Err(refused) => visit(Err(refused)),
        Ok(entry) if entry.name.contains('/') && placed.len() == MOST => {
            let why = Refusal::TooManyPaths { limit: MOST };
            visit(Err(Refused { name: entry.name.into_owned(), why, object: Some(entry.object) }))
        }
        Ok(entry) if entry.name.contains('/') => {
            components += entry.name.split('/').count();
            if components > MOST_COMPONENTS {
                let why = Refusal::TooManyComponents { limit: MOST_COMPONENTS };
                return visit(Err(Refused {
                    name: entry.name.into_owned(),
                    why,
                    object: Some(entry.object),
                }));
            }
            let entry = entry.into_owned();
            placed.push(Placed { name: (&*entry.name).into(), at: 0, entry: entry.into() });
            ControlFlow::Continue(())
        }
        Ok(entry) if !names.add(&entry, |visit| reread(read, |entry| !entry.name.contains('/'), visit)) => {
            visit(Err(doubled(&entry.name, entry.object)))
        }
        Ok(entry) => {
            let entry = Entry::new(repository, entry.into_owned());
            if entry.kind() != EntryKind::Directory {
                visit(Ok(entry))
            } else if directories.len() == MAX_WAITING {
                let why = Refusal::TooManyDirectories { limit: MAX_WAITING };
                visit(Err(Refused { name: entry.name().into(), why, object: Some(entry.object()) }))
            } else if name_bytes + entry.name().len() > MAX_WAITING_NAMES {
                let why = Refusal::LongDirectories { limit: MAX_WAITING_NAMES };
                visit(Err(Refused { name: entry.name().into(), why, object: Some(entry.object()) }))
            } else {
                name_bytes += entry.name().len();
                directories.push((entry, Vec::new()));
                ControlFlow::Continue(())
            }
        }
    });
    if let Ok(ControlFlow::Break(())) = summary {
        return summary;
    }
    placed.extend(source.placed.iter().flat_map(|placed| placed.iter().cloned()));
    if !placed.is_empty() {
        let taken = names_of(&placed, &directories, read);
        if place(repository, source, placed, (&mut directories, taken), visit).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    for (mut entry, placed) in directories {
        if !placed.is_empty() {
            entry.placed = Some(Arc::new(placed));
        }
        if visit(Ok(entry)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    summary
}

/// A directory, and what is put into it.
type Directories = Vec<(Entry, Vec<Placed>)>;

/// What has a name: the number of a directory, or something that nothing can be put into.
type Taken = HashMap<Box<str>, Option<usize>>;

/// Finds what the directory has by the first components of names.
fn names_of(placed: &[Placed], directories: &Directories, read: &dyn Fn(&mut Visit<'_>) -> Read) -> Taken {
    let first = |placed: &Placed| placed.path().split('/').next().unwrap_or_default().into();
    let wanted: HashSet<Box<str>> = placed.iter().map(first).collect();
    let names = directories.iter().map(|(entry, _)| entry.name()).enumerate();
    let named = names.filter(|(_, name)| wanted.contains(*name));
    let mut taken: Taken = named.map(|(number, name)| (name.into(), Some(number))).collect();
    // What is wrong with the directory was said when it was read first.
    let _ = read(&mut |entry| {
        if let Ok(entry) = entry
            && wanted.contains(&*entry.name)
        {
            taken.entry((&*entry.name).into()).or_insert(None);
        }
        ControlFlow::Continue(())
    });
    taken
}

/// Puts entries where their names lead. What the directory has itself comes before them.
fn place(
    repository: &Repository,
    source: &DirectorySource,
    placed: Vec<Placed>,
    (directories, mut taken): (&mut Directories, Taken),
    visit: &mut VisitEntry<'_>,
) -> ControlFlow<()> {
    for Placed { name: whole, at, entry } in placed {
        let path = &whole[at..];
        let (name, rest) = match path.split_once('/') {
            Some((name, _)) => (name, Some(at + name.len() + 1)),
            None => (path, None),
        };
        let below = |at, entry| Placed { name: Arc::clone(&whole), at, entry };
        let own =
            |entry: directory::Entry<'static>| directory::Entry { name: name.to_owned().into(), ..entry };
        match (taken.get(name), rest) {
            (Some(_), None) => visit(Err(doubled(name, entry.object)))?,
            (None, None) if entry.kind == EntryKind::Directory => {
                taken.insert(name.into(), Some(directories.len()));
                let entry = own(Arc::unwrap_or_clone(entry));
                directories.push((Entry::new(repository, entry), Vec::new()));
            }
            (None, None) => {
                taken.insert(name.into(), None);
                visit(Ok(Entry::new(repository, own(Arc::unwrap_or_clone(entry)))))?;
            }
            (Some(Some(number)), Some(rest)) => {
                directories[*number].1.push(below(rest, entry));
            }
            (Some(None), Some(_)) => {
                let why = Refusal::NotADirectory { through: name.into() };
                visit(Err(Refused { name: path.into(), why, object: Some(entry.object) }))?;
            }
            (None, Some(rest)) => {
                taken.insert(name.into(), Some(directories.len()));
                let directory = Entry::implied(repository, source.object, name, &entry);
                directories.push((directory, vec![below(rest, entry)]));
            }
        }
    }
    ControlFlow::Continue(())
}
