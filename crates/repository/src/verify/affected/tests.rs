use kopia_testkit::writer::RepositoryWriter;
use serde_json::json;

use super::*;
use crate::testing::open;

const SNAPSHOTS: usize = 6;
const FILES: usize = 20;

/// Snapshots that all have the folder `mid`, with `d`, which has lost two of its files, and `e`, which has lost
/// one. Returns the folders that have lost some.
fn repository() -> (Repository, HashSet<ObjectId>) {
    let mut writer = RepositoryWriter::new();
    let (hello, lost) = (writer.file(b"hello"), "ffffffffffffffffffffffffffffffff");
    let file = |name: &str, object: &str| json!({"name": name, "type": "f", "size": 5, "obj": object});
    let folder = |name: &str, object: &str| json!({"name": name, "type": "d", "obj": object});
    let files: Vec<_> = (0..FILES)
        .map(|number| {
            file(&format!("f{number}"), if matches!(number, 3 | 7) { lost } else { hello.as_str() })
        })
        .collect();
    let (d, e) = (writer.directory(&files), writer.directory(&[file("g", lost)]));
    let mid = writer.directory(&[folder("d", &d), folder("e", &e)]);
    for number in 0..SNAPSHOTS {
        let root = writer.directory(&[folder("mid", &mid), file(&format!("own{number}"), &hello)]);
        writer.snapshot("app@host:/data", folder("data", &root));
    }
    (open(writer), [d, e].iter().map(|object| object.parse().unwrap()).collect())
}

/// Searches all snapshots within limits; returns what is told of each, how much is not told, and how much was
/// done again.
fn search(each: Again, in_all: Again) -> (Vec<Vec<String>>, u64, Again) {
    let (repository, suspects) = repository();
    let snapshots = repository.snapshots().unwrap();
    let subjects: Vec<_> =
        snapshots.iter().map(|snapshot| Subject::new(Some(snapshot), &snapshot.root().unwrap())).collect();
    let (damaged, mut entries) = (Damaged::default(), Vec::new());
    let (untold, again) = {
        let mut visit = |entry: AffectedEntry| entries.push(entry);
        let mut search = Search::new(&repository, &damaged, &suspects, &mut visit);
        (search.most_of_each, search.most_in_all) = (each, in_all);
        search.run(&subjects, Walk::new(&repository));
        (search.untold, search.again)
    };
    let id = |entry: &AffectedEntry| entry.snapshot.as_ref().unwrap().id().to_owned();
    assert!(entries.iter().all(|entry| entry.reason.word() == "not_in_index"));
    let told = entries
        .chunk_by(|one, other| id(one) == id(other))
        .map(|told| told.iter().map(|entry| entry.path.clone()).collect())
        .collect();
    (told, untold, again)
}

const ALL: [&str; 3] = ["mid/d/f3", "mid/d/f7", "mid/e/g"];
const NO_END: Again = Again { searched: u64::MAX, seen: u64::MAX, told: u64::MAX };

#[test]
fn without_limits_everything_is_told() {
    let (told, untold, _) = search(NO_END, NO_END);
    assert_eq!((told.len(), untold), (SNAPSHOTS, 0));
    assert!(told.iter().all(|told| *told == ALL), "{told:?}");
}

#[test]
fn one_entry_is_told_of_each_snapshot_without_another_search() {
    // Both have searched each folder again once.
    for (each, in_all) in [(Again { searched: 1, ..NO_END }, NO_END), (NO_END, Again { seen: 23, ..NO_END })]
    {
        let (told, untold, again) = search(each, in_all);
        assert_eq!(told.len(), SNAPSHOTS);
        let (whole, rest) = told.split_at(2);
        assert_eq!(whole, [ALL, ALL]);
        assert!(rest.iter().all(|told| *told == ["mid/d/f3"]), "{rest:?}");
        assert_eq!(untold, 2 * rest.len() as u64);
        // Two folders, and the files in them.
        assert_eq!((again.searched, again.seen), (3, 2 + FILES as u64 + 1));
    }
}

#[test]
fn what_is_known_of_each_is_told_although_everything_is_spent() {
    let (told, untold, again) = search(NO_END, Again::default());
    let (first, rest) = told.split_first().unwrap();
    assert_eq!(*first, ALL);
    assert_eq!((rest.len(), again.seen), (SNAPSHOTS - 1, 0));
    assert!(rest.iter().all(|told| *told == ["mid/d/f3"]), "{rest:?}");
    assert_eq!(untold, 2 * rest.len() as u64);
}
