//! Compares what a restore of a damaged repository did with what it may do.

use std::collections::BTreeSet;
use std::path::Path;

use kopia_rs::restore::{self, Options, Outcome};
use kopia_testkit::tree::{Compare, Entry, Kind, Tree, compare};

use crate::sound::{Fate, Fates, Snapshot, parent, with_ancestors};

/// How a restore ended.
pub(crate) enum Ended {
    /// With an error, before anything was written.
    Failed(String),
    /// At the end, with these problems: paths, and what is said of them.
    Done(Vec<(String, String)>),
}

impl From<restore::Result<Outcome>> for Ended {
    fn from(result: restore::Result<Outcome>) -> Self {
        match result {
            Err(error) => Self::Failed(error.to_string()),
            Ok(outcome) => {
                assert_eq!(outcome.problem_count, outcome.problems.len() as u64);
                let problem = |problem: &restore::Problem| (problem.path.clone(), problem.reason.to_string());
                Self::Done(outcome.problems.iter().map(problem).collect())
            }
        }
    }
}

/// Restores a snapshot into a folder of its own, and returns what is wrong with that.
///
/// `own` has the fate of each path by itself, `blamed` the blobs of which one must be named for each loss.
pub(crate) fn restore(
    snapshot: &Snapshot,
    root: &kopia_rs::Entry,
    own: &Fates,
    blamed: &[&str],
) -> Vec<String> {
    let place = kopia_testkit::scratch();
    let target = place.path().join("target");
    let ended = restore::restore(root, &target, &Options::default()).into();
    judge(snapshot, own, &ended, &target, blamed)
}

/// Returns what is wrong with what was restored.
pub(crate) fn judge(
    snapshot: &Snapshot,
    own: &Fates,
    ended: &Ended,
    target: &Path,
    blamed: &[&str],
) -> Vec<String> {
    let fates = with_ancestors(own);
    let is_folder = snapshot.expected.entries()[0].kind == Kind::Directory;
    let there = target.symlink_metadata().is_ok();
    let actual = match (there, is_folder) {
        (false, _) => Tree::new(Vec::new()),
        (true, true) => Tree::scan(target),
        (true, false) => Tree::scan_file(target),
    };
    let mut wrong = wrong_entries(&snapshot.expected, &actual, &fates);
    // A single file is told by the name that it was to get.
    let name = target.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let path_of = |path: &str| if !is_folder && path == name { String::new() } else { path.to_owned() };
    match ended {
        Ended::Failed(error) => {
            if fates[""] == Fate::Kept {
                wrong.push(format!("it failed although its root is there: {error}"));
            }
            if there {
                wrong.push(format!("it failed ({error}) and left something"));
            }
            if !names_one(error, blamed) {
                wrong.push(format!("the error names no blob: {error}"));
            }
        }
        Ended::Done(problems) => {
            if is_folder && fates[""] == Fate::Lost {
                wrong.push("it went on without its root".to_owned());
            }
            let problems: Vec<_> = problems.iter().map(|(path, why)| (path_of(path), why.clone())).collect();
            wrong.extend(wrong_problems(&snapshot.expected, &actual, own, &fates, &problems));
            let unnamed = problems.iter().filter(|(_, why)| !names_one(why, blamed));
            wrong.extend(unnamed.map(|(path, why)| format!("the problem of {path:?} names no blob: {why}")));
        }
    }
    wrong.iter().map(|what| format!("snapshot {}: {what}", snapshot.id)).collect()
}

fn names_one(text: &str, blobs: &[&str]) -> bool {
    blobs.is_empty() || blobs.iter().any(|blob| text.contains(blob))
}

/// What is there and should not be, is not and should be, or is not what it should be.
fn wrong_entries(expected: &Tree, actual: &Tree, fates: &Fates) -> Vec<String> {
    let found: BTreeSet<&str> = actual.entries().iter().map(|entry| entry.path.as_str()).collect();
    let must = |entry: &&Entry| {
        let is_found = found.contains(entry.path.as_str());
        let above = parent(&entry.path).map(|parent| fates[parent]);
        match (fates.get(&entry.path), above) {
            (Some(Fate::Kept), _) => true,
            (Some(Fate::Either), _) => is_found,
            // A folder whose entries are lost is there without them, with its own attributes: its parent has
            // these.
            (Some(Fate::Lost), Some(Fate::Kept)) => entry.kind == Kind::Directory,
            (Some(Fate::Lost), Some(Fate::Either)) => entry.kind == Kind::Directory && is_found,
            _ => false,
        }
    };
    let wanted = expected.entries().iter().filter(must).cloned().collect();
    compare(&Tree::new(wanted), actual, &Compare::settable())
}

/// What is missing without a word, and what is said to be missing without need.
fn wrong_problems(
    expected: &Tree,
    actual: &Tree,
    own: &Fates,
    fates: &Fates,
    problems: &[(String, String)],
) -> Vec<String> {
    let mut wrong = Vec::new();
    let said: BTreeSet<&str> = problems.iter().map(|(path, _)| path.as_str()).collect();
    for path in &said {
        match own.get(*path) {
            Some(Fate::Lost | Fate::Either) => {}
            _ => {
                wrong.push(format!("a problem with {path:?}, which the damage does not touch: {problems:?}"))
            }
        }
    }
    for entry in expected.entries() {
        let path = entry.path.as_str();
        let above = parent(path).map_or(Fate::Kept, |parent| fates[parent]);
        let is_lost = own[path] == Fate::Lost && above == Fate::Kept;
        if is_lost && !said.contains(path) {
            wrong.push(format!("nothing is said of {path:?}, which is lost"));
        }
        let ancestors = std::iter::successors(Some(path), |path| parent(path));
        if actual.get(path).is_none() && !ancestors.into_iter().any(|path| said.contains(path)) {
            wrong.push(format!("nothing is said of {path:?}, which is missing"));
        }
    }
    wrong
}
