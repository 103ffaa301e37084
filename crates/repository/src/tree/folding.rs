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
use crate::choice::{Chosen, Scope};

/// Returns what is equal for all names that are one.
pub type FoldName<'f> = &'f dyn Fn(&str) -> Cow<'_, str>;

/// The most directories that are merged into one; only a tree that is made to use up memory has more.
const MAX_MERGED: usize = 1 << 16;

/// A directory whose entries go into another one, because its name is taken for that one's.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    pub(super) name: Box<str>,
    pub(super) source: DirectorySource,
    pub(super) scope: Scope,
}

/// What stands in a directory.
pub(super) enum Seen {
    /// An entry, and for a directory what is taken in it, and those that are merged into it.
    Entry(Entry, Scope, Vec<Merged>),
    /// The name of an entry that is not taken, and the entry unless it is refused.
    LeftOut(String, Option<Entry>),
    Problem(Problem),
}

/// What is taken of a directory; everything if nothing is given.
#[derive(Clone, Copy)]
pub(super) struct Taken<'c> {
    pub(super) chosen: Option<&'c Chosen>,
    pub(super) scope: &'c Scope,
}

impl Taken<'_> {
    /// Returns what is to be visited of an entry.
    fn seen(self, entry: Result<Entry, Refused>) -> Seen {
        let take = |name: &str, is_directory| match self.chosen {
            Some(chosen) => chosen.take(self.scope, name, is_directory),
            None => Some(Scope::default()),
        };
        match entry {
            Ok(entry) => match take(entry.name(), entry.kind() == EntryKind::Directory) {
                Some(scope) => Seen::Entry(entry, scope, Vec::new()),
                None => Seen::LeftOut(entry.name().to_owned(), Some(entry)),
            },
            // What it is nobody knows.
            Err(refused) if take(&refused.name, false).or_else(|| take(&refused.name, true)).is_none() => {
                Seen::LeftOut(refused.name, None)
            }
            Err(refused) => Seen::Problem(Problem::Refused(refused)),
        }
    }
}

/// Visits what stands in a directory. A trait object: one copy of the code serves all walks.
pub(super) type VisitSeen<'v> = dyn FnMut(Seen) -> ControlFlow<()> + 'v;

/// Visits what stands in a directory whose names are not folded.
pub(super) fn for_each_as_named(fetched: Fetched, taken: Taken<'_>, visit: &mut VisitSeen<'_>) -> Read {
    fetched.for_each(&mut |entry| visit(taken.seen(entry)))
}

/// Visits what stands in a directory, also what its name leads elsewhere.
pub(super) fn for_each_as_it_stands(fetched: Fetched, taken: Taken<'_>, visit: &mut VisitSeen<'_>) -> Read {
    fetched.for_each_as_it_stands(&mut |entry| visit(taken.seen(entry)))
}

/// Visits what stands in a directory and in those that are merged into it; directories come last.
///
/// # Errors
/// As for [`Fetched::for_each`], the first error of any of them.
pub(super) fn for_each(
    fold: FoldName<'_>,
    repository: &Repository,
    fetched: Fetched,
    taken: Taken<'_>,
    merged: &[Merged],
    visit: &mut VisitSeen<'_>,
) -> Read {
    let mut folded = Folded::default();
    let mut result = fetched.for_each(&mut |entry| folded.add(fold, taken.seen(entry), None, visit));
    for Merged { name, source, scope } in merged {
        let taken = Taken { scope, ..taken };
        if let Ok(ControlFlow::Break(())) = result {
            return result;
        }
        for fetched in fetch(repository, 1, std::iter::once(source)) {
            let read = fetched.for_each(&mut |entry| folded.add(fold, taken.seen(entry), Some(name), visit));
            result = add(result, read);
        }
    }
    if let Ok(ControlFlow::Continue(_)) | Err(_) = result {
        for (entry, scope, merged) in folded.directories {
            if visit(Seen::Entry(entry, scope, merged)).is_break() {
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
    taken: HashMap<String, Holder>,
    directories: Vec<(Entry, Scope, Vec<Merged>)>,
    /// The number of each directory, and an object that is read for it.
    sources: HashSet<(usize, ObjectId)>,
}

/// What has a name already.
struct Holder {
    name: Box<str>,
    /// The number of a directory.
    directory: Option<usize>,
}

impl Folded {
    /// Keeps a directory, and visits everything else.
    fn add(
        &mut self,
        fold: FoldName<'_>,
        seen: Seen,
        within: Option<&str>,
        visit: &mut VisitSeen<'_>,
    ) -> ControlFlow<()> {
        let (entry, scope) = match seen {
            Seen::Entry(entry, scope, _) => (entry, scope),
            seen => return visit(seen),
        };
        let is_directory = entry.kind() == EntryKind::Directory;
        let key = fold(entry.name());
        match self.taken.get(&*key) {
            None => {
                let directory = is_directory.then_some(self.directories.len());
                self.taken.insert(key.into_owned(), Holder { name: entry.name().into(), directory });
                if !is_directory {
                    return visit(Seen::Entry(entry, scope, Vec::new()));
                }
                let whole = whole(&entry.source());
                self.sources.extend(whole.map(|object| (self.directories.len(), object)));
                self.directories.push((entry, scope, Vec::new()));
            }
            Some(Holder { directory: Some(number), .. })
                if is_directory && self.directories[*number].2.len() < MAX_MERGED =>
            {
                let source = entry.source();
                // The same object has nothing more to merge, and would double with each level below it.
                if whole(&source).is_none_or(|object| self.sources.insert((*number, object))) {
                    self.directories[*number].2.push(Merged { name: entry.name().into(), source, scope });
                }
            }
            Some(Holder { name, .. }) => {
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
