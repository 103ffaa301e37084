use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Mutex;

use kopia_repository::{Entry, Repository};
use kopia_testkit::threads::{at_most, is_alone};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use super::begin::{Begun, begin};
use super::run::{put_in_place, work};
use crate::destination::reserved::Reserved;
use crate::destination::target::Target;
use crate::execute::Shared;
use crate::tally::Tally;
use crate::testing::{opened, served};
use crate::{Attribute, Error, Observer, Options, preview, restore, restore_observed};

/// When the root was modified.
const THEN: i64 = 1_577_934_245;

/// Makes a repository with a snapshot of a directory, or of a single file, with attributes of its own.
fn repository(is_directory: bool) -> Repository {
    let mut writer = RepositoryWriter::new();
    let file = writer.file(b"text");
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let (kind, object) = if is_directory {
        let mut inner = json!({"name": "f", "type": "f", "mode": "0640", "size": 4, "obj": file});
        (inner["uid"], inner["gid"]) = (user.into(), group.into());
        ("d", writer.directory(&[inner]))
    } else {
        ("f", file)
    };
    let root = json!({
        "name": "data", "type": kind, "mode": "0751", "mtime": "2020-01-02T03:04:05Z", "uid": user, "gid": group,
        "size": if is_directory { 0 } else { 4 }, "obj": object,
    });
    writer.snapshot("app@host:/data", root);
    opened(writer)
}

fn root(repository: &Repository) -> Entry {
    repository.snapshots().unwrap().iter().next().unwrap().root().unwrap()
}

/// Returns the mode, and whether the time is that of the snapshot.
fn attributes(path: &Path) -> (u32, bool) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.mode() & 0o7777, metadata.mtime() == THEN)
}

/// Gathers what is told of attributes.
#[derive(Default)]
struct Told(Mutex<Vec<(String, Attribute)>>);

impl Observer for Told {
    fn attribute(&self, path: &str, attribute: Attribute) {
        self.0.lock().unwrap().push((path.into(), attribute));
    }
}

#[test]
fn attributes_that_a_server_does_not_tell_are_not_set() {
    let place = tempfile::tempdir().unwrap();
    for (is_directory, is_guessed, wanted) in [
        (true, false, (0o751, true)),
        (true, true, (0o700, false)),
        (false, false, (0o751, true)),
        (false, true, (0o600, false)),
    ] {
        let entry = root(&served(&repository(is_directory), is_guessed));
        assert_eq!(entry.is_guessed(), is_guessed);
        let target = place.path().join(format!("{is_directory} {is_guessed}"));
        if is_directory {
            fs::create_dir(&target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let options = Options::default();
        let foreseen = preview(&entry, &target, &options, |_| {}).unwrap().notes;
        let told = Told::default();
        let outcome = restore_observed(&entry, &target, &options, &told).unwrap();
        assert_eq!((outcome.problem_count, outcome.files), (0, 1));
        assert_eq!(attributes(&target), wanted, "directory {is_directory}, guessed {is_guessed}");
        assert_eq!((outcome.notes.guessed, foreseen.guessed), (u64::from(is_guessed), u64::from(is_guessed)));
        // Who asks for a list of what is not as in the snapshot finds it there.
        let name = if is_directory { String::new() } else { format!("{is_directory} {is_guessed}") };
        let mut told = told.0.into_inner().unwrap();
        told.retain(|(_, attribute)| *attribute == Attribute::Guessed);
        assert_eq!(told, is_guessed.then_some((name, Attribute::Guessed)).into_iter().collect::<Vec<_>>());
        if is_directory {
            assert_eq!(attributes(&target.join("f")).0, 0o640, "what lies below is told");
        }
    }
}

#[test]
fn nothing_is_said_of_attributes_that_nobody_asks_for() {
    let place = tempfile::tempdir().unwrap();
    let entry = root(&served(&repository(true), true));
    let options = Options { root_attributes: false, ..Options::default() };
    assert!(restore(&entry, place.path().join("t"), &options).unwrap().notes.is_empty());
    let inner = entry.at("f").unwrap();
    assert!(!inner.is_guessed());
    assert!(restore(&inner, place.path().join("f"), &Options::default()).unwrap().notes.is_empty());
}

/// As [`restore`](restore()), into a target that takes such names for something else. Returns the problems.
fn restore_where(reserved: Reserved, entry: &Entry, target: &Path) -> Vec<(String, &'static str)> {
    let options = Options::default();
    let target = Target::open(entry, target).unwrap();
    let Begun { staging, incomplete, .. } = begin(entry, &target, &options).unwrap();
    let tally = Tally::new(&());
    let shared = Shared::new(entry.repository(), &options, &tally, &target, &staging, incomplete);
    let mut shared = shared.unwrap();
    shared.reserved = reserved;
    target.set_usual_mode(shared.defaults.directory_mode());
    let merge = work(&shared, entry).unwrap();
    put_in_place(entry, &shared, &merge).unwrap().unwrap();
    drop(shared);
    tally.finish().problems.into_iter().map(|problem| (problem.path, problem.reason.word())).collect()
}

#[test]
fn names_that_the_target_takes_for_something_else_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut writer = RepositoryWriter::new();
    let object = writer.file(b"text");
    let file = |name: &str| json!({"name": name, "type": "f", "mode": "0644", "size": 4, "obj": object});
    let inner = writer.directory(&[file("x"), file("y\\z")]);
    let directory = |name: &str| json!({"name": name, "type": "d", "mode": "0755", "obj": inner});
    let listed = writer.directory(&[file("..\\x"), file("a"), file("a:b"), directory("c:d"), directory("e")]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": listed}));
    writer.snapshot("app@host:/file", file("a:b"));
    let snapshots = opened(writer).snapshots().unwrap();
    let root = |path: &str| {
        let found = snapshots.iter().find(|snapshot| snapshot.source().to_string().ends_with(path));
        found.unwrap().root().unwrap()
    };
    let (tree, single) = (root("/data"), root("/file"));
    for (backslash, colon) in [(false, false), (true, false), (false, true), (true, true)] {
        let reserved = Reserved { backslash, colon };
        let target = place.path().join(format!("{backslash} {colon}"));
        let refused: Vec<_> = [
            ("..\\x", backslash),
            ("a:b", colon),
            ("c:d", colon),
            ("c:d/y\\z", backslash && !colon),
            ("e/y\\z", backslash),
        ]
        .into_iter()
        .filter(|(_, is_refused)| *is_refused)
        .map(|(path, _)| (path.to_owned(), "unfit_name"))
        .collect();
        assert_eq!(restore_where(reserved, &tree, &target), refused);
        for (path, is_there) in [
            ("a", true),
            ("e/x", true),
            ("..\\x", !backslash),
            ("e/y\\z", !backslash),
            ("a:b", !colon),
            ("c:d/x", !colon),
        ] {
            assert_eq!(target.join(path).exists(), is_there, "{path} {reserved:?}");
        }
        let problems = restore_where(reserved, &single, &target.join("e"));
        assert_eq!((problems.len(), target.join("e/a:b").exists()), (usize::from(colon), !colon));
    }
}

#[test]
fn one_thread_that_can_be_started_is_enough_and_none_ends_it() {
    if !is_alone("restore::tests::one_thread_that_can_be_started_is_enough_and_none_ends_it") {
        return;
    }
    let (place, entry) = (tempfile::tempdir().unwrap(), root(&repository(true)));
    let options = Options { parallel: NonZeroUsize::new(3), ..Options::default() };
    let restore = |count: u64| {
        let target = place.path().join(count.to_string());
        at_most(count, || restore(&entry, target, &options))
    };
    let Some(with_one) = restore(1) else { return };
    let outcome = with_one.unwrap();
    assert_eq!((outcome.files, outcome.problem_count), (1, 0), "{:?}", outcome.problems);
    let with_none = restore(0).unwrap();
    assert!(matches!(with_none, Err(Error::Threads { .. })), "{with_none:?}");
    assert!(!place.path().join("0").exists(), "nothing was done in it");
    // What is kept of a single file lies in the target until the end.
    let (file, options) = (entry.at("f").unwrap(), Options { keep_replaced: true, ..options });
    let target = place.path().join("single");
    let with_none = at_most(0, || crate::restore(&file, target.join("."), &options)).unwrap();
    assert!(matches!(with_none, Err(Error::Threads { .. })), "{with_none:?}");
    assert!(!target.exists(), "nothing was done in it");
}
