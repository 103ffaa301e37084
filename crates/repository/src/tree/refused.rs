//! Where directories refuse entries: there is something by these names, and nobody can say what.
//!
//! Whoever asks what a tree has, and what it lacks, neither finds that nor takes it for missing. A name with `/`
//! leads through directories, each of which there may be; of one that is too long to be kept only the beginning is
//! known, so any entry of its directory may be it.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use kopia_format::directory::{Refusal, Refused};

use super::Trail;
use super::names::remember;

/// The most names that are remembered of one tree, each in some 20 bytes.
const MAX_REMEMBERED: usize = 4 << 20;

/// The name that stands for any: no entry has it.
const ANY: &str = "";

/// The paths at which the directories of one tree refuse entries, by hashes of 64 bits.
///
/// Sound entries of the same paths are there all the same. What has no room is not remembered.
#[derive(Default)]
pub(crate) struct RefusedPaths {
    hasher: RandomState,
    known: HashSet<u64>,
}

/// What a tree refuses at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedAt {
    /// Nothing.
    Nothing,
    /// An entry that may be this one.
    Entry,
    /// An entry below: this one may be a directory, and what else is in it is known.
    Below,
}

impl RefusedPaths {
    /// Notes an entry that a directory refuses, unless a sound one has its name.
    pub(crate) fn note(&mut self, directory: &Trail, refused: &Refused) {
        if refused.why == Refusal::Doubled {
            return;
        }
        let (names, is_cut) = way_to(refused);
        let mut path = self.of(&directory.path_of(""));
        for (number, name) in names.iter().enumerate() {
            path = self.child(path, name);
            self.add(is_cut || number + 1 < names.len(), path);
        }
        if is_cut {
            self.add(false, self.child(path, ANY));
        }
    }

    /// Returns what is refused by a name in a directory.
    pub(crate) fn within(&self, directory: &Trail, name: &str) -> RefusedAt {
        // Making paths takes its time, and seldom is anything refused.
        if self.known.is_empty() { RefusedAt::Nothing } else { self.at(&directory.path_of(""), name) }
    }

    /// Returns what is refused by a name in the directory of a path.
    pub(crate) fn at(&self, directory: &str, name: &str) -> RefusedAt {
        if self.known.is_empty() {
            return RefusedAt::Nothing;
        }
        let directory = self.of(directory);
        let path = self.child(directory, name);
        let has = |is_below: bool, path: u64| self.known.contains(&self.hasher.hash_one((is_below, path)));
        if has(false, path) || has(false, self.child(directory, ANY)) {
            RefusedAt::Entry
        } else if has(true, path) {
            RefusedAt::Below
        } else {
            RefusedAt::Nothing
        }
    }

    /// Remembers that what a path stands for is refused, or something below it.
    fn add(&mut self, is_below: bool, path: u64) {
        let hash = self.hasher.hash_one((is_below, path));
        remember(&mut self.known, MAX_REMEMBERED, hash);
    }

    /// Returns what stands for a path below the root.
    fn of(&self, path: &str) -> u64 {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.fold(0, |directory, name| self.child(directory, name))
    }

    /// Returns what stands for the path of a name in a directory.
    fn child(&self, directory: u64, name: &str) -> u64 {
        self.hasher.hash_one((directory, name))
    }
}

/// Returns how many names lead from a directory to what it refuses, if a path below the directory may lead there, on
/// from there, or part of the way. Where sound entries have so many names of the path, it does not.
pub(crate) fn reach(refused: &Refused, names: &[Box<str>]) -> Option<usize> {
    if refused.why == Refusal::Doubled {
        return None;
    }
    let (way, is_cut) = way_to(refused);
    let reach = way.len() + usize::from(is_cut);
    let is_same = way.iter().zip(names).all(|(one, other)| **one == **other);
    (is_same && reach > 0).then_some(reach)
}

/// Returns the names that lead to what is refused, and whether one more follows that is not known to its end.
fn way_to(refused: &Refused) -> (Vec<&str>, bool) {
    let mut names: Vec<&str> = refused.name.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let is_cut = refused.is_cut();
    if is_cut {
        names.pop();
    }
    (names, is_cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str) -> Refused {
        Refused { name: name.into(), why: Refusal::NoObject, object: None }
    }

    #[test]
    fn what_names_lead_to_and_through_is_known_and_nothing_beside_it() {
        let root = Trail::root(None);
        let inner = root.child("d", None);
        let mut paths = RefusedPaths::default();
        assert_eq!(paths.within(&inner, "x"), RefusedAt::Nothing);
        for name in ["x", "/a/./b//c", "", "/."] {
            paths.note(&inner, &refused(name));
        }
        for (directory, name, expected) in [
            ("d", "x", RefusedAt::Entry),
            ("", "x", RefusedAt::Nothing),
            ("d/x", "x", RefusedAt::Nothing),
            ("", "d", RefusedAt::Nothing),
            ("d", "a", RefusedAt::Below),
            ("d/a", "b", RefusedAt::Below),
            ("d/a/b", "c", RefusedAt::Entry),
            ("d/a", "c", RefusedAt::Nothing),
            ("d/a/b", "d", RefusedAt::Nothing),
        ] {
            assert_eq!(paths.at(directory, name), expected, "{directory} {name}");
        }
        assert_eq!(paths.within(&inner, "x"), RefusedAt::Entry);
        assert_eq!(paths.within(&root, "x"), RefusedAt::Nothing);
        let doubled = Refused { why: Refusal::Doubled, ..refused("twice") };
        paths.note(&root, &doubled);
        assert_eq!(paths.within(&root, "twice"), RefusedAt::Nothing);
    }

    #[test]
    fn a_name_that_is_cut_may_be_any_of_its_directory() {
        let root = Trail::root(None);
        let mut paths = RefusedPaths::default();
        paths.note(&root, &refused(&format!("a/{}", "n".repeat(254))));
        assert_eq!((paths.at("", "a"), paths.at("", "b")), (RefusedAt::Below, RefusedAt::Nothing));
        assert_eq!((paths.at("a", "any"), paths.at("a/any", "x")), (RefusedAt::Entry, RefusedAt::Nothing));
        paths.note(&root, &refused(&"n".repeat(256)));
        assert_eq!((paths.at("", "a"), paths.at("", "b")), (RefusedAt::Entry, RefusedAt::Entry));
    }

    #[test]
    fn a_path_may_be_that_of_what_is_refused_as_far_as_both_are_the_same() {
        let names = |path: &str| path.split('/').map(Into::into).collect::<Vec<Box<str>>>();
        let cut = format!("a/{}", "n".repeat(254));
        for (name, path, expected) in [
            ("a", "a", Some(1)),
            ("a", "a/b", Some(1)),
            ("./a//b", "a", Some(2)),
            ("a/b", "a/b", Some(2)),
            ("a/b", "a/b/c", Some(2)),
            ("a/b", "a/c", None),
            ("a", "b", None),
            ("", "a", None),
            (".", "a", None),
            (&*cut, "a/c/d", Some(2)),
            (&*cut, "a", Some(2)),
            (&*cut, "b", None),
        ] {
            assert_eq!(reach(&refused(name), &names(path)), expected, "{name} {path}");
        }
        let doubled = Refused { why: Refusal::Doubled, ..refused("a") };
        assert_eq!(reach(&doubled, &names("a")), None);
    }
}
