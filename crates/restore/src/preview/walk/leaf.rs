//! Decides about one file or link.

use std::os::fd::OwnedFd;

use kopia_format::directory::EntryKind;
use kopia_repository::Entry;

use super::compare::{COMPARED, Waiting};
use super::foresee::refused;
use super::{DryRun, WalkedDir};
use crate::decide::existing::{Candidates, ExistingPolicy};
use crate::destination::is_directory;
use crate::destination::naming::Made;
use crate::preview::extras::{InTheWay, is_empty};
use crate::preview::{Action, Change};
use crate::reason::Reason;

impl<V: FnMut(&Change)> DryRun<'_, V> {
    /// Decides about a file or link that gets this name; what only its bytes can tell waits to be compared.
    pub(super) fn leaf(&mut self, directory: &WalkedDir, name: &[u8], entry: &Entry) {
        let shown = String::from_utf8_lossy(name);
        let path = directory.path_of(&shown);
        let found = match directory.attached.look(name) {
            Ok(found) => found,
            Err(error) => return self.problem(path, error.into()),
        };
        let candidates = Candidates::of(found.as_ref(), entry, self.options, self.creator);
        let frees = candidates.frees.unwrap_or(0);
        // What is there of a file that is too large is not right either.
        if matches!(candidates.existing, Some(ExistingPolicy::Replace | ExistingPolicy::Compare))
            && let Some(reason) = self.foresee_size(entry)
        {
            return self.problem(path, reason);
        }
        match (candidates.existing, &directory.attached.handle) {
            (None, _) | (_, None) => {
                let made = if entry.kind() == EntryKind::Symlink { Made::Symlink } else { Made::File };
                match self.foresee_refusal(directory, made, name).or_else(|| self.foresee_size(entry)) {
                    Some(reason) => self.problem(path, reason),
                    None => self.written(path, Action::Write, entry, 0),
                }
            }
            (Some(ExistingPolicy::Replace), Some(parent)) if found.as_ref().is_some_and(is_directory) => {
                // It is the snapshot's: what the caller names goes into a directory of that name.
                self.instead_of_directory(directory, parent, &shown, path, entry);
            }
            (Some(ExistingPolicy::Replace), _) => match directory.attached.foresee_in_place(name) {
                Some(reason) => self.problem(path, reason),
                None => self.written(path, Action::Replace, entry, frees),
            },
            (Some(ExistingPolicy::Refuse), _) => self.problem(path, Reason::Exists),
            (Some(ExistingPolicy::Trust { .. }), _) => self.kept(path, entry),
            (Some(ExistingPolicy::Leave), _) => self.left_as_new(path, entry),
            (Some(ExistingPolicy::Compare), Some(handle)) => {
                let (trail, is_closed) = (directory.trail.clone(), directory.attached.is_closed);
                let (entry, name, directory) = (entry.clone(), name.to_vec(), handle.clone());
                self.waiting.push(Waiting { entry, name, trail, directory, is_closed, frees });
                if self.waiting.len() >= COMPARED {
                    self.compare();
                }
            }
        }
    }

    /// Decides about a file or link where the target has a directory: an empty one is replaced, any other
    /// goes only where extras do.
    fn instead_of_directory(
        &mut self,
        directory: &WalkedDir,
        parent: &OwnedFd,
        name: &str,
        path: String,
        entry: &Entry,
    ) {
        if directory.attached.is_closed {
            return self.problem(path, refused());
        }
        if self.options.delete_extra {
            let spared = self.spared(directory);
            let way = InTheWay::look(parent, name, &directory.path_of(""), spared, (path, entry));
            return self.extras.in_the_way.push(way);
        }
        if !is_empty(parent, name) {
            self.problem(path, Reason::NotEmpty);
        } else if let Some(reason) = directory.attached.foresee_in_place(name.as_bytes()) {
            self.problem(path, reason);
        } else {
            self.written(path, Action::Replace, entry, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use kopia_testkit::writer::RepositoryWriter;
    use rustix::fs::Mode;
    use serde_json::json;

    use super::*;
    use crate::Options;
    use crate::destination::DIRECTORY;
    use crate::testing::only_root;

    /// Makes an entry of 11 bytes, of this kind.
    fn entry(kind: &str) -> Entry {
        let mut writer = RepositoryWriter::new();
        let object = writer.file(b"hello world");
        writer.snapshot("app@host:/data", json!({"name": "f", "type": kind, "size": 11, "obj": object}));
        only_root(writer)
    }

    #[test]
    fn a_file_that_is_too_large_for_the_target_is_foreseen() {
        let place = tempfile::tempdir().unwrap();
        let handle = Arc::new(rustix::fs::open(place.path(), DIRECTORY, Mode::empty()).unwrap());
        let (options, path) = (Options::default(), place.path().join("f"));
        for (kind, largest, is_refused) in
            [("f", Some(10), true), ("f", Some(11), false), ("f", None, false), ("s", Some(10), false)]
        {
            let entry = entry(kind);
            for is_there in [false, true] {
                if is_there {
                    fs::write(&path, "another").unwrap();
                }
                let target = (place.path(), Some(handle.clone()));
                let mut dry_run = DryRun::new(&options, target, |_: &Change| ());
                dry_run.largest = largest;
                dry_run.single(&entry, b"f");
                let preview = dry_run.end();
                let words: Vec<_> = preview.problems.iter().map(|problem| problem.reason.word()).collect();
                let expected = if is_refused { (vec!["unfit_size"], 0) } else { (vec![], 1) };
                assert_eq!((words, preview.written), expected, "{kind} {largest:?} {is_there}");
            }
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn names_that_the_target_may_take_for_something_else_are_counted() {
        let place = tempfile::tempdir().unwrap();
        let handle = Arc::new(rustix::fs::open(place.path(), DIRECTORY, Mode::empty()).unwrap());
        let (options, entry) = (Options::default(), entry("f"));
        for (may_reserve, name, is_doubtful) in
            [(true, "a:b", 1), (true, "a\\b", 1), (true, "f", 0), (false, "a:b", 0)]
        {
            let target = (place.path(), Some(handle.clone()));
            let mut dry_run = DryRun::new(&options, target, |_: &Change| ());
            dry_run.may_reserve = may_reserve;
            dry_run.single(&entry, name.as_bytes());
            let preview = dry_run.end();
            assert_eq!((preview.written, preview.doubtful_names), (1, is_doubtful), "{may_reserve} {name}");
        }
    }
}
