//! Placeholders of `kopia restore --shallow`, in the target and in the snapshot.

use std::fs;

use kopia_repository::Entry;
use kopia_restore::{Action, Options, Problem, preview};
use kopia_testkit::damage;
use serde_json::json;

use crate::common::{Place, file, folder, names, problems};

fn root(place: &Place) -> Entry {
    place.root("repo", |writer| {
        let hello = writer.file(b"hello");
        let inner = writer.directory(&[file("x", &hello, 5)]);
        let lost = "00112233445566778899aabbccddeeff";
        let entries = [
            folder("d", &inner),
            file("f", &hello, 5),
            file("lost", lost, 5),
            file("own.kopia-entry", &hello, 5),
        ];
        folder("data", &writer.directory(&entries))
    })
}

fn placeholder(name: &str) -> String {
    json!({"name": name, "type": "f", "mode": "0644", "mtime": "2020-01-02T03:04:05Z", "obj": "0a1b"})
        .to_string()
}

/// A target as `kopia restore --shallow` leaves it, with some things that only look like placeholders.
fn shallow(place: &Place) {
    let target = place.path("target");
    for directory in ["d.kopia-entry", "d", "elsewhere.kopia-entry"] {
        fs::create_dir_all(target.join(directory)).unwrap();
    }
    for name in [
        "d.kopia-entry/.kopia-entry",
        "f.kopia-entry",
        "lost.kopia-entry",
        "d/x.kopia-entry",
        "other.kopia-entry",
    ] {
        fs::write(target.join(name), placeholder(name)).unwrap();
    }
    fs::write(target.join("own"), "").unwrap();
}

const LEFT: [&str; 7] =
    ["d", "elsewhere.kopia-entry", "f", "lost.kopia-entry", "other.kopia-entry", "own", "own.kopia-entry"];

#[test]
fn they_go_when_what_they_stand_for_is_restored() {
    let place = Place::new();
    let root = root(&place);
    shallow(&place);
    let target = place.path("target");
    let mut deleted = Vec::new();
    let seen = preview(&root, &target, &Options::default(), |change| {
        deleted.extend((change.action == Action::Delete).then(|| change.path.clone()));
    });
    deleted.sort();
    // A dry run does not know what cannot be read.
    assert_eq!(deleted, ["d.kopia-entry", "d/x.kopia-entry", "f.kopia-entry", "lost.kopia-entry"]);
    assert_eq!(seen.unwrap().deleted, 4);
    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.deleted, outcome.problem_count), (3, 1), "{:?}", problems(&outcome));
    assert_eq!((names(&target), names(&target.join("d"))), (LEFT.map(Into::into).into(), vec!["x".into()]));
    assert_eq!(outcome.stub_count, 0, "one of the snapshot has only the name of a placeholder");
}

#[test]
fn what_only_looks_like_one_stays() {
    let place = Place::new();
    let root = root(&place);
    let target = place.path("target");
    fs::create_dir_all(target.join("d.kopia-entry")).unwrap();
    fs::write(target.join("d.kopia-entry/.kopia-entry"), placeholder("d")).unwrap();
    fs::write(target.join("d.kopia-entry/mine"), "").unwrap();
    fs::write(target.join("f.kopia-entry"), "notes of mine").unwrap();
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.deleted, 0);
    assert_eq!(names(&target), ["d", "d.kopia-entry", "f", "f.kopia-entry", "own.kopia-entry"]);
}

#[test]
fn one_of_a_single_file_goes_too() {
    let place = Place::new();
    let root = root(&place);
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("other.kopia-entry"), placeholder("f")).unwrap();
    let outcome = kopia_restore::restore(&root.at("f").unwrap(), target.join("other"), &Options::default());
    assert_eq!(outcome.unwrap().deleted, 1);
    assert_eq!(names(&target), ["other"]);
}

#[test]
fn those_of_the_snapshot_are_restored_as_they_are_and_told() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let text = placeholder("report.pdf");
        let stub = writer.file(text.as_bytes());
        let inner = writer.directory(&[file(".kopia-entry", &stub, text.len())]);
        let entries = [folder("d.kopia-entry", &inner), file("report.pdf.kopia-entry", &stub, text.len())];
        folder("data", &writer.directory(&entries))
    });
    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.stub_count, outcome.deleted, outcome.problem_count), (2, 0, 0));
    let mut paths: Vec<_> = outcome.stubs.iter().map(|found| (&*found.path, &*found.stub.name)).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [("d.kopia-entry/.kopia-entry", "report.pdf"), ("report.pdf.kopia-entry", "report.pdf")]
    );
    assert_eq!(place.restore(&root, "target").kept, 2);
}

/// What is said of the originals that the snapshots below have stubs of.
const ONLY_STUBS: [&str; 3] = [
    "bad: the snapshot has only a stub of it, so it is not deleted",
    "inside: the snapshot has only a stub of it, so it is not deleted",
    "shallow: the snapshot has only a stub of it, so it is not deleted",
];

fn sorted(problems: &[Problem]) -> Vec<String> {
    let mut problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    problems.sort();
    problems
}

#[test]
fn what_the_snapshot_has_only_a_stub_of_is_not_deleted() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let [hello, invalid, gone, shallow, inside] = [
            "hello".to_owned(),
            unreadable("bad"),
            unreadable("restored since"),
            placeholder("shallow"),
            placeholder("inside"),
        ]
        .map(|text| (writer.file(text.as_bytes()), text.len()));
        let stub = writer.directory(&[file(".kopia-entry", &inside.0, inside.1)]);
        let entries = [
            file("restored since", &hello.0, hello.1),
            file(".INVALID.bad", &invalid.0, invalid.1),
            file(".INVALID.no stub", &hello.0, hello.1),
            file(".INVALID.restored since", &gone.0, gone.1),
            folder("inside.kopia-entry", &stub),
            file("shallow.kopia-entry", &shallow.0, shallow.1),
        ];
        folder("data", &writer.directory(&entries))
    });
    let target = place.path("target");
    fs::create_dir_all(target.join("inside/deep")).unwrap();
    fs::create_dir_all(target.join("inside.kopia-entry")).unwrap();
    let copies = ["bad", "shallow", "inside/deep/file"];
    let extras = ["no stub", "other", "inside.kopia-entry/inside"];
    for name in copies.into_iter().chain(extras) {
        fs::write(target.join(name), "good").unwrap();
    }
    let mut options = Options::default();
    options.delete_extra = true;
    let seen = preview(&root, &target, &options, |_| ()).unwrap();
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!(sorted(&outcome.problems), ONLY_STUBS);
    assert_eq!(sorted(&seen.problems), ONLY_STUBS);
    assert_eq!((seen.deleted, outcome.deleted), (3, 3));
    assert!(copies.into_iter().all(|name| fs::read(target.join(name)).unwrap() == b"good"));
    assert!(!extras.into_iter().any(|name| target.join(name).exists()));
}

/// The stubs are right in the target, so that nothing of them has to be read.
#[test]
fn what_stubs_that_cannot_be_read_may_stand_for_is_not_deleted() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let [invalid, shallow, inside] = [unreadable("bad"), placeholder("shallow"), placeholder("inside")]
            .map(|text| (writer.file(text.as_bytes()), text.len()));
        let stub = writer.directory(&[file(".kopia-entry", &inside.0, inside.1)]);
        let entries = [
            folder("inside.kopia-entry", &stub),
            file(".INVALID.bad", &invalid.0, invalid.1),
            file("shallow.kopia-entry", &shallow.0, shallow.1),
        ];
        folder("data", &writer.directory(&entries))
    });
    place.restore(&root, "target");
    for pack in damage::blobs(&place.path("repo"), "p") {
        pack.delete();
    }
    let (root, target) = (place.open("repo"), place.path("target"));
    fs::create_dir(target.join("inside")).unwrap();
    let copies = ["bad", "inside/file", "shallow"];
    for name in copies.into_iter().chain(["other"]) {
        fs::write(target.join(name), "good").unwrap();
    }
    let mut options = Options::default();
    options.delete_extra = true;
    let outcome = kopia_restore::restore(&root, &target, &options).unwrap();
    assert_eq!(sorted(&outcome.problems), ONLY_STUBS);
    assert_eq!((outcome.kept, outcome.deleted, target.join("other").exists()), (3, 1, false));
    assert!(copies.into_iter().all(|name| fs::read(target.join(name)).unwrap() == b"good"));
}

/// What `kopia snapshot fix` puts in place of a file.
fn unreadable(name: &str) -> String {
    let entry: serde_json::Value = serde_json::from_str(&placeholder(name)).unwrap();
    json!({"info": "Kopia replaced it.", "error": "gone", "entry": entry}).to_string()
}
