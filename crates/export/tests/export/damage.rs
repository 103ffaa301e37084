//! Damage in the repository: it is known before a file's header is written, and the archive is whole.

use std::fs;

use kopia_export::{Format, Options};
use kopia_repository::Entry;
use kopia_testkit::damage;
use kopia_testkit::tree::Tree;
use kopia_testkit::writer::{RepositoryWriter, gzip};
use serde_json::json;

use crate::common::{Place, exported, file, folder, options, problems, untar};

const PIECE: usize = 4000;

/// Ten pieces that all differ.
fn large() -> Vec<u8> {
    (0..10_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

/// A file of ten pieces, `d/large`, between two of one, `d/a` and `d/z`.
fn root(place: &Place) -> Entry {
    place.root(RepositoryWriter::new().piece_size(PIECE), |writer| {
        let object = writer.file(&large());
        let (a, z) = (writer.file(&[1; 1000]), writer.file(&[2; 1000]));
        let inner =
            writer.directory(&[file("a", &a, 1000), file("large", &object, 40_000), file("z", &z, 1000)]);
        folder("data", &writer.directory(&[folder("d", &inner)]))
    })
}

/// As much in memory as all of it, and so little that the large file is read twice.
fn windows(format: Format) -> [Options; 2] {
    let mut small = options(format);
    small.window = 20_000;
    [options(format), small]
}

/// Damages the third and the fourth piece of the large file, and the last.
fn damage_some(place: &Place) {
    let pack = &damage::blobs(&place.path("repo"), "p")[0];
    for piece in [2, 3, 9] {
        pack.flip_bit(32 + piece * (PIECE + 28) + 100, 0);
    }
}

fn files(tree: &Tree) -> Vec<&str> {
    tree.entries().iter().filter(|entry| entry.sha256.is_some()).map(|entry| &*entry.path).collect()
}

#[test]
fn a_damaged_file_is_left_out_and_named() {
    let place = Place::new();
    let root = root(&place);
    damage_some(&place);
    for (number, options) in windows(Format::Tar).iter().enumerate() {
        let (archive, outcome) = exported(&root, options);
        assert_eq!((outcome.files, outcome.directories, outcome.problem_count), (2, 2, 1));
        let problem = &problems(&outcome)[0];
        // The first of its pieces that is lost.
        assert!(problem.starts_with("d/large: content ") && problem.contains("offset 8088"), "{problem}");
        assert!(outcome.problems[0].lost.is_empty(), "nothing of it is there");
        let folder = untar(&place, &archive, &format!("{number}"));
        assert_eq!(files(&Tree::scan(&folder)), ["d/a", "d/z"]);
    }
}

#[test]
fn pieces_that_unpack_to_fewer_bytes_than_their_list_says_are_no_whole_file() {
    let place = Place::new();
    let root = place.root(RepositoryWriter::new(), |writer| {
        // The compression header of gzip, as objects with `Z` begin with one.
        let headed = [&0x1000_u32.to_be_bytes()[..], &gzip(&[7; PIECE - 10])].concat();
        let piece = format!("Z{}", writer.content(None, &headed));
        let pieces: Vec<_> =
            (0..10).map(|number| json!({"s": number * PIECE, "l": PIECE, "o": piece})).collect();
        let list = json!({"stream": "kopia:indirect", "entries": pieces}).to_string();
        let object = format!("I{}", writer.content(Some('x'), list.as_bytes()));
        let a = writer.file(&[1; 1000]);
        folder("data", &writer.directory(&[file("a", &a, 1000), file("large", &object, 10 * PIECE)]))
    });
    for (number, options) in windows(Format::Tar).iter().enumerate() {
        let (archive, outcome) = exported(&root, options);
        assert_eq!((outcome.files, outcome.problem_count), (1, 1));
        let problem = &problems(&outcome)[0];
        assert!(problem.starts_with("large: ") && problem.contains("its list says 4000"), "{problem}");
        assert_eq!(files(&Tree::scan(untar(&place, &archive, &format!("{number}")))), ["a"]);
    }
}

#[test]
fn what_is_salvaged_has_zeros_and_is_named() {
    let place = Place::new();
    let root = root(&place);
    damage_some(&place);
    let mut expected = large();
    expected[8000..16_000].fill(0);
    expected[36_000..].fill(0);
    for (number, mut options) in windows(Format::Tar).into_iter().enumerate() {
        options.salvage = true;
        let (archive, outcome) = exported(&root, &options);
        assert_eq!((outcome.files, outcome.problem_count, outcome.bytes), (3, 1, 42_000));
        assert_eq!(outcome.problems[0].lost, [8000..16_000, 36_000..40_000]);
        let problem = &problems(&outcome)[0];
        assert!(problem.ends_with("; it has 12000 bytes of zeros at 8000..16000, 36000..40000"), "{problem}");
        let folder = untar(&place, &archive, &format!("{number}"));
        assert!(fs::read(folder.join("d/large")).unwrap() == expected);
        assert_eq!(fs::read(folder.join("d/z")).unwrap(), [2; 1000]);
    }
}

#[test]
fn lists_and_packs_may_be_gone() {
    for salvage in [false, true] {
        for prefix in ["p", "q"] {
            let place = Place::new();
            let root = root(&place);
            let blobs = damage::blobs(&place.path("repo"), prefix);
            // Of the packs of lists and directories, what lies before the inner directory.
            if prefix == "p" {
                blobs[0].delete()
            } else {
                blobs[0].flip_bit(32 + 60, 0)
            }
            for (number, mut options) in windows(Format::Tar).into_iter().enumerate() {
                options.salvage = salvage;
                let (archive, outcome) = exported(&root, &options);
                assert!(outcome.problem_count > 0);
                assert_eq!(outcome.directories, 2);
                untar(&place, &archive, &format!("{number}"));
            }
        }
    }
}

#[test]
fn the_first_problem_may_end_it() {
    let place = Place::new();
    let root = root(&place);
    damage_some(&place);
    let mut options = options(Format::Tar);
    options.fail_fast = true;
    let ended = kopia_export::export(&root, std::io::sink(), &options, &());
    let Err(kopia_export::Error::Problem(problem)) = ended else { panic!("{ended:?}") };
    assert_eq!(problem.path, "d/large");
}

#[test]
fn a_root_that_is_gone_writes_nothing() {
    let place = Place::new();
    let root = root(&place);
    let pack = &damage::blobs(&place.path("repo"), "q")[0];
    (32..pack.read().len()).step_by(64).for_each(|byte| pack.flip_bit(byte, 0));
    let mut archive = Vec::new();
    let ended = kopia_export::export(&root, &mut archive, &Options::default(), &());
    assert!(matches!(ended, Err(kopia_export::Error::Repository(_))), "{ended:?}");
    assert!(archive.is_empty());
}
