//! Restores into a tree that has some of it already: what is right stays, and only what differs is written.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;

use kopia_repository::Entry;
use kopia_restore::{Existing, Options, Outcome};
use kopia_testkit::writer::RepositoryWriter;

use crate::common::{Place, assert_same, file, folder, link, problems, set_mode};

/// Bytes of a large file: ten pieces that all differ.
fn large() -> Vec<u8> {
    (0..10_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

/// `d/small`, `d/l` → "hello", `empty`, and `large` in ten pieces.
fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(4000);
    let (hello, bytes, empty) = (writer.file(b"hello"), writer.file(&large()), writer.file(b""));
    let inner = writer.directory(&[link("l", &hello), file("small", &hello, 5)]);
    let entries = [folder("d", &inner), file("empty", &empty, 0), file("large", &bytes, 40_000)];
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

fn restore(place: &Place, root: &Entry, options: &Options) -> Outcome {
    let outcome = kopia_restore::restore(root, place.path("target"), options).unwrap();
    assert_eq!(outcome.problem_count, 0, "{:?}", problems(&outcome));
    outcome
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// Compares the target with a restore into a fresh folder.
fn assert_as_fresh(place: &Place, root: &Entry) {
    let fresh = place.path("fresh");
    kopia_restore::restore(root, &fresh, &Options::default()).unwrap();
    assert_same(&fresh, &place.path("target"));
    fs::remove_dir_all(fresh).unwrap();
}

#[test]
fn what_is_right_is_kept() {
    let place = Place::new();
    let root = root(&place);
    restore(&place, &root, &Options::default());
    let paths = ["d/l", "d/small", "empty", "large"].map(|path| place.path("target").join(path));
    let before = paths.each_ref().map(|path| inode(path));
    for existing in [Existing::Verify, Existing::Skip] {
        let mut options = Options::default();
        options.existing = existing;
        let outcome = restore(&place, &root, &options);
        assert_eq!((outcome.files, outcome.symlinks, outcome.kept), (0, 0, 4), "{existing:?}");
        assert_eq!((outcome.bytes, outcome.bytes_kept), (0, 40_005), "{existing:?}");
        assert_eq!(paths.each_ref().map(|path| inode(path)), before, "{existing:?}");
    }
    let mut options = Options::default();
    options.existing = Existing::Overwrite;
    let outcome = restore(&place, &root, &options);
    assert_eq!((outcome.files, outcome.symlinks, outcome.kept), (3, 1, 0));
    assert_as_fresh(&place, &root);
}

#[test]
fn attributes_of_what_is_kept_are_put_right() {
    let place = Place::new();
    let root = root(&place);
    restore(&place, &root, &Options::default());
    for path in ["d/small", "empty", "large"] {
        let path = place.path("target").join(path);
        set_mode(&path, 0o400);
        fs::File::open(&path).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    }
    let outcome = restore(&place, &root, &Options::default());
    assert_eq!(outcome.kept, 4);
    assert_as_fresh(&place, &root);
}

/// What is done to `large`.
type Change = fn(&fs::File);

/// Changes by name, and how many of its 40,000 bytes are right after each.
fn changes() -> Vec<(&'static str, Change, u64)> {
    vec![
        ("a byte in the middle", |file| file.write_all_at(&[9], 17_001).unwrap(), 36_000),
        ("the beginning", |file| file.write_all_at(&[9], 0).unwrap(), 36_000),
        ("the end", |file| file.write_all_at(&[9], 39_999).unwrap(), 36_000),
        ("shorter", |file| file.set_len(22_000).unwrap(), 20_000),
        ("longer", |file| file.set_len(1 << 20).unwrap(), 40_000),
        ("empty", |file| file.set_len(0).unwrap(), 0),
        ("zeros", |file| file.write_all_at(&[0; 40_000], 0).unwrap(), 0),
    ]
}

#[test]
fn a_large_file_is_replaced_whole_or_changed_in_place() {
    let place = Place::new();
    let root = root(&place);
    let path = place.path("target/large");
    for in_place in [false, true] {
        for existing in [Existing::Verify, Existing::Skip] {
            for (what, change, right) in changes() {
                restore(&place, &root, &Options::default());
                change(&fs::OpenOptions::new().write(true).open(&path).unwrap());
                let before = inode(&path);
                let mut options = Options::default();
                (options.in_place, options.existing) = (in_place, existing);
                let outcome = restore(&place, &root, &options);
                assert_eq!((outcome.files, outcome.kept), (1, 3), "{what}, {in_place}");
                assert!(fs::read(&path).unwrap() == large(), "{what}, {in_place}");
                assert_eq!(inode(&path) == before, in_place, "{what}");
                if in_place {
                    assert_eq!(outcome.bytes_kept, right + 5, "{what}");
                }
                assert_as_fresh(&place, &root);
            }
        }
    }
}

#[test]
fn skip_trusts_size_and_time_and_verify_does_not() {
    let place = Place::new();
    let root = root(&place);
    restore(&place, &root, &Options::default());
    let path = place.path("target/large");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"other", 100).unwrap();
    file.set_modified(before).unwrap();
    let mut options = Options::default();
    options.existing = Existing::Skip;
    assert_eq!(restore(&place, &root, &options).kept, 4);
    assert!(fs::read(&path).unwrap() != large());
    assert_eq!(restore(&place, &root, &Options::default()).kept, 3);
    assert_as_fresh(&place, &root);
}

#[test]
fn files_with_other_names_are_never_written_through_or_kept() {
    let place = Place::new();
    let root = root(&place);
    for (in_place, right) in [(false, false), (true, false), (true, true)] {
        restore(&place, &root, &Options::default());
        let (path, other) = (place.path("target/large"), place.path("other"));
        if !right {
            fs::write(&path, b"precious").unwrap();
        }
        fs::hard_link(&path, &other).unwrap();
        set_mode(&other, 0o604);
        let bytes = fs::read(&other).unwrap();
        let mut options = Options::default();
        options.in_place = in_place;
        restore(&place, &root, &options);
        assert!(fs::read(&other).unwrap() == bytes);
        assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o604);
        assert_ne!(inode(&path), inode(&other));
        assert_as_fresh(&place, &root);
        fs::remove_file(&other).unwrap();
    }
}

#[test]
fn with_error_nothing_that_exists_is_touched() {
    let place = Place::new();
    let root = root(&place);
    fs::create_dir_all(place.path("target/d")).unwrap();
    fs::write(place.path("target/d/small"), b"mine").unwrap();
    fs::write(place.path("target/large"), b"mine too").unwrap();
    let mut options = Options::default();
    options.existing = Existing::Error;
    let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_eq!(problems(&outcome), ["d/small: it exists already", "large: it exists already"]);
    assert_eq!(fs::read(place.path("target/d/small")).unwrap(), b"mine");
    assert_eq!(fs::read(place.path("target/large")).unwrap(), b"mine too");
    assert!(place.path("target/empty").exists() && place.path("target/d/l").is_symlink());
    // A file where a folder belongs.
    fs::remove_dir_all(place.path("target")).unwrap();
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("target/d"), b"mine").unwrap();
    let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_eq!(problems(&outcome), ["d: it exists already"]);
    assert_eq!(fs::read(place.path("target/d")).unwrap(), b"mine");
}

#[test]
fn what_is_there_is_not_read_from_the_repository() {
    let place = Place::new();
    let root = root(&place);
    restore(&place, &root, &Options::default());
    // Without its file contents: folders are in other packs.
    for pack in kopia_testkit::damage::blobs(&place.path("repo"), "p") {
        pack.delete();
    }
    let root = place.open("repo");
    let outcome = restore(&place, &root, &Options::default());
    assert_eq!((outcome.files, outcome.kept), (0, 4));
    fs::OpenOptions::new()
        .write(true)
        .open(place.path("target/large"))
        .unwrap()
        .write_all_at(&[9], 17_001)
        .unwrap();
    let root = place.open("repo");
    let outcome = kopia_restore::restore(&root, place.path("target"), &Options::default()).unwrap();
    assert_eq!((outcome.kept, outcome.problem_count), (3, 1), "{:?}", problems(&outcome));
    assert_eq!(fs::read(place.path("target/large")).unwrap().len(), 40_000, "the old one stays");
}
