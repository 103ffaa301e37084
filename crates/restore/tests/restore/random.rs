//! Trees that are made up, restored over others that are made up, in every way: what comes out is worked out
//! beforehand, and a preview says what happens.
//!
//! `KOPIA_RS_RANDOM` is the number of rounds.

pub(crate) mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kopia_codec::key::KeyDerivation;
use kopia_restore::{Action, Existing, KeptFolder, Options, Outcome, Preview};
use kopia_testkit::random::Random;
use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::RepositoryWriter;
use rustix::io::Errno;

use crate::common::{Place, problems};
use node::{Node, PIECE, What, one_of};

/// What the promises make of an old tree and a snapshot.
pub(crate) struct Model<'a> {
    pub(crate) options: &'a Options,
    /// Paths that are not restored, because of what is in their way.
    pub(crate) stuck: BTreeSet<String>,
}

impl Model<'_> {
    pub(crate) fn merged(&mut self, path: &str, old: Option<&Node>, new: &Node) -> Node {
        let Some(old) = old else { return new.clone() };
        match (&old.what, &new.what) {
            (What::Folder(before), What::Folder(after)) => {
                let mut all = BTreeMap::new();
                for (name, node) in after {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                    all.insert(name.clone(), self.merged(&path, before.get(name), node));
                }
                for (name, node) in before {
                    let is_folder = matches!(node.what, What::Folder(_));
                    let lost_and_found =
                        self.options.keep_lost_found && path.is_empty() && name == "lost+found";
                    if !self.options.delete_extra || lost_and_found && is_folder {
                        all.entry(name.clone()).or_insert_with(|| node.clone());
                    }
                }
                Node { what: What::Folder(all), ..new.clone() }
            }
            _ if self.options.existing == Existing::Error => self.stuck(path, old),
            (What::Folder(entries), _) if !entries.is_empty() && !self.options.delete_extra => {
                self.stuck(path, old)
            }
            (What::File(before), What::File(after))
                if self.options.existing == Existing::Skip
                    && before.len() == after.len()
                    && (old.time, old.mode, old.owner) == (new.time, new.mode, new.owner) =>
            {
                old.clone()
            }
            _ => new.clone(),
        }
    }

    fn stuck(&mut self, path: &str, old: &Node) -> Node {
        self.stuck.insert(path.to_owned());
        old.clone()
    }
}

pub(crate) fn options(random: &mut Random) -> Options {
    let mut options = Options::default();
    let all = [Existing::Verify, Existing::Verify, Existing::Skip, Existing::Overwrite, Existing::Error];
    options.existing = one_of(random, &all);
    options.delete_extra = random.within(0..2) > 0;
    options.keep_lost_found = random.within(0..2) > 0;
    options.in_place = random.within(0..3) == 0;
    options.sparse = random.within(0..4) == 0;
    options.verify_hashes = random.within(0..4) == 0;
    options.parallel = NonZeroUsize::new(1 + random.within(0..3));
    options.writers = NonZeroUsize::new(random.within(0..6));
    options
}

/// Inode numbers by path, of all that lies below a folder.
fn inodes(folder: &Path) -> BTreeMap<String, u64> {
    let inode = |path: &str| fs::symlink_metadata(folder.join(path)).unwrap().ino();
    let tree = Tree::scan(folder);
    tree.entries().iter().map(|entry| (entry.path.clone(), inode(&entry.path))).collect()
}

/// Says what of a preview did not come true.
fn untrue(actions: &[(Action, String, bool)], [before, after]: [&BTreeMap<String, u64>; 2]) -> Vec<String> {
    let mut wrong = Vec::new();
    let deleted: BTreeSet<&str> =
        actions.iter().filter(|action| action.0 == Action::Delete).map(|action| &*action.1).collect();
    let is_deleted = |path: &str| path.match_indices('/').any(|(end, _)| deleted.contains(&path[..end]));
    for (action, path, folder) in actions {
        let (old, new) = (before.get(path), after.get(path));
        let is_gone = deleted.contains(&**path) || is_deleted(path);
        let is_true = match action {
            Action::Write => (old.is_none() || is_gone) && new.is_some(),
            Action::Replace => old.is_some() && new.is_some() && old != new && !is_gone,
            Action::Change | Action::Keep => old.is_some() && old == new && !folder,
            Action::Delete => old.is_some() && old != new,
            _ => false,
        };
        if !is_true {
            wrong.push(format!("{action:?} {path}: inode {old:?}, then {new:?}"));
        }
    }
    let told: BTreeSet<&str> = actions.iter().map(|action| &*action.1).collect();
    for (path, inode) in after.iter().filter(|(path, _)| !path.is_empty()) {
        if before.get(path) != Some(inode) && !told.contains(&**path) {
            wrong.push(format!("{path} is another one, and nothing was said"));
        }
    }
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        let above = path.match_indices('/').any(|(end, _)| told.contains(&path[..end]));
        if !told.contains(&**path) && !above {
            wrong.push(format!("{path} is gone, and nothing was said"));
        }
    }
    wrong
}

/// A preview, and everything that it tells.
fn preview(
    root: &kopia_repository::Entry,
    target: &Path,
    options: &Options,
) -> (Preview, Vec<(Action, String, bool)>) {
    let mut actions = Vec::new();
    let preview = kopia_restore::preview(root, target, options, |change| {
        actions.push((change.action, change.path.clone(), change.directory));
    });
    (preview.unwrap(), actions)
}

fn restore(root: &kopia_repository::Entry, target: &Path, options: &Options) -> Outcome {
    kopia_restore::restore(root, target, options).unwrap()
}

fn paths<'a>(problems: impl IntoIterator<Item = &'a kopia_restore::Problem>) -> BTreeSet<String> {
    problems.into_iter().map(|problem| problem.path.clone()).collect()
}

/// Restores one made-up tree over another and returns what is wrong.
fn round(seed: u64) -> Vec<String> {
    let mut random = Random::of(&format!("restore {seed}"));
    let new = Node::folder(&mut random, 0);
    let old = new.before(&mut random);
    let mut options = options(&mut random);
    let place = Place::in_memory();
    let mut writer = RepositoryWriter::new().piece_size(PIECE).key_derivation(KeyDerivation::TestingOnly);
    let root = new.entry(&mut writer, "data");
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let [target, wanted] = ["target", "wanted"].map(|name| place.path(name));
    // Links in the target point to the first.
    let [outside, elsewhere] = ["outside", "elsewhere"].map(|name| place.path(name));
    [&outside, &elsewhere].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
    let is_there = random.within(0..8) > 0;
    if is_there {
        old.make(&target, &outside);
    }
    options.keep_replaced = !options.in_place && random.within(0..2) > 0;
    let mut model = Model { options: &options, stuck: BTreeSet::new() };
    let mut merged = model.merged("", is_there.then_some(&old), &new);
    let mut keeps = options.clone();
    keeps.delete_extra = false;
    if options.delete_extra && !model.stuck.is_empty() {
        // Nothing is deleted where not everything is restored.
        model = Model { options: &keeps, stuck: BTreeSet::new() };
        merged = model.merged("", is_there.then_some(&old), &new);
    }
    merged.make(&wanted, &elsewhere);

    let mut wrong = Vec::new();
    let scan = |path: &Path| if path.exists() { Tree::scan(path) } else { Tree::new(Vec::new()) };
    let around = Tree::scan(&outside);
    let (before, inodes_before) = (scan(&target), if is_there { inodes(&target) } else { BTreeMap::new() });
    let (preview, actions) = preview(&root, &target, &options);
    if scan(&target) != before {
        wrong.push("the preview changed the target".to_owned());
    }
    let outcome = restore(&root, &target, &options);
    wrong.extend(compare(&Tree::scan(&wanted), &Tree::scan(&target), &Compare::settable()));
    wrong.extend(untrue(&actions, [&inodes_before, &inodes(&target)]));
    if Tree::scan(&outside) != around {
        wrong.push("something outside was changed".to_owned());
    }
    let stuck = [&paths(&outcome.problems), &paths(&preview.problems)];
    if stuck != [&model.stuck; 2] {
        wrong.push(format!("problems, previewed problems {stuck:?}, wanted {:?}", model.stuck));
    }
    let said = (preview.kept, preview.deleted, preview.extras_kept);
    let done = (outcome.kept, outcome.deleted, outcome.extras_kept);
    if said != done {
        wrong.push(format!("kept, deleted, not deleted: {said:?} in the preview, then {done:?}"));
    }
    // What could not be moved to its place counts as nothing.
    let (said, done) = ((preview.written, preview.bytes), (outcome.files + outcome.symlinks, outcome.bytes));
    if said != done {
        wrong.push(format!("written, bytes: {said:?} in the preview, then {done:?}"));
    }
    // What is right already is left alone.
    let mut verified = options.clone();
    verified.existing = Existing::Verify;
    let again = restore(&root, &target, &verified);
    if model.stuck.is_empty()
        && options.existing != Existing::Skip
        && again.files + again.symlinks + again.deleted > 0
    {
        wrong.push(format!("it was not right at once: {:?}", problems(&again)));
    }
    if options.keep_replaced {
        for folder in [again.kept_in, outcome.kept_in].into_iter().flatten() {
            let undone = KeptFolder::open(&folder).unwrap().undo().unwrap();
            if undone.problem_count + undone.aside + undone.changed_since > 0 || folder.exists() {
                wrong.push(format!("{undone:?}"));
            }
        }
        let differences = compare(&before, &scan(&target), &Compare::settable());
        wrong.extend(differences.iter().map(|difference| format!("undone: {difference}")));
        if Tree::scan(&outside) != around {
            wrong.push("something outside was changed by the undo".to_owned());
        }
    }
    let flags = [
        ("keep_replaced", options.keep_replaced),
        ("delete_extra", options.delete_extra),
        ("in_place", options.in_place),
        ("sparse", options.sparse),
        ("verify_hashes", options.verify_hashes),
    ];
    let flags: Vec<_> = flags.iter().filter(|flag| flag.1).map(|flag| flag.0).collect();
    let what = format!("round {seed}, {:?} {}", options.existing, flags.join(" "));
    wrong.iter().map(|wrong| format!("{what}: {wrong}")).collect()
}

#[test]
fn any_tree_over_any_other() {
    let rounds = std::env::var("KOPIA_RS_RANDOM").map_or(300, |rounds| rounds.parse().unwrap());
    let wrong: Vec<_> = (0..rounds).flat_map(round).take(20).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Restores one made-up tree over another where no file can be closed without an error; returns what is
/// wrong.
fn round_of_lost_writes(seed: u64) -> Vec<String> {
    let mut random = Random::of(&format!("close {seed}"));
    let new = Node::folder(&mut random, 0);
    let old = new.before(&mut random);
    let place = Place::in_memory();
    let mut writer = RepositoryWriter::new().piece_size(PIECE).key_derivation(KeyDerivation::TestingOnly);
    let root = new.entry(&mut writer, "data");
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let [target, outside] = ["target", "outside"].map(|name| place.path(name));
    fs::create_dir(&outside).unwrap();
    old.make(&target, &outside);
    let before = Tree::scan(&target);
    let outcome =
        refusing(&[(Call::Close, Some(Errno::FBIG))], || restore(&root, &target, &Options::default()));
    let Some(outcome) = outcome else { return Vec::new() };
    let problems = paths(&outcome.problems);
    let after = Tree::scan(&target);
    let found = |tree: &Tree, path: &str| tree.entries().iter().find(|entry| entry.path == path).cloned();
    let mut wrong = Vec::new();
    for (path, node) in new.files("") {
        let wanted = Some(node.len() as u64);
        let [old, now] =
            [&before, &after].map(|tree| found(tree, &path).map(|entry| (entry.sha256, entry.size)));
        // Only what was there before and right is there, with no word about it.
        let is_right = now == old && now.as_ref().map(|(_, size)| *size) == wanted;
        if !problems.contains(&path) && !is_right {
            wrong.push(format!("round {seed}: {path} was lost, and nothing was said: {old:?}, then {now:?}"));
        }
        if problems.contains(&path) && now != old {
            wrong.push(format!(
                "round {seed}: {path} has a problem, and is another one: {old:?}, then {now:?}"
            ));
        }
    }
    if outcome.files > 0 {
        wrong.push(format!("round {seed}: {} files are said to be written", outcome.files));
    }
    wrong
}

/// Few rounds: what cannot be closed stays open, and counts against the limit of this process.
#[test]
fn no_tree_gets_files_whose_writes_were_lost() {
    let wrong: Vec<_> = (0..8).flat_map(round_of_lost_writes).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
