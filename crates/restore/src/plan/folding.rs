//! The entries of a directory as the target can have them: where upper and lower case are one, directories whose names are
//! one are merged, and of files and links the first is restored.

use std::collections::{HashMap, HashSet};

use kopia_format::ObjectId;
use kopia_format::directory::{EntryKind, Refused, Summary};
use kopia_repository::{DirectorySource, Entry, Fetched, Repository};

use crate::destination::naming::Folding;
use crate::reason::Reason;

/// How many directories are merged into one at most. More than some are found in no tree but one made to use up memory.
const MOST_MERGED: usize = 1 << 16;

/// A directory whose entries go into another one, because the target takes its name for that one's.
#[derive(Debug, Clone)]
pub(crate) struct Merged {
    pub(crate) name: Box<str>,
    pub(crate) source: DirectorySource,
}

/// What stands in a directory.
pub(crate) enum Seen {
    /// An entry, and for a directory those that are merged into it.
    Entry(Entry, Vec<Merged>),
    /// What cannot be restored anywhere.
    Refused(Refused),
    /// An entry whose name the target takes for that of another one.
    Clash(Clash),
}

pub(crate) struct Clash {
    pub(crate) entry: Entry,
    /// The name of the entry that is restored.
    other: Box<str>,
    /// The name of its directory, if that is merged into another one.
    within: Option<Box<str>>,
}

impl Clash {
    /// Returns why it is not restored.
    pub(crate) fn reason(&self) -> Reason {
        Reason::NameTaken { other: Some(self.other.clone()) }
    }

    /// Returns its path in the snapshot, where its directory has this path in the target.
    pub(crate) fn path(&self, directory: &str) -> String {
        let name = self.entry.name();
        let parent = match (&self.within, directory.rsplit_once('/')) {
            (None, _) => directory.to_owned(),
            (Some(within), None) => within.to_string(),
            (Some(within), Some((above, _))) => format!("{above}/{within}"),
        };
        if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
    }
}

/// Returns how many entries are lost with one: all that is below a directory, as far as it says.
pub(crate) fn below(entry: &Entry) -> u64 {
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    let sum = |summary: &Summary| {
        let all = [summary.files, summary.symlinks, summary.dirs].map(number);
        // It counts itself as well.
        all.into_iter().fold(0, u64::saturating_add).saturating_sub(1)
    };
    entry.summary().map_or(0, sum)
}

/// What has a name already.
struct Taken {
    name: Box<str>,
    /// The number of a directory.
    directory: Option<usize>,
}

/// Visits the entries of a directory and of those that are merged into it. Where names are folded, directories come last.
///
/// # Errors
/// As for [`Fetched::for_each`], the first error of any of them.
pub(crate) fn for_each(
    folding: Folding,
    repository: &Repository,
    fetched: Fetched,
    merged: &[Merged],
    mut visit: impl FnMut(Seen),
) -> kopia_repository::Result<Option<Summary>> {
    if folding == Folding::Nothing {
        return fetched.for_each(|entry| match entry {
            Ok(entry) => visit(Seen::Entry(entry, Vec::new())),
            Err(refused) => visit(Seen::Refused(refused)),
        });
    }
    let mut taken: HashMap<String, Taken> = HashMap::new();
    let mut directories: Vec<(Entry, Vec<Merged>)> = Vec::new();
    // The number of each directory, and an object that is read for it.
    let mut sources: HashSet<(usize, ObjectId)> = HashSet::new();
    let mut see = |entry: Result<Entry, Refused>, within: Option<&str>| {
        let entry = match entry {
            Ok(entry) => entry,
            Err(refused) => return visit(Seen::Refused(refused)),
        };
        let is_directory = entry.kind() == EntryKind::Directory;
        let key = folding.key(entry.name());
        match taken.get(&*key) {
            None => {
                let directory = is_directory.then_some(directories.len());
                taken.insert(key.into_owned(), Taken { name: entry.name().into(), directory });
                if is_directory {
                    sources.extend(whole(&entry.source()).map(|object| (directories.len(), object)));
                    directories.push((entry, Vec::new()));
                } else {
                    visit(Seen::Entry(entry, Vec::new()));
                }
            }
            Some(Taken { directory: Some(number), .. })
                if is_directory && directories[*number].1.len() < MOST_MERGED =>
            {
                let source = entry.source();
                // What is the same has nothing more to merge, and would double with each level below it.
                if whole(&source).is_none_or(|object| sources.insert((*number, object))) {
                    directories[*number].1.push(Merged { name: entry.name().into(), source });
                }
            }
            Some(Taken { name, .. }) => {
                let (other, within) = (name.clone(), within.map(Into::into));
                visit(Seen::Clash(Clash { entry, other, within }));
            }
        }
    };
    let mut result = fetched.for_each(|entry| see(entry, None));
    for Merged { name, source } in merged {
        for fetched in Entry::fetch_some(repository, std::iter::once(source.clone())) {
            let read = fetched.for_each(|entry| see(entry, Some(name)));
            result = add(result, read);
        }
    }
    for (entry, merged) in directories {
        visit(Seen::Entry(entry, merged));
    }
    result
}

/// Returns the object of a directory, if that says all that is in it.
fn whole(source: &DirectorySource) -> Option<ObjectId> {
    source.object().filter(|_| source.is_whole())
}

/// Joins what is said of two directories that become one.
fn add(
    first: kopia_repository::Result<Option<Summary>>,
    second: kopia_repository::Result<Option<Summary>>,
) -> kopia_repository::Result<Option<Summary>> {
    let (Some(mut sum), more) = (match (first?, second?) {
        (None, more) => return Ok(more),
        (sum, more) => (sum, more),
    }) else {
        return Ok(None);
    };
    if let Some(more) = more {
        if sum.incomplete.is_empty() {
            sum.incomplete = more.incomplete;
        }
        sum.failed = sum.failed.saturating_add(more.failed);
        sum.ignored_errors = sum.ignored_errors.saturating_add(more.ignored_errors);
        sum.errors.extend(more.errors);
    }
    Ok(Some(sum))
}

#[cfg(test)]
mod tests {
    use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
    use serde_json::json;

    use super::*;

    #[test]
    fn directories_that_are_the_same_are_read_once() {
        let place = tempfile::tempdir().unwrap();
        let mut writer = RepositoryWriter::new();
        let bytes = writer.file(b"x");
        let folder =
            |name: &str, object: &str| json!({"name": name, "type": "d", "mode": "0755", "obj": object});
        let file = json!({"name": "f", "type": "f", "mode": "0644", "size": 1, "obj": bytes});
        let mut object = writer.directory(&[file]);
        let other = object.clone();
        // Read as often as they are named, the lowest would be read 2^40 times.
        for _ in 0..40 {
            object = writer.directory(&[folder("a", &object), folder("A", &object)]);
        }
        let root = writer.directory(&[folder("a", &object), folder("A", &object), folder("Á", &other)]);
        writer.snapshot("app@host:/data", folder("data", &root));
        writer.finish_in(&place.path().join("repo")).unwrap();
        let store = kopia_storage::FilesystemStore::open(place.path().join("repo")).unwrap();
        let repository = Repository::open(store, &kopia_codec::key::Password::from(PASSWORD)).unwrap();
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        let (mut next, mut depth) = (Some((root, Vec::new())), 0);
        while let Some((directory, merged)) = next.take() {
            for_each(Folding::Unicode, &repository, directory.fetch(), &merged, |seen| match seen {
                Seen::Entry(entry, merged) if entry.name() == "a" => {
                    assert!(merged.is_empty(), "{} at {depth}", merged.len());
                    next = Some((entry, merged));
                }
                Seen::Entry(entry, _) => assert!(["f", "Á"].contains(&entry.name())),
                Seen::Refused(_) | Seen::Clash(_) => unreachable!(),
            })
            .unwrap();
            depth += 1;
        }
        assert_eq!(depth, 42);
    }

    #[test]
    fn directories_are_merged_and_files_clash() {
        let place = tempfile::tempdir().unwrap();
        let mut writer = RepositoryWriter::new();
        let bytes = writer.file(b"x");
        let entry = |kind: &str, name: &str, object: &str| json!({"name": name, "type": kind, "mode": "0644", "size": 1, "obj": object});
        let upper = writer.directory(&[entry("f", "Same", &bytes), entry("f", "one", &bytes)]);
        let lower = writer.directory(&[entry("f", "same", &bytes), entry("f", "two", &bytes)]);
        let root = writer.directory(&[
            entry("d", "Case", &upper),
            entry("f", "README", &bytes),
            entry("d", "case", &lower),
            entry("f", "readme", &bytes),
            entry("d", "readMe", &lower),
        ]);
        writer.snapshot("app@host:/data", entry("d", "data", &root));
        writer.finish_in(&place.path().join("repo")).unwrap();
        let store = kopia_storage::FilesystemStore::open(place.path().join("repo")).unwrap();
        let password = kopia_codec::key::Password::from(PASSWORD);
        let repository = Repository::open(store, &password).unwrap();
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        let (mut lines, mut found) = (Vec::new(), Vec::new());
        for_each(Folding::Unicode, &repository, root.fetch(), &[], |seen| match seen {
            Seen::Entry(entry, merged) => {
                let names: Vec<&str> = merged.iter().map(|merged| &*merged.name).collect();
                lines.push(format!("{} {names:?}", entry.name()));
                if entry.kind() == EntryKind::Directory {
                    found.push((entry, merged));
                }
            }
            Seen::Refused(_) => unreachable!(),
            Seen::Clash(clash) => lines.push(format!("{} is {}", clash.path(""), clash.other)),
        })
        .unwrap();
        assert_eq!(lines, ["README []", "readme is README", "readMe is README", "Case [\"case\"]"]);
        let (entry, merged) = found.remove(0);
        let mut lines = Vec::new();
        for_each(Folding::Unicode, &repository, entry.fetch(), &merged, |seen| match seen {
            Seen::Entry(entry, _) => lines.push(entry.name().to_owned()),
            Seen::Refused(_) => unreachable!(),
            Seen::Clash(clash) => lines.push(format!("{} is {}", clash.path("a/Case"), clash.other)),
        })
        .unwrap();
        assert_eq!(lines, ["Same", "one", "a/case/same is Same", "two"]);
        let mut lines = Vec::new();
        for_each(Folding::Nothing, &repository, root.fetch(), &[], |seen| match seen {
            Seen::Entry(entry, _) => lines.push(entry.name().to_owned()),
            Seen::Refused(_) | Seen::Clash(_) => unreachable!(),
        })
        .unwrap();
        assert_eq!(lines, ["Case", "README", "case", "readme", "readMe"]);
    }
}
