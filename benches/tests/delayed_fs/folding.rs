//! Restores into file systems that take names for one which look the same, or differ in case.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use kopia_codec::key::Password;
use kopia_repository::{Entry, Repository};
use kopia_restore::{FoldedNames, Options, Outcome, Problem, Reason};
use kopia_storage::FilesystemStore;
use kopia_testkit::faults;
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
    open(path, PASSWORD)
}

/// The root of a repository's only snapshot.
fn open(path: &Path, password: &str) -> Entry {
    let repository =
        Repository::open(FilesystemStore::open(path).unwrap(), &Password::from(password)).unwrap();
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

#[test]
fn what_other_systems_do_not_take_is_named_and_all_else_is_there() {
    let options = ["--folds", "case", "--refuses", "names,links"];
    let args = [&["--attached", "--delay-ms", "0", "--cached-ms", "0"][..], &options].concat();
    let Some(mounted) = Mounted::start(&args) else { return };
    let root = open(&faults::repository("target-folds-case"), faults::PASSWORD);
    let target = mounted.point().join("share/target");
    fs::create_dir(target.parent().unwrap()).unwrap();
    let unfit = [
        "a*b",
        "back\\slash",
        "docs/12:13:14",
        "dot.",
        "new\nline",
        "ok/link",
        "p|q",
        "trail space ",
        "what?.txt",
    ];
    let is_unfit = |problem: &&Problem| matches!(problem.reason, Reason::Unfit { .. });
    let names = |problems: &[Problem]| -> Vec<String> {
        let names: Vec<_> = problems.iter().filter(is_unfit).cloned().collect();
        paths(&names).into_iter().map(Into::into).collect()
    };
    let there = ["CON", "Case/x", "Case/y", "README", "ok/fine", "ok/sp"];
    for number in 0..3 {
        let planned = kopia_restore::preview(&root, &target, &Options::default(), |_| {}).unwrap();
        let mut foreseen = names(&planned.problems);
        // A directory to look for a name in is there, but links are only known once one is refused.
        foreseen.retain(|path| path != "ok/link");
        assert_eq!(foreseen, unfit.iter().filter(|path| **path != "ok/link").copied().collect::<Vec<_>>());
        let mut options = Options::default();
        options.delete_extra = number == 2;
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert_eq!(names(&outcome.problems), unfit, "{number}");
        let others: Vec<_> = outcome.problems.iter().filter(|problem| !is_unfit(problem)).collect();
        assert_eq!(others.iter().map(|problem| &*problem.path).collect::<Vec<_>>(), ["readme"], "{number}");
        // A directory that is lost counts what is in it.
        assert_eq!(outcome.problem_count, unfit.len() as u64 + 1 + 2, "{number}");
        let (written, kept) = if number == 0 { (6, 0) } else { (0, 6) };
        assert_eq!((outcome.files, outcome.kept, outcome.deleted), (written, kept, 0), "{number}");
        let found = files(&target);
        assert_eq!(found.iter().map(|file| file.split('=').next().unwrap()).collect::<Vec<_>>(), there);
    }
}

#[test]
fn what_has_its_name_in_another_case_is_no_extra() {
    let args = ["--attached", "--delay-ms", "0", "--cached-ms", "0", "--folds", "case"];
    let Some(mounted) = Mounted::start(&args) else { return };
    let path = mounted.place.path().join("repository");
    let mut writer = RepositoryWriter::new();
    let mut file = |name: &str, text: &str| entry("f", name, &writer.file(text.as_bytes()), text.len());
    let (tool, first) = (file("tool", "of the snapshot"), file("f1", "first"));
    let docs = writer.directory(&[first]);
    let root = writer.directory(&[entry("d", "docs", &docs, 0), tool]);
    writer.snapshot("app@host:/data", entry("d", "data", &root, 0));
    writer.finish_in(&path).unwrap();
    let root = open(&path, PASSWORD);
    let target = mounted.point().join("target");
    fs::create_dir_all(target.join("Docs")).unwrap();
    for (name, text) in [("TOOL", "old"), ("Docs/F1", "old"), ("Docs/extra", ""), ("Extra", "")] {
        fs::write(target.join(name), text).unwrap();
    }
    let mut options = Options::default();
    options.delete_extra = true;
    let expected = [(2, 0, 2), (0, 2, 0)];
    for (files_written, kept, deleted) in expected {
        let planned = kopia_restore::preview(&root, &target, &options, |_| {}).unwrap();
        assert_eq!((planned.written, planned.kept, planned.deleted), (files_written, kept, deleted));
        let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
        assert_eq!(paths(&outcome.problems), [""; 0]);
        assert_eq!((outcome.files, outcome.kept, outcome.deleted), (files_written, kept, deleted));
        assert_eq!(files(&target), ["Docs/F1=first", "TOOL=of the snapshot"]);
    }
}
