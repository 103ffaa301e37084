//! Restores into file systems that take names for one which look the same, or differ in case.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kopia_codec::key::Password;
use kopia_repository::{Entry, Repository};
use kopia_restore::{FoldedNames, Options, Outcome, Problem};
use kopia_storage::FilesystemStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

use super::Mounted;

/// `é` of one character, and of two.
const ONE: &str = "\u{e9}";
const TWO: &str = "e\u{301}";

fn entry(kind: &str, name: &str, object: &str, size: usize) -> Value {
    let mode = if kind == "d" { "0755" } else { "0644" };
    json!({"name": name, "type": kind, "mode": mode, "size": size, "obj": object,
        "mtime": "2020-01-02T03:04:05Z"})
}

/// Two files and two directories whose names look the same, two links within, and a file that differs in case.
fn root(path: &Path) -> Entry {
    let mut writer = RepositoryWriter::new();
    let mut file = |name: String, text: &str| entry("f", &name, &writer.file(text.as_bytes()), text.len());
    let files = [file(format!("{ONE}.txt"), "first"), file(format!("{TWO}.txt"), "second")];
    let upper = file("É.txt".into(), "upper");
    let within = [file(format!("{TWO}-x"), "x"), file("same".into(), "of one")];
    let second = [file(format!("{ONE}-x"), "y"), file(format!("{TWO}-y"), "y")];
    let objects = [&within[..], &second[..]].map(|entries| writer.directory(entries));
    let folders = [(ONE, &objects[0]), (TWO, &objects[1])].map(|(name, object)| entry("d", name, object, 0));
    let root = writer.directory(&[&files[..], &[upper], &folders[..]].concat());
    writer.snapshot("app@host:/data", entry("d", "data", &root, 0));
    writer.finish_in(path).unwrap();
    let repository =
        Repository::open(FilesystemStore::open(path).unwrap(), &Password::from(PASSWORD)).unwrap();
    repository.snapshots().unwrap().iter().next().unwrap().root().unwrap()
}

fn paths(problems: &[Problem]) -> Vec<&str> {
    let mut paths: Vec<_> = problems.iter().map(|problem| &*problem.path).collect();
    paths.sort_unstable();
    paths
}

/// The files of a folder that has no deep ones, with what is in them.
fn files(path: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            files.extend(self::files(&entry.path()).into_iter().map(|file| format!("{name}/{file}")));
        } else {
            files.push(format!("{name}={}", fs::read_to_string(entry.path()).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn names_that_look_the_same_are_one_and_a_second_run_is_at_rest() {
    for (folds, by_case) in [("form", false), ("case,form", true)] {
        let args = ["--attached", "--delay-ms", "0", "--cached-ms", "0", "--folds", folds];
        let Some(mounted) = Mounted::start(&args) else { return };
        let root = root(&mounted.place.path().join("repository"));
        // Foreseen by what the target's folder is called.
        let target = mounted.point().join("café/target");
        fs::create_dir(target.parent().unwrap()).unwrap();
        assert_eq!(kopia_restore::folded_names(&target), FoldedNames { by_case, by_form: true });
        let mut expected = vec![format!("{TWO}.txt"), format!("{TWO}/{ONE}-x")];
        if by_case {
            expected.push("É.txt".into());
            expected.sort();
        }
        let planned = kopia_restore::preview(&root, &target, &Options::default(), |_| {}).unwrap();
        assert_eq!(paths(&planned.problems), expected, "{folds}");
        let restore =
            |options: &Options| -> Outcome { kopia_restore::restore(&root, &target, options).unwrap() };
        let first = restore(&Options::default());
        assert_eq!(paths(&first.problems), expected, "{folds}");
        let told = first.problems.iter().find(|problem| *problem.path == *expected[0]).unwrap().to_string();
        assert!(told.contains("in another Unicode normalization form, which looks the same"), "{told}");
        let mut there = vec![
            format!("{ONE}.txt=first"),
            format!("{ONE}/{TWO}-x=x"),
            format!("{ONE}/{TWO}-y=y"),
            format!("{ONE}/same=of one"),
        ];
        if !by_case {
            there.push("É.txt=upper".into());
        }
        there.sort();
        assert_eq!(files(&target), there, "{folds}");
        assert_eq!((first.files, first.kept), (there.len() as u64, 0));
        assert_eq!((planned.written, planned.kept), (first.files, 0));
        fs::write(target.join("extra"), "").unwrap();
        for delete_extra in [false, true] {
            let mut options = Options::default();
            options.delete_extra = delete_extra;
            let again = restore(&options);
            assert_eq!(paths(&again.problems), expected, "{folds}");
            assert_eq!((again.files, again.kept), (0, there.len() as u64), "{folds}");
            let planned = kopia_restore::preview(&root, &target, &Options::default(), |_| {}).unwrap();
            assert_eq!((planned.written, planned.kept), (0, there.len() as u64), "{folds}");
        }
        // Nothing is deleted where not all of the snapshot is there.
        assert!(target.join("extra").exists());
        drop(mounted);
    }
}

#[test]
fn an_interrupted_restore_is_taken_up_where_names_are_one() {
    let args = ["--attached", "--delay-ms", "0", "--cached-ms", "0", "--folds", "form"];
    let Some(mounted) = Mounted::start(&args) else { return };
    let root = root(&mounted.place.path().join("repository"));
    let target = mounted.point().join("target");
    kopia_restore::restore(&root, &target, &Options::default()).unwrap();
    let there = files(&target);
    // As if it had been killed before its entries were moved.
    let staging = target.join(format!(".kopia-rs-restore-{}", root.object()));
    fs::create_dir(&staging).unwrap();
    for name in [format!("{ONE}.txt"), ONE.into()] {
        fs::rename(target.join(&name), staging.join(&name)).unwrap();
    }
    fs::set_permissions(&staging, fs::Permissions::from_mode(0o700)).unwrap();
    let outcome = kopia_restore::restore(&root, &target, &Options::default()).unwrap();
    assert_eq!(paths(&outcome.problems), [format!("{TWO}.txt"), format!("{TWO}/{ONE}-x")]);
    assert_eq!(files(&target), there);
    assert!(!staging.exists());
}
