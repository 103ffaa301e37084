//! Damaged packs of repositories that were made after public bug reports: lists of pieces that end in one
//! without bytes, and names that are paths. Every other restore has a target that refuses attributes.

use std::collections::BTreeMap;

use kopia_rs::restore::{self, Options, Outcome};
use kopia_rs::{ContentId, Entry, EntryKind, Password, Repository};
use kopia_testkit::damage::{Blobs, Change};
use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::{damage, faults};
use rustix::io::Errno;

use crate::{Tally, damages, each, sound};

/// What stands for each file, by its path.
type Files = BTreeMap<String, String>;

/// A snapshot as it is without damage.
struct Whole {
    root: Entry,
    /// The SHA-256 of each file.
    hashes: Files,
    /// What cannot be restored even so.
    refused: Vec<String>,
    /// The contents of each file, and of the root under an empty path.
    needs: BTreeMap<String, Vec<ContentId>>,
}

#[test]
fn packs_of_reported_repositories() {
    let tally = Tally::default();
    each(["names-slash", "pieces-empty"], |name| {
        let blobs = damage::blobs(&faults::repository(name), "").into_iter();
        let blobs: Blobs = blobs.map(|blob| (blob.id.clone(), blob.read())).collect();
        let store = sound::store(&blobs);
        // Before the damage is done, so that the key is derived once.
        let repository = Repository::open(store.clone(), &Password::from(faults::PASSWORD)).unwrap();
        let snapshots = repository.snapshots().unwrap();
        let snapshots: Vec<_> =
            snapshots.iter().map(|snapshot| Whole::of(snapshot.root().unwrap())).collect();
        assert!(snapshots.iter().any(|whole| !whole.hashes.is_empty()));
        for id in blobs.keys().filter(|id| id.starts_with(['p', 'q'])) {
            for (number, damage) in damages(name, id, &blobs).into_iter().enumerate() {
                let changes = damage.changes(id, &blobs);
                let is_lost = |contents: &[ContentId]| {
                    contents.iter().any(|content| is_changed(&repository, &blobs, &changes, content))
                };
                let blamed: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
                tally.case(&format!("{name}: {id} {damage}"), || {
                    sound::change(&store, &changes);
                    let mut complaints = Vec::new();
                    for whole in &snapshots {
                        tally.restored();
                        let (ended, there) = restored(&whole.root, number % 2 == 1);
                        complaints.extend(whole.judge(is_lost, ended, &there, &blamed));
                    }
                    for Change { id, .. } in &changes {
                        store.insert(id.parse().unwrap(), blobs[id].clone());
                    }
                    complaints
                });
            }
        }
    });
    tally.finish("packs of reported repositories");
}

/// Restores into a folder of its own, which may refuse attributes; returns the files that are there then.
fn restored(root: &Entry, refuses: bool) -> (restore::Result<Outcome>, Files) {
    let place = kopia_testkit::scratch();
    let target = place.path().join("target");
    let restore = || restore::restore(root, &target, &Options::default());
    let refused = [Call::Chmod, Call::Chown, Call::Utimes].map(|call| (call, Some(Errno::PERM)));
    let ended = if refuses { refusing(&refused, restore) } else { None };
    let ended = ended.unwrap_or_else(restore);
    let there = if target.is_dir() { faults::hashes_of(&target) } else { Files::new() };
    (ended, there)
}

/// Returns whether damage changes bytes of a content. One that has none is not read.
fn is_changed(repository: &Repository, blobs: &Blobs, changes: &[Change], content: &ContentId) -> bool {
    let contents = repository.contents();
    let location = contents.locate(content).unwrap();
    let origin = contents.origin(&location);
    let range = origin.range().start as usize..origin.range().end as usize;
    let is_other = |change: &Change| {
        let after = change.after.as_ref().and_then(|bytes| bytes.get(range.clone()));
        after != Some(&blobs[&change.id][range.clone()])
    };
    let mut here = changes.iter().filter(|change| change.id == origin.blob.as_str());
    location.plain_length() != 0 && here.any(is_other)
}

impl Whole {
    fn of(root: Entry) -> Self {
        let mut needs = BTreeMap::new();
        gather(&root, "", &mut needs);
        needs.insert(String::new(), sound::contents(root.repository(), root.object()));
        let (ended, hashes) = restored(&root, false);
        let refused = ended.unwrap().problems.into_iter().map(|problem| problem.path).collect();
        assert!(hashes.keys().all(|path| needs.contains_key(path)), "{hashes:?} of {:?}", needs.keys());
        Self { root, hashes, refused, needs }
    }

    /// Returns what is wrong with a restore of it.
    fn judge(
        &self,
        is_lost: impl Fn(&[ContentId]) -> bool,
        ended: restore::Result<Outcome>,
        there: &Files,
        blamed: &[&str],
    ) -> Vec<String> {
        let names_one = |text: &str| blamed.iter().any(|blob| text.contains(blob));
        let is_root_lost = is_lost(&self.needs[""]);
        let outcome = match ended {
            Ok(_) if is_root_lost => return vec!["it went on without its root".into()],
            Err(error) if is_root_lost && there.is_empty() && names_one(&error.to_string()) => return vec![],
            Err(error) => {
                return vec![format!("it failed ({error}), lost: {is_root_lost}, there: {there:?}")];
            }
            Ok(outcome) => outcome,
        };
        let problems = outcome.problems.iter().map(|problem| (&*problem.path, problem.reason.to_string()));
        let said: BTreeMap<&str, String> = problems.collect();
        let mut wrong = Vec::new();
        for (path, hash) in &self.hashes {
            match (is_lost(&self.needs[path]), there.get(path), said.get(&**path)) {
                (false, Some(found), None) if found == hash => {}
                (true, None, Some(why)) if names_one(why) => {}
                (lost, found, why) => wrong
                    .push(format!("{path:?}: lost: {lost}, there: {found:?} for {hash:?}, said: {why:?}")),
            }
        }
        let others = there.keys().filter(|path| !self.hashes.contains_key(*path));
        wrong.extend(others.map(|path| format!("{path:?} is there")));
        let known =
            |path: &&&str| self.hashes.contains_key(**path) || self.refused.iter().any(|p| p == **path);
        let unknown = said.keys().filter(|path| !known(path));
        wrong.extend(unknown.map(|path| format!("a problem with {path:?}, which the damage does not touch")));
        wrong
    }
}

/// Adds the contents of the files below a directory.
fn gather(directory: &Entry, path: &str, needs: &mut BTreeMap<String, Vec<ContentId>>) {
    for entry in directory.directory().unwrap().entries {
        let below =
            if path.is_empty() { entry.name().to_owned() } else { format!("{path}/{}", entry.name()) };
        if entry.kind() == EntryKind::Directory {
            gather(&entry, &below, needs);
        } else {
            needs.insert(below, sound::contents(entry.repository(), entry.object()));
        }
    }
}
