//! Files whose lists have pieces without bytes: those of exactly N parts, and those that shrank while they
//! were read.

use std::fs;

use kopia_repository::Entry;
use kopia_repository::Shard;
use kopia_restore::{Action, Options, Outcome, Portion, preview};
use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use crate::common::{Place, assert_same, file, folder, names, problems};

/// Writes a list of pieces and returns the object that it makes.
fn list(writer: &mut RepositoryWriter, pieces: &[(u64, u64, &str)]) -> String {
    let pieces = pieces.iter().map(|(start, length, object)| json!({"s": start, "l": length, "o": object}));
    let list = json!({"stream": "kopia:indirect", "entries": pieces.collect::<Vec<_>>()});
    format!("I{}", writer.object(Some('x'), list.to_string().as_bytes()))
}

/// Files of two pieces, of one, and of none, each with pieces without bytes among them.
fn root(place: &Place) -> Entry {
    let mut writer = RepositoryWriter::new();
    let (hello, kopia, nothing) = (writer.file(b"hello"), writer.file(b"kopia"), writer.file(b""));
    let two = list(&mut writer, &[(0, 5, &hello), (5, 0, &nothing), (5, 5, &kopia), (10, 0, &nothing)]);
    let one = list(&mut writer, &[(0, 5, &hello), (5, 0, &nothing), (5, 0, &nothing)]);
    let none = list(&mut writer, &[(0, 0, &nothing), (0, 0, &two)]);
    let entries = [file("none", &none, 0), file("one", &one, 5), file("two", &two, 10)];
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    place.finish("repo", writer)
}

fn part(place: &Place, root: &Entry, portion: Portion) -> Outcome {
    let mut options = Options::default();
    options.portion = portion;
    kopia_restore::restore(root, place.path("shards"), &options).unwrap()
}

#[test]
fn they_are_whole() {
    let place = Place::new();
    let root = root(&place);
    let outcome = place.restore(&root, "target");
    assert_eq!((problems(&outcome), outcome.files, outcome.bytes), (vec![], 3, 15));
    for (name, bytes) in [("two", "hellokopia"), ("one", "hello"), ("none", "")] {
        assert_eq!(fs::read_to_string(place.path("target").join(name)).unwrap(), bytes, "{name}");
    }
    // All of them are right, also where nothing but an empty list says so.
    let mut kept = 0;
    let seen = preview(&root, place.path("target"), &Options::default(), |change| {
        kept += u32::from(change.action == Action::Keep);
    });
    assert_eq!((kept, seen.unwrap().written), (3, 0));
    let again = place.restore(&root, "target");
    assert_eq!((problems(&again), again.files, again.kept), (vec![], 0, 3));
}

#[test]
fn one_shard_writes_each() {
    let place = Place::new();
    let root = root(&place);
    place.restore(&root, "target");
    for of in [1, 2, 3, 7] {
        let mut files = 0;
        for number in 0..of {
            let outcome = part(&place, &root, Portion::Shard(Shard::new(number, of).unwrap()));
            assert_eq!(problems(&outcome), [""; 0], "shard {number} of {of}");
            files += outcome.files;
        }
        assert_eq!(files, 2, "the small ones, by {of} shards");
        let outcome = part(&place, &root, Portion::Finish(of));
        assert_eq!((problems(&outcome), outcome.files), (vec![], 3), "{of}");
        assert_same(&place.path("target"), &place.path("shards"));
        assert_eq!(names(&place.path("shards")), ["none", "one", "two"]);
        fs::remove_dir_all(place.path("shards")).unwrap();
    }
}

#[test]
fn a_list_with_fewer_bytes_than_its_entry_says_is_no_whole_file() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let nothing = writer.file(b"");
    let none = list(&mut writer, &[(0, 0, &nothing)]);
    let root = folder("data", &writer.directory(&[file("none", &none, 7)]));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    fs::create_dir(place.path("target")).unwrap();
    fs::write(place.path("target").join("none"), "1234567").unwrap();
    let mut actions = Vec::new();
    preview(&root, place.path("target"), &Options::default(), |change| actions.push(change.action)).unwrap();
    assert_eq!(actions, [Action::Replace]);
    let outcome = place.restore(&root, "target");
    assert_eq!(problems(&outcome), ["none: it has 0 bytes, its entry says 7"]);
}
