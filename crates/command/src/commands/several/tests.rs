//! What folders that come together take in memory.

use kopia_rs::storage::MemoryStore;
use kopia_rs::{Password, Repository};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

use super::*;

/// A folder of 100 files and 10 folders, each with a file of its own name; the last has one of the first, too.
fn root() -> Entry {
    let mut writer = RepositoryWriter::new();
    let bytes = writer.file(b"x");
    let file = |name: &str| json!({"name": name, "type": "f", "mode": "0644", "size": 1, "obj": bytes});
    let mut entries: Vec<_> = (0..100).map(|number| file(&format!("{number}"))).collect();
    for number in 0..10 {
        let mut files = vec![file(&format!("in-{number}"))];
        if number == 9 {
            files.insert(0, file("in-0"));
        }
        let object = writer.directory(&files);
        entries.push(json!({"name": format!("d{number}"), "type": "d", "mode": "0755", "obj": object}));
    }
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    let store: MemoryStore =
        writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
    repository.snapshots().unwrap().iter().next().unwrap().root().unwrap()
}

#[test]
fn files_that_fall_away_take_no_memory_and_folders_as_much_as_they_may() {
    let root = root();
    let each = |entry: &Entry| FOLDER + entry.memory() + 2;
    let most = 10 * each(&root.lookup("d0").unwrap().unwrap());
    let Level { folders: level, fallen } = folders(&root, None, 1, most).unwrap().unwrap();
    assert_eq!((level.len(), fallen, &*level[9].0), (10, 100, "d9"));
    assert!(folders(&root, None, 1, most - 1).unwrap().is_none());
    let Level { folders: level, fallen } = folders(&root, None, 2, most).unwrap().unwrap();
    assert_eq!((level.len(), fallen), (0, 111));
    let file = root.lookup("0").unwrap().unwrap();
    let Level { folders: level, fallen } = folders(&file, None, 1, most).unwrap().unwrap();
    assert_eq!((level.len(), fallen), (0, 1));
}

#[test]
fn names_that_come_together_are_compared_up_to_a_number() {
    let root = root();
    let Level { folders: level, .. } = folders(&root, None, 1, MAX_FOLDERS).unwrap().unwrap();
    let parts = level.into_iter().map(|(path, entry)| {
        let selection = Selection { snapshot: None, entry, path, passed_over: None };
        Part { selection, name: None, chosen: None, is_stripped: true, place: 0 }
    });
    let parts: Vec<_> = parts.collect();
    assert!(distinct(&parts[..9], 9).is_ok());
    let failure = distinct(&parts[..9], 8).unwrap_err();
    assert_eq!(failure.message(), "folders have more than 8 entries whose names would come together");
    let failure = distinct(&parts, MAX_NAMES).unwrap_err();
    assert_eq!(failure.message(), "d0/in-0 and d9/in-0 would both become in-0");
}
