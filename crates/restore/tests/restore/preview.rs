//! What a dry run says is what the restore does.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use kopia_repository::Entry;
use kopia_restore::{Action, Existing, Options, Preview};
use kopia_testkit::tree::Tree;
use kopia_testkit::writer::RepositoryWriter;

use crate::common::{Place, file, folder, link, problems, set_mode};

fn large() -> Vec<u8> {
    (0..10_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let (hello, bytes, empty) = (writer.file(b"hello"), writer.file(&large()), writer.file(b""));
    let inner = writer.directory(&[link("l", &hello), file("small", &hello, 5)]);
    let entries = [folder("d", &inner), file("empty", &empty, 0), file("large", &bytes, 40_000)];
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

/// The changes but those that keep, a line each, and what they are in all.
fn preview(place: &Place, root: &Entry, options: &Options) -> (BTreeSet<String>, Preview) {
    let mut lines = BTreeSet::new();
    let preview = kopia_restore::preview(root, place.path("target"), options, |change| {
        if change.action != Action::Keep {
            lines.insert(format!("{:?} {}", change.action, change.path));
        }
    });
    (lines, preview.unwrap())
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn nothing_is_made_for_a_target_that_is_not_there() {
    let place = Place::new();
    let root = root(&place);
    let (lines, preview) = preview(&place, &root, &Options::default());
    assert_eq!(lines, set(&["Write d", "Write d/l", "Write d/small", "Write empty", "Write large"]));
    assert_eq!((preview.written, preview.bytes, preview.directories, preview.kept), (4, 40_005, 1, 0));
    assert!(!place.path("target").exists());
}

#[test]
fn it_says_what_the_restore_does() {
    let place = Place::new();
    let root = root(&place);
    for in_place in [false, true] {
        place.restore(&root, "target");
        fs::write(place.path("target/large"), b"other").unwrap();
        fs::remove_file(place.path("target/empty")).unwrap();
        fs::remove_file(place.path("target/d/l")).unwrap();
        symlink("elsewhere", place.path("target/d/l")).unwrap();
        fs::create_dir_all(place.path("target/extra/deep")).unwrap();
        fs::write(place.path("target/d/extra"), b"x").unwrap();
        let mut options = Options::default();
        (options.delete_extra, options.in_place) = (true, in_place);
        let before = Tree::scan(place.path("target"));
        let (lines, preview) = preview(&place, &root, &options);
        let change = if in_place { "Change large" } else { "Replace large" };
        let expected = ["Delete d/extra", "Delete extra", "Replace d/l", change, "Write empty"];
        assert_eq!(lines, set(&expected));
        assert_eq!(Tree::scan(place.path("target")).entries(), before.entries(), "nothing was changed");

        let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
        assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
        let done = (outcome.files + outcome.symlinks, outcome.bytes, outcome.kept, outcome.deleted);
        assert_eq!((preview.written, preview.bytes, preview.kept, preview.deleted), done);
    }
}

#[test]
fn what_would_be_refused_is_said() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("target/d"), b"mine").unwrap();
    fs::write(place.path("target/large"), b"mine").unwrap();
    let mut options = Options::default();
    options.existing = Existing::Error;
    let (lines, preview) = preview(&place, &root, &options);
    let told: Vec<_> = preview.problems.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["d: it exists already", "large: it exists already"]);
    assert_eq!(lines, set(&["Write empty"]));
    let result = kopia_restore::preview(&root, place.path("repo"), &options, |_| ());
    assert!(matches!(result, Err(kopia_restore::Error::Overlap { .. })), "{result:?}");
}

#[test]
fn folders_in_the_way_of_files_are_told() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target/empty")).unwrap();
    fs::create_dir_all(place.path("target/large/full")).unwrap();
    let mut options = Options::default();
    let (lines, told) = preview(&place, &root, &options);
    assert_eq!(lines, set(&["Replace empty", "Write d", "Write d/l", "Write d/small"]));
    let told: Vec<_> = told.problems.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["large: a folder with something in it is in the way"]);
    options.delete_extra = true;
    let (lines, told) = preview(&place, &root, &options);
    let expected = [
        "Delete empty",
        "Delete large",
        "Write d",
        "Write d/l",
        "Write d/small",
        "Write empty",
        "Write large",
    ];
    assert_eq!(lines, set(&expected));
    assert_eq!((told.deleted, told.problems.len()), (2, 0));
    let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_eq!((outcome.deleted, outcome.problem_count), (2, 0));
}

#[test]
fn what_may_not_be_written_or_listed_is_told() {
    if rustix::process::geteuid().is_root() {
        // Root may do everything.
        return;
    }
    let place = Place::new();
    let root = root(&place);
    place.restore(&root, "target");
    place.restore(&root, "fresh");
    for mode in [0o300, 0o400, 0o600] {
        fs::write(place.path("target/large"), b"other").unwrap();
        set_mode(place.path("target/large"), 0o400);
        set_mode(place.path("target/d"), mode);
        let mut options = Options::default();
        (options.in_place, options.delete_extra) = (true, true);
        let (lines, told) = preview(&place, &root, &options);
        assert!(lines.contains("Replace large"), "{lines:?}");
        // What its owner has to open up first is no problem, as it is none for the restore.
        assert_eq!(told.problem_count, 0, "{:?}", told.problems);
        kopia_restore::restore(&root, place.path("target"), &options).unwrap();
        crate::common::assert_same(&place.path("fresh"), &place.path("target"));
    }
    // A target that may not be looked into is refused by both.
    for mode in [0o300, 0o400, 0o600] {
        set_mode(place.path("target"), mode);
        let options = Options::default();
        let foreseen = kopia_restore::preview(&root, place.path("target"), &options, |_| {}).unwrap_err();
        let ended = kopia_restore::restore(&root, place.path("target"), &options).unwrap_err();
        assert_eq!(foreseen.to_string(), ended.to_string(), "{mode:o}");
    }
    set_mode(place.path("target"), 0o755);
}

#[test]
fn a_single_file_has_a_preview_too() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let object = writer.file(b"hello");
        let mut root = file("single", &object, 5);
        root["mode"] = "0600".into();
        root
    });
    let options = Options::default();
    // It becomes the target itself, or lies in it if that is a folder.
    let (lines, preview) = self::preview(&place, &root, &options);
    assert_eq!((lines, preview.written, preview.bytes), (set(&["Write target"]), 1, 5));
    fs::create_dir(place.path("target")).unwrap();
    let (lines, preview) = self::preview(&place, &root, &options);
    assert_eq!((lines, preview.written, preview.kept), (set(&["Write single"]), 1, 0));
    place.restore(&root, "target");
    let (lines, preview) = self::preview(&place, &root, &options);
    assert_eq!((lines, preview.written, preview.kept), (set(&[]), 0, 1));
    // What kopia left in its place goes with it.
    let stub = format!(r#"{{"name":"single","type":"f","obj":"{}"}}"#, root.object());
    fs::write(place.path("target/single.kopia-entry"), stub).unwrap();
    let (lines, preview) = self::preview(&place, &root, &options);
    assert_eq!((lines, preview.deleted), (set(&["Delete single.kopia-entry"]), 1));
}

#[test]
fn a_directory_is_compared_and_need_not_be_writable() {
    let place = Place::new();
    let root = root(&place);
    place.restore(&root, "target");
    let compare = || {
        let (mut options, mut lines) = (Options::default(), BTreeSet::new());
        options.delete_extra = true;
        let compared = kopia_restore::compare(&root, place.path("target"), &options, |change| {
            if change.action != Action::Keep {
                lines.insert(format!("{:?} {}", change.action, change.path));
            }
        });
        (lines, compared.unwrap())
    };
    let (lines, compared) = compare();
    assert_eq!((lines, compared.kept, compared.problem_count), (set(&[]), 4, 0));
    fs::write(place.path("target/large"), b"other").unwrap();
    fs::remove_file(place.path("target/empty")).unwrap();
    fs::write(place.path("target/d/extra"), b"x").unwrap();
    let (lines, compared) = compare();
    assert_eq!(lines, set(&["Delete d/extra", "Replace large", "Write empty"]));
    assert_eq!((compared.kept, compared.written, compared.deleted), (2, 2, 1));
}
