//! Every snapshot that kopia wrote for us, exported and unpacked by GNU tar.

use kopia_codec::key::Password;
use kopia_export::Format;
use kopia_repository::Repository;
use kopia_storage::FilesystemStore;
use kopia_testkit::golden;
use kopia_testkit::tree::Tree;

use crate::common::{Place, assert_same, exported, options, untar};

#[test]
fn tar_unpacks_what_was_backed_up() {
    let place = Place::new();
    for case in golden::cases() {
        let store = FilesystemStore::open(&case.repository).unwrap();
        let repository = Repository::open(store, &Password::new(&*case.password)).unwrap();
        let snapshots = repository.snapshots().unwrap();
        for (listed, expected) in case.pairs() {
            let what = format!("{} {}", case.name, listed.id);
            let snapshot = snapshots.iter().find(|snapshot| snapshot.id() == listed.id).unwrap();
            let (archive, outcome) = exported(&snapshot.root().unwrap(), &options(Format::Tar));
            assert_eq!(outcome.problem_count, 0, "{what}: {outcome:?}");
            let folder = untar(&place, &archive, &format!("{}-{}", case.name, listed.id));
            let found = match &expected.file {
                Some(_) => {
                    let entry = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
                    Tree::scan_file(entry.path())
                }
                None => Tree::scan(&folder),
            };
            assert_same(&expected.load(), &found, &what);
            // They lie in memory.
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
}
