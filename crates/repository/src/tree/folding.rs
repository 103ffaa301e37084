//! The entries of a directory where names are folded: as a file system has them on which upper and lower case
//! are one.
//!
//! Directories whose names are one are merged, and of files and links the first counts.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Refused};

use super::directory::Fetched;
use super::problem::{Clash, Problem};
use super::source::{DirectorySource, Read};
use super::{Entry, fetch};
use crate::Repository;

/// Returns what is equal for all names that are one.
pub type FoldName<'f> = &'f dyn Fn(&str) -> Cow<'_, str>;

/// The most directories that are merged into one; only a tree that is made to use up memory has more.
const MAX_MERGED: usize = 1 << 16;

/// A directory whose entries go into another one, because its name is taken for that one's.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    pub(super) name: Box<str>,
    pub(super) source: DirectorySource,
}

/// What stands in a directory.
pub(super) enum Seen {
    /// An entry, and for a directory those that are merged into it.
    Entry(Entry, Vec<Merged>),
    Problem(Problem),
}

/// Visits what stands in a directory. A trait object: one copy of the code serves all walks.
pub(super) type VisitSeen<'v> = dyn FnMut(Seen) -> ControlFlow<()> + 'v;

/// Visits what stands in a directory whose names are not folded.
pub(super) fn for_each_as_named(fetched: Fetched, visit: &mut VisitSeen<'_>) -> Read {
    fetched.for_each(&mut |entry| visit(seen(entry)))
}

/// Visits what stands in a directory, also what its name leads elsewhere.
pub(super) fn for_each_as_it_stands(fetched: Fetched, visit: &mut VisitSeen<'_>) -> Read {
    fetched.for_each_as_it_stands(&mut |entry| visit(seen(entry)))
}

fn seen(entry: Result<Entry, Refused>) -> Seen {
    match entry {
        Ok(entry) => Seen::Entry(entry, Vec::new()),
        Err(refused) => Seen::Problem(Problem::Refused(refused)),
    }
}

/// Visits what stands in a directory and in those that are merged into it; directories come last.
///
/// # Errors
/// As for [`Fetched::for_each`], the first error of any of them.
pub(super) fn for_each(
    fold: FoldName<'_>,
    repository: &Repository,
    fetched: Fetched,
    merged: &[Merged],
    visit: &mut VisitSeen<'_>,
) -> Read {
    let mut folded = Folded::default();
    let mut result = fetched.for_each(&mut |entry| folded.add(fold, entry, None, visit));
    for Merged { name, source } in merged {
        if let Ok(ControlFlow::Break(())) = result {
            return result;
        }
        for fetched in fetch(repository, 1, std::iter::once(source)) {
            let read = fetched.for_each(&mut |entry| folded.add(fold, entry, Some(name), visit));
            result = add(result, read);
        }
    }
    if let Ok(ControlFlow::Continue(_)) | Err(_) = result {
        for (entry, merged) in folded.directories {
            if visit(Seen::Entry(entry, merged)).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    result
}

/// What was found in a directory and in those that are merged into it.
#[derive(Default)]
struct Folded {
    /// By folded names.
    taken: HashMap<String, Taken>,
    directories: Vec<(Entry, Vec<Merged>)>,
    /// The number of each directory, and an object that is read for it.
    sources: HashSet<(usize, ObjectId)>,
}

/// What has a name already.
struct Taken {
    name: Box<str>,
    /// The number of a directory.
    directory: Option<usize>,
}

impl Folded {
    /// Keeps a directory, and visits everything else.
    fn add(
        &mut self,
        fold: FoldName<'_>,
        entry: Result<Entry, Refused>,
        within: Option<&str>,
        visit: &mut VisitSeen<'_>,
    ) -> ControlFlow<()> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(refused) => return visit(Seen::Problem(Problem::Refused(refused))),
        };
        let is_directory = entry.kind() == EntryKind::Directory;
        let key = fold(entry.name());
        match self.taken.get(&*key) {
            None => {
                let directory = is_directory.then_some(self.directories.len());
                self.taken.insert(key.into_owned(), Taken { name: entry.name().into(), directory });
                if !is_directory {
                    return visit(Seen::Entry(entry, Vec::new()));
                }
                let whole = whole(&entry.source());
                self.sources.extend(whole.map(|object| (self.directories.len(), object)));
                self.directories.push((entry, Vec::new()));
            }
            Some(Taken { directory: Some(number), .. })
                if is_directory && self.directories[*number].1.len() < MAX_MERGED =>
            {
                let source = entry.source();
                // The same object has nothing more to merge, and would double with each level below it.
                if whole(&source).is_none_or(|object| self.sources.insert((*number, object))) {
                    self.directories[*number].1.push(Merged { name: entry.name().into(), source });
                }
            }
            Some(Taken { name, .. }) => {
                let (other, within) = (name.clone(), within.map(Into::into));
                return visit(Seen::Problem(Problem::Clash(Clash { entry, other, within })));
            }
        }
        ControlFlow::Continue(())
    }
}

/// Returns the object of a directory, if that says all that is in it.
fn whole(source: &DirectorySource) -> Option<ObjectId> {
    source.object().filter(|_| source.is_whole())
}

/// Joins what is known of two directories that become one.
fn add(first: Read, second: Read) -> Read {
    let (mut sum, more) = match (first?, second?) {
        (ControlFlow::Continue(Some(sum)), ControlFlow::Continue(Some(more))) => (sum, more),
        (ControlFlow::Continue(first), ControlFlow::Continue(second)) => {
            return Ok(ControlFlow::Continue(first.or(second)));
        }
        _ => return Ok(ControlFlow::Break(())),
    };
    if sum.incomplete.is_empty() {
        sum.incomplete = more.incomplete;
    }
    sum.failed = sum.failed.saturating_add(more.failed);
    sum.ignored_errors = sum.ignored_errors.saturating_add(more.ignored_errors);
    sum.errors.extend(more.errors);
    Ok(ControlFlow::Continue(Some(sum)))
}
