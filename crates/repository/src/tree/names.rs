//! Which names a directory has had so far, so that of several entries of one name the first counts.
//!
//! Kopia writes directories first, then all else, each sorted by name. As long as that holds, two entries of
//! one name and kind are neighbours, and only directories are remembered, for files of their names. In a
//! directory that is not sorted every name is: those before the first one out of order are read once more.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use kopia_format::directory::{Entry, EntryKind};

/// The most names of one directory that are remembered, each in some 16 bytes.
const MAX_REMEMBERED: usize = 4 << 20;

/// The names of the entries that were read; those that lead into directories belong here only where entries are
/// visited as they stand.
#[derive(Default)]
pub(super) struct SeenNames {
    count: u64,
    last: String,
    last_is_directory: bool,
    is_unsorted: bool,
    hasher: RandomState,
    /// Hashes of names: of directories, and of everything where entries are not sorted.
    remembered: HashSet<u64>,
}

impl SeenNames {
    /// Adds the name of the next entry and returns whether none before has it.
    ///
    /// `reread` calls back with the entries whose names are added, from the first one on, until it is told to stop.
    pub(super) fn add(
        &mut self,
        entry: &Entry<'_>,
        reread: impl FnOnce(&mut dyn FnMut(&Entry<'_>) -> ControlFlow<()>),
    ) -> bool {
        let is_directory = entry.kind == EntryKind::Directory;
        let order = self.order(entry, is_directory);
        let before = self.count;
        self.count += 1;
        if order == Ordering::Equal {
            return false;
        }
        if order == Ordering::Less && !self.is_unsorted {
            self.is_unsorted = true;
            self.remember_all(before, reread);
        }
        self.last.clear();
        self.last.push_str(&entry.name);
        self.last_is_directory = is_directory;
        if is_directory || self.is_unsorted {
            self.remember(&entry.name)
        } else {
            // Most directories of many files have few directories in them, or none.
            self.remembered.is_empty() || !self.remembered.contains(&self.hasher.hash_one(&*entry.name))
        }
    }

    /// Compares an entry with the one before it, in the order in which kopia writes them.
    fn order(&self, entry: &Entry<'_>, is_directory: bool) -> Ordering {
        if self.count == 0 {
            return Ordering::Greater;
        }
        let directories_first = self.last_is_directory.cmp(&is_directory);
        directories_first.then_with(|| (*entry.name).cmp(&self.last))
    }

    /// Remembers a name and returns whether it was new.
    fn remember(&mut self, name: &str) -> bool {
        remember(&mut self.remembered, MAX_REMEMBERED, self.hasher.hash_one(name))
    }

    /// Remembers the names of so many entries that were read before.
    fn remember_all(
        &mut self,
        mut count: u64,
        reread: impl FnOnce(&mut dyn FnMut(&Entry<'_>) -> ControlFlow<()>),
    ) {
        reread(&mut |entry| {
            if count == 0 {
                return ControlFlow::Break(());
            }
            count -= 1;
            self.remember(&entry.name);
            ControlFlow::Continue(())
        });
    }
}

/// Adds a hash to those that are remembered, as long as they are fewer than `most`, and returns whether it was not
/// among them.
pub(crate) fn remember(known: &mut HashSet<u64>, most: usize, hash: u64) -> bool {
    if known.len() < most { known.insert(hash) } else { !known.contains(&hash) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds entries, directories with `/` at their end, and returns those that are new and how often all were
    /// read again.
    fn new_ones<'e>(entries: &[&'e str]) -> (Vec<&'e str>, usize) {
        let parsed = |text: &&str| Entry {
            name: text.trim_end_matches('/').to_owned().into(),
            kind: if text.ends_with('/') { EntryKind::Directory } else { EntryKind::File },
            mode: 0,
            size: 0,
            modified: kopia_format::Timestamp::default(),
            uid: 0,
            gid: 0,
            object: "kaa".parse().unwrap(),
            summary: None,
        };
        let mut rereads = 0;
        let mut names = SeenNames::default();
        let mut add = |text: &&&str| {
            names.add(&parsed(text), |visit| {
                rereads += 1;
                let _ = entries.iter().try_for_each(|text| visit(&parsed(text)));
            })
        };
        (entries.iter().filter(&mut add).copied().collect(), rereads)
    }

    #[test]
    fn sorted_names_are_not_read_again() {
        assert_eq!(new_ones(&[]), (vec![], 0));
        assert_eq!(new_ones(&["a/", "b/", "a1", "b", "c"]), (vec!["a/", "b/", "a1", "c"], 0));
        assert_eq!(new_ones(&["b/", "b/", "b", "b", "c", "c", "c"]), (vec!["b/", "c"], 0));
        // Every name is new beside a first one that is empty.
        assert_eq!(new_ones(&["", "a"]), (vec!["", "a"], 0));
    }

    #[test]
    fn what_there_is_no_room_for_is_new_each_time_and_what_is_remembered_stays_known() {
        let mut known = HashSet::new();
        let new = [1, 2, 3, 1, 3, 2].map(|hash| remember(&mut known, 2, hash));
        assert_eq!(new, [true, true, true, false, true, false]);
        assert_eq!(known, HashSet::from([1, 2]));
    }

    #[test]
    fn of_names_that_are_not_sorted_the_first_is_new() {
        assert_eq!(new_ones(&["b", "a", "b", "a", "c"]), (vec!["b", "a", "c"], 1));
        assert_eq!(new_ones(&["a", "b", "a", "b", "b/"]), (vec!["a", "b"], 1));
        assert_eq!(new_ones(&["a", "a/", "b/", "b"]), (vec!["a", "b/"], 1));
        assert_eq!(new_ones(&["x/", "c", "d", "b", "d", "x", "e"]), (vec!["x/", "c", "d", "b", "e"], 1));
    }
}
