//! The entries of a directory where names are folded: as a file system has them on which upper and lower case
//! are one.
//!
//! Directories whose names are one are merged, and of files and links the first counts.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Refusal, Refused};

use super::directory::Fetched;
use super::problem::{Clash, Problem, may_be_directory};
use super::source::{DirectorySource, Read};
use super::{Entry, MAX_WAITING, MAX_WAITING_NAMES, fetch};
use crate::Repository;
use crate::choice::{Chosen, Scope};

/// Returns what is equal for all names that are one.
pub type FoldName<'f> = &'f dyn Fn(&str) -> Cow<'_, str>;

/// The most directories that are merged into one; only a tree that is made to use up memory has more.
const MAX_MERGED: usize = 1 << 16;

/// How many bytes the names of one directory take at most: with some 20 characters each, those of twenty million
/// entries.
const MAX_NAMES: usize = 1 << 30;

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
            Err(refused) => {
                // Nobody says which of both it is.
                let is_taken = take(&refused.name, false).is_some()
                    || may_be_directory(&refused) && take(&refused.name, true).is_some();
                if is_taken {
                    Seen::Problem(Problem::Refused(refused))
                } else {
                    Seen::LeftOut(refused.name, None)
                }
            }
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
    names: Names,
    directories: Vec<(Entry, Scope, Vec<Merged>)>,
    /// The number of each directory, by the place of its name.
    numbers: HashMap<u64, usize>,
    /// The number of each directory, and an object that is read for it.
    sources: HashSet<(usize, ObjectId)>,
    /// How many bytes the names of directories take, and what is merged into them.
    directory_names: usize,
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
        let (place, other) = self.names.place(fold, entry.name());
        let bytes = if is_directory { size_of::<Merged>() + entry.name().len() } else { 0 };
        let Some(other) = other.map(Box::<str>::from) else {
            if let Some(why) = self.why_refused(&entry, bytes) {
                let (name, object) = (entry.name().into(), (!entry.is_implied()).then(|| entry.object()));
                return visit(Seen::Problem(Problem::Refused(Refused { name, why, object })));
            }
            self.names.insert(place, entry.name());
            if !is_directory {
                return visit(Seen::Entry(entry, scope, Vec::new()));
            }
            self.directory_names += bytes;
            self.numbers.insert(place, self.directories.len());
            let whole = whole(&entry.source());
            self.sources.extend(whole.map(|object| (self.directories.len(), object)));
            self.directories.push((entry, scope, Vec::new()));
            return ControlFlow::Continue(());
        };
        let number = self.numbers.get(&place).copied().filter(|_| is_directory);
        let fits = |number: &usize| {
            self.directories[*number].2.len() < MAX_MERGED
                && self.directory_names + bytes <= MAX_WAITING_NAMES
        };
        let Some(number) = number.filter(fits) else {
            let within = within.map(Into::into);
            return visit(Seen::Problem(Problem::Clash(Clash { entry, other, within })));
        };
        let source = entry.source();
        // The same object has nothing more to merge, and would double with each level below it.
        if whole(&source).is_none_or(|object| self.sources.insert((number, object))) {
            self.directory_names += bytes;
            self.directories[number].2.push(Merged { name: entry.name().into(), source, scope });
        }
        ControlFlow::Continue(())
    }

    /// Returns why an entry of a new name cannot be kept, if that is a directory of so many bytes.
    fn why_refused(&self, entry: &Entry, bytes: usize) -> Option<Refusal> {
        let is_directory = entry.kind() == EntryKind::Directory;
        if self.names.memory() + entry.name().len() > MAX_NAMES {
            Some(Refusal::TooManyNames { limit: MAX_NAMES })
        } else if is_directory && self.directories.len() == MAX_WAITING {
            Some(Refusal::TooManyDirectories { limit: MAX_WAITING })
        } else if self.directory_names + bytes > MAX_WAITING_NAMES {
            Some(Refusal::LongDirectories { limit: MAX_WAITING_NAMES })
        } else {
            None
        }
    }
}

/// Names, by what they are folded to; each takes some 30 bytes and its own.
#[derive(Default)]
struct Names {
    hasher: RandomState,
    /// One after the other, each with a NUL byte, which no name has, at its end.
    text: String,
    /// Where each begins, by the hash of what it is folded to, or the next number that was free.
    starts: HashMap<u64, usize>,
}

impl Names {
    /// Returns the place of the name that is one with this one, and that name; or the place that is free for
    /// this one.
    fn place(&self, fold: FoldName<'_>, name: &str) -> (u64, Option<&str>) {
        let key = fold(name);
        let mut place = self.hasher.hash_one(&*key);
        while let Some(&start) = self.starts.get(&place) {
            let rest = &self.text[start..];
            let other = rest.split_once('\0').map_or(rest, |(other, _)| other);
            if fold(other) == key {
                return (place, Some(other));
            }
            place = place.wrapping_add(1);
        }
        (place, None)
    }

    fn insert(&mut self, place: u64, name: &str) {
        self.starts.insert(place, self.text.len());
        self.text.push_str(name);
        self.text.push('\0');
    }

    /// Returns about how many bytes of memory they take.
    fn memory(&self) -> usize {
        self.text.len() + 30 * self.starts.len()
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

#[cfg(test)]
mod tests {
    use kopia_format::{Timestamp, directory};
    use kopia_testkit::writer::RepositoryWriter;

    use super::*;
    use crate::testing::open;

    #[test]
    fn a_directory_that_there_is_no_room_for_is_refused_with_its_object_if_it_has_one() {
        let repository = open(RepositoryWriter::new());
        let object: ObjectId = "kaa".parse().unwrap();
        let own = directory::Entry {
            name: "a".into(),
            kind: EntryKind::Directory,
            mode: 0o755,
            size: 0,
            modified: Timestamp::default(),
            uid: 0,
            gid: 0,
            object,
            summary: None,
        };
        let implied = Entry::implied(&repository, object, "b", &own);
        let entries = [Entry::new(&repository, own), implied];
        let fold: FoldName<'_> = &|name| name.to_lowercase().into();
        let bytes = size_of::<Merged>() + 1;
        for (room, expected) in [
            (2 * bytes, vec![]),
            (2 * bytes - 1, vec![("b".to_owned(), None)]),
            (bytes - 1, vec![("a".to_owned(), Some(object)), ("b".to_owned(), None)]),
        ] {
            let mut folded = Folded { directory_names: MAX_WAITING_NAMES - room, ..Folded::default() };
            let mut refused = Vec::new();
            for entry in entries.clone() {
                let seen = Seen::Entry(entry, Scope::default(), Vec::new());
                let added = folded.add(fold, seen, None, &mut |seen| {
                    let Seen::Problem(Problem::Refused(one)) = seen else { panic!("it is no problem") };
                    assert_eq!(one.why, Refusal::LongDirectories { limit: MAX_WAITING_NAMES });
                    refused.push((one.name, one.object));
                    ControlFlow::Continue(())
                });
                assert!(added.is_continue());
            }
            assert_eq!((refused, folded.directories.len()), (expected.clone(), 2 - expected.len()), "{room}");
        }
    }

    #[test]
    fn names_are_found_by_what_they_are_folded_to_and_stand_once() {
        let fold: FoldName<'_> = &|name| name.to_lowercase().into();
        let mut names = Names::default();
        for number in 0..1000 {
            let name = format!("Name{number}");
            let (place, other) = names.place(fold, &name);
            assert_eq!(other, None);
            names.insert(place, &name);
            assert_eq!(names.place(fold, &name.to_uppercase()), (place, Some(&*name)));
        }
        assert_eq!(names.place(fold, "name7").1, Some("Name7"));
        assert_eq!(names.place(fold, "nam").1, None);
        let bytes: usize = (0..1000).map(|number| format!("Name{number}").len()).sum();
        // Each has a hash and a number, and the table is half full at least.
        let memory = bytes + 1000 * 16..=bytes + 1000 * 32;
        assert!(memory.contains(&names.memory()), "{} is not in {memory:?}", names.memory());
        // Of two with one hash, the second has the next place.
        let (place, _) = names.place(fold, "other");
        names.insert(place, "not this one");
        let (next, other) = names.place(fold, "Other");
        assert_eq!((next, other), (place.wrapping_add(1), None));
        names.insert(next, "Other");
        assert_eq!(names.place(fold, "OTHER"), (next, Some("Other")));
    }
}
