//! Files of which pieces are lost.

use std::fs;
use std::num::NonZeroUsize;

use kopia_repository::Entry;
use kopia_restore::{Options, Outcome};
use kopia_testkit::damage;
use kopia_testkit::writer::RepositoryWriter;
use serde_json::Value;

use crate::common::{Place, file, folder, names, problems};

const PIECE: usize = 4000;

/// Ten pieces that all differ.
fn large() -> Vec<u8> {
    (0..10_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

/// A file of ten pieces by this name in `d`, with others beside it.
fn root(place: &Place, name: &str, beside: &[&str]) -> Entry {
    let mut writer = RepositoryWriter::new().piece_size(PIECE);
    let bytes = writer.file(&large());
    let mut entries: Vec<Value> = vec![file(name, &bytes, 40_000)];
    for name in beside {
        let bytes = writer.file(name.as_bytes());
        entries.push(file(name, &bytes, name.len()));
    }
    entries.sort_by_key(|entry| entry["name"].as_str().map(ToString::to_string));
    let inner = writer.directory(&entries);
    let root = folder("data", &writer.directory(&[folder("d", &inner)]));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    // The third and the fourth piece, and the last.
    let pack = &damage::blobs(&place.path("repo"), "p")[0];
    for piece in [2, 3, 9] {
        pack.flip_bit(32 + piece * (PIECE + 28) + 100, 0);
    }
    root
}

fn salvage(place: &Place, root: &Entry) -> Outcome {
    let mut options = Options::default();
    options.salvage = true;
    kopia_restore::restore(root, place.path("target"), &options).unwrap()
}

/// The file with zeros where pieces are lost.
fn expected() -> Vec<u8> {
    let mut bytes = large();
    bytes[8000..16_000].fill(0);
    bytes[36_000..].fill(0);
    bytes
}

#[test]
fn the_rest_is_kept_with_zeros_and_named() {
    let place = Place::new();
    let root = root(&place, "f", &["g"]);
    let outcome = salvage(&place, &root);
    assert_eq!((outcome.files, outcome.problem_count), (1, 1), "{:?}", problems(&outcome));
    let problem = &outcome.problems[0];
    let salvaged = problem.salvaged.as_ref().unwrap();
    assert_eq!((&*problem.path, &*salvaged.path), ("d/f", "d/f.partial"));
    assert_eq!(salvaged.lost, [8000..16_000, 36_000..40_000]);
    let text = problem.to_string();
    assert!(
        text.ends_with(
            "; the rest is in \"d/f.partial\", with 12000 bytes of zeros at 8000..16000, 36000..40000"
        ),
        "{text}"
    );
    assert_eq!(names(&place.path("target/d")), ["f.partial", "g"]);
    assert!(fs::read(place.path("target/d/f.partial")).unwrap() == expected());
    // Without being asked, nothing half is written.
    let outcome = place.restore(&root, "other");
    assert!(outcome.problems[0].salvaged.is_none());
    assert_eq!(names(&place.path("other/d")), ["g"]);
}

#[test]
fn names_that_are_taken_or_too_long_give_way_to_a_made_one() {
    for (name, beside) in [("f", vec!["f.partial"]), (&*"n".repeat(250), vec![])] {
        let place = Place::new();
        let root = root(&place, name, &beside);
        let outcome = salvage(&place, &root);
        assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
        let path = &outcome.problems[0].salvaged.as_ref().unwrap().path;
        let made = path.strip_prefix("d/.kopia-rs-partial-").unwrap();
        assert!(made.len() == 8 && made.bytes().all(|digit| digit.is_ascii_hexdigit()), "{path}");
        assert!(fs::read(place.path("target").join(path)).unwrap() == expected());
        for name in beside {
            assert_eq!(fs::read(place.path("target/d").join(name)).unwrap(), name.as_bytes());
        }
    }
}

#[test]
fn what_an_interrupted_restore_had_salvaged_is_salvaged_again() {
    let place = Place::new();
    let long = "n".repeat(250);
    let root = root(&place, &long, &["g"]);
    // The name that such a file has until the end, which this one keeps.
    let temporary = salvage(&place, &root).problems[0].salvaged.as_ref().unwrap().path.clone();
    fs::remove_dir_all(place.path("target")).unwrap();
    let staged = place.path("target").join(format!(".kopia-rs-restore-{}", root.object()));
    fs::create_dir_all(staged.join("d")).unwrap();
    fs::write(staged.join(&temporary), b"half").unwrap();
    fs::write(staged.join("d/.kopia-rs-partial-00000000"), b"of another file").unwrap();
    // One thread does what needs no content last: too late to remove what is left, as this has its name by then.
    let mut options = Options::default();
    options.salvage = true;
    options.parallel = NonZeroUsize::new(1);
    let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_eq!(outcome.problems[0].salvaged.as_ref().map(|salvaged| &salvaged.path), Some(&temporary));
    assert!(fs::read(place.path("target").join(&temporary)).unwrap() == expected());
    assert_eq!(names(&place.path("target/d")).len(), 2, "the file and g");
}

#[test]
fn what_the_target_has_is_neither_replaced_nor_overwritten() {
    let place = Place::new();
    let root = root(&place, "f", &[]);
    fs::create_dir_all(place.path("target/d")).unwrap();
    fs::write(place.path("target/d/f"), b"older").unwrap();
    fs::write(place.path("target/d/f.partial"), b"mine").unwrap();
    let outcome = salvage(&place, &root);
    assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
    assert_eq!(fs::read(place.path("target/d/f")).unwrap(), b"older");
    assert_eq!(fs::read(place.path("target/d/f.partial")).unwrap(), b"mine");
    let path = &outcome.problems[0].salvaged.as_ref().unwrap().path;
    assert!(fs::read(place.path("target").join(path)).unwrap() == expected());
}

#[test]
fn pieces_that_the_target_has_are_not_lost() {
    let place = Place::new();
    let root = root(&place, "f", &[]);
    fs::create_dir_all(place.path("target/d")).unwrap();
    let mut older = large();
    // Longer, and with another byte in a piece that the repository has.
    older[100] ^= 1;
    older.push(0);
    fs::write(place.path("target/d/f"), &older).unwrap();
    let outcome = salvage(&place, &root);
    assert_eq!((outcome.files, outcome.problem_count), (1, 0), "{:?}", problems(&outcome));
    assert!(fs::read(place.path("target/d/f")).unwrap() == large());
}

#[test]
fn what_an_interrupted_restore_left_in_lost_parts_is_blanked() {
    let place = Place::new();
    let root = root(&place, "f", &[]);
    let left = place.path("target").join(format!(".kopia-rs-restore-{}", root.object()));
    fs::create_dir_all(left.join("d")).unwrap();
    fs::write(left.join("d/f"), [7; 50_000]).unwrap();
    let outcome = salvage(&place, &root);
    assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
    assert!(fs::read(place.path("target/d/f.partial")).unwrap() == expected());
}

#[test]
fn a_file_of_which_nothing_is_left_is_not_written() {
    let place = Place::new();
    let root = root(&place, "f", &["g"]);
    damage::blobs(&place.path("repo"), "p").iter().for_each(|pack| pack.delete());
    let outcome = salvage(&place, &root);
    assert_eq!(outcome.problem_count, 2);
    assert!(outcome.problems.iter().all(|problem| problem.salvaged.is_none()));
    assert!(names(&place.path("target/d")).is_empty());
}
