//! Targets that hold something already, put there to be kept or to do harm.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::common::{Place, file, folder, link, names, problems, set_mode};
use kopia_repository::Entry;
use kopia_restore::{Error, Options};

/// `d/f` and `f` with "hello", `l` → "hello".
fn root(place: &Place) -> Entry {
    place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let inner = writer.directory(&[file("f", &bytes, 5)]);
        folder("data", &writer.directory(&[folder("d", &inner), file("f", &bytes, 5), link("l", &bytes)]))
    })
}

#[test]
fn what_is_not_in_the_snapshot_stays() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target/d/own")).unwrap();
    fs::write(place.path("target/d/own/file"), b"mine").unwrap();
    fs::write(place.path("target/d/f"), b"older and longer").unwrap();
    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.problem_count, outcome.files), (0, 2), "{:?}", problems(&outcome));
    assert_eq!(names(&place.path("target")), ["d", "f", "l"]);
    assert_eq!(names(&place.path("target/d")), ["f", "own"]);
    assert_eq!(fs::read(place.path("target/d/f")).unwrap(), b"hello");
    assert_eq!(fs::read(place.path("target/d/own/file")).unwrap(), b"mine");
    for path in ["target", "target/d", "target/d/f"] {
        let metadata = fs::metadata(place.path(path)).unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_577_934_245, 6), "{path}");
    }
}

#[test]
fn links_are_replaced_and_never_followed() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("outside")).unwrap();
    fs::write(place.path("outside/f"), b"precious").unwrap();
    fs::create_dir(place.path("target")).unwrap();
    symlink(place.path("outside"), place.path("target/d")).unwrap();
    symlink(place.path("outside/f"), place.path("target/f")).unwrap();
    symlink(place.path("outside"), place.path("target/l")).unwrap();
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    assert_eq!(names(&place.path("outside")), ["f"]);
    assert_eq!(fs::read(place.path("outside/f")).unwrap(), b"precious");
    assert!(fs::symlink_metadata(place.path("target/d")).unwrap().is_dir());
    assert!(fs::symlink_metadata(place.path("target/f")).unwrap().is_file());
    assert_eq!(fs::read_link(place.path("target/l")).unwrap().to_str(), Some("hello"));
}

#[test]
fn hard_links_are_not_written_through() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("other-name"), b"precious").unwrap();
    fs::hard_link(place.path("other-name"), place.path("target/f")).unwrap();
    assert_eq!(place.restore(&root, "target").problem_count, 0);
    assert_eq!(fs::read(place.path("other-name")).unwrap(), b"precious");
    assert_eq!(fs::read(place.path("target/f")).unwrap(), b"hello");
}

#[test]
fn read_only_files_and_folders_are_no_obstacle() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target/d")).unwrap();
    fs::write(place.path("target/d/f"), b"old").unwrap();
    set_mode(place.path("target/d/f"), 0o000);
    set_mode(place.path("target/d"), 0o000);
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    assert_eq!(fs::read(place.path("target/d/f")).unwrap(), b"hello");
    assert_eq!(fs::metadata(place.path("target/d")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn folders_give_way_only_when_they_are_empty() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target/f/full")).unwrap();
    fs::create_dir_all(place.path("target/l")).unwrap();
    fs::write(place.path("target/d"), b"a file where a folder belongs").unwrap();
    let outcome = place.restore(&root, "target");
    assert_eq!(problems(&outcome), ["f: a folder with something in it is in the way"]);
    assert!(place.path("target/f/full").is_dir());
    assert!(fs::symlink_metadata(place.path("target/l")).unwrap().is_symlink());
    assert_eq!(fs::read(place.path("target/d/f")).unwrap(), b"hello");
    assert_eq!(names(&place.path("target")), ["d", "f", "l"]);
}

#[test]
fn a_second_restore_changes_nothing_and_removes_leftovers() {
    let place = Place::new();
    let root = root(&place);
    place.restore(&root, "target");
    fs::create_dir_all(place.path("target/.kopia-rs-restore-kabc/d/e")).unwrap();
    fs::write(place.path("target/.kopia-rs-restore-kabc/d/file"), b"half").unwrap();
    assert_eq!(place.restore(&root, "target").problem_count, 0);
    assert_eq!(names(&place.path("target")), ["d", "f", "l"]);
}

#[test]
fn the_repository_is_no_target_nor_in_one() {
    let place = Place::new();
    let root = root(&place);
    let before = names(&place.path("repo"));
    symlink(place.path("repo"), place.path("alias")).unwrap();
    for target in ["repo", "repo/new/folder", "", "alias", "alias/new", "repo/../repo"] {
        let result = kopia_restore::restore(&root, place.path(target), &Options::default());
        assert!(matches!(result, Err(Error::Overlap { .. })), "{target}: {result:?}");
    }
    // Where such a path leads is known only once its folders are there, and they must not be made to find
    // out.
    for target in ["missing/../repo", "missing/../repo/new", "missing/deeper/../../repo"] {
        let result = kopia_restore::restore(&root, place.path(target), &Options::default());
        assert!(matches!(result, Err(Error::Target { .. })), "{target}: {result:?}");
    }
    assert_eq!(names(&place.path("repo")), before);
    assert_eq!(names(&place.path("")), ["alias", "repo"]);
}

#[test]
fn a_file_is_no_target_for_a_folder() {
    let place = Place::new();
    let root = root(&place);
    fs::write(place.path("file"), b"mine").unwrap();
    let result = kopia_restore::restore(&root, place.path("file"), &Options::default());
    assert!(matches!(result, Err(Error::NotADirectory { .. })), "{result:?}");
    assert_eq!(fs::read(place.path("file")).unwrap(), b"mine");
}

#[test]
fn single_files_and_links_go_where_they_are_sent() {
    let place = Place::new();
    let root = root(&place);
    let (one, link) = (root.at("d/f").unwrap(), root.at("l").unwrap());
    fs::create_dir(place.path("folder")).unwrap();
    fs::write(place.path("folder/kept"), b"mine").unwrap();
    for (target, result, files) in [
        ("new", "new", 1),
        ("folder", "folder/f", 1),
        ("made/here/", "made/here/f", 1),
        // It is there, and right.
        ("new", "new", 0),
    ] {
        let outcome = place.restore(&one, target);
        let counts = (outcome.files, outcome.kept, outcome.problem_count, outcome.directories);
        assert_eq!(counts, (files, 1 - files, 0, 0), "{target}");
        assert_eq!(fs::read(place.path(result)).unwrap(), b"hello");
    }
    place.restore(&link, "folder");
    assert_eq!(names(&place.path("folder")), ["f", "kept", "l"]);
    assert_eq!(names(&place.path("made/here")), ["f"]);
}

#[test]
fn the_roots_attributes_can_be_left() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir(place.path("target")).unwrap();
    set_mode(place.path("target"), 0o710);
    let mut options = Options::default();
    options.root_attributes = false;
    kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_eq!(fs::metadata(place.path("target")).unwrap().mode() & 0o7777, 0o710);
    place.restore(&root, "target");
    assert_eq!(fs::metadata(place.path("target")).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_folder_that_cannot_be_made_beside_one_of_its_name_is_reported() {
    let place = Place::new();
    let root = place.root("repo", |writer| {
        let bytes = writer.file(b"hello");
        let one = writer.directory(&[file("one", &bytes, 5)]);
        let two = writer.directory(&[file("two", &bytes, 5)]);
        let entries = [folder("d", &one), file("m", &bytes, 5), folder("d", &two)];
        folder("data", &writer.directory(&entries))
    });
    fs::create_dir_all(place.path("target/d")).unwrap();
    let outcome = place.restore(&root, "target");
    assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
    assert_eq!(names(&place.path("target")), ["d", "m"]);
    assert_eq!(names(&place.path("target/d")).len(), 1);
}

#[test]
fn devices_and_pipes_are_not_replaced_when_they_are_named() {
    let place = Place::new();
    let root = root(&place);
    let pipe = place.path("pipe");
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let result = kopia_restore::restore(&root.at("f").unwrap(), &pipe, &Options::default());
    assert!(matches!(result, Err(Error::Target { .. })), "{result:?}");
    assert!(!fs::symlink_metadata(&pipe).unwrap().is_file());
}

#[test]
fn staging_folders_of_others_and_files_of_that_name_are_left_alone() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("target/.kopia-rs-restore-note"), b"mine").unwrap();
    assert_eq!(place.restore(&root, "target").problem_count, 0);
    assert_eq!(fs::read(place.path("target/.kopia-rs-restore-note")).unwrap(), b"mine");
    // A restore that is under way holds its lock.
    fs::create_dir(place.path("target/.kopia-rs-restore-kabc")).unwrap();
    let held = fs::File::open(place.path("target/.kopia-rs-restore-kabc")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let result = kopia_restore::restore(&root, place.path("target"), &Options::default());
    assert!(matches!(result, Err(Error::Busy { .. })), "{result:?}");
}
