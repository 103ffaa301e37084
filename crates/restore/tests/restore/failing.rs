//! A store that fails now and then: the restore ends, what it could not read is said, and no file has wrong
//! bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_format::BlobId;
use kopia_repository::{Entry, Repository};
use kopia_restore::{Options, Outcome};
use kopia_storage::testing::FaultyStore;
use kopia_storage::{BlobStore, MemoryStore};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};

use crate::common::{Place, assert_same, file, folder, names, problems};

/// Small files and large ones, in packs of some contents each.
fn repository() -> (MemoryStore, BTreeMap<String, Vec<u8>>) {
    let mut writer = RepositoryWriter::new().piece_size(1000).pack_size(2000);
    let mut files = BTreeMap::new();
    for number in 0..60_u8 {
        let length = if number % 10 == 0 { 12_345 } else { 300 };
        let bytes: Vec<u8> = (0..length).map(|at: u32| (at / 7) as u8 ^ number).collect();
        files.insert(format!("f{number:02}"), bytes);
    }
    let entries: Vec<_> =
        files.iter().map(|(name, bytes)| file(name, &writer.file(bytes), bytes.len())).collect();
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", folder("data", &root));
    let blobs = writer.finish().into_iter();
    (blobs.map(|(name, bytes)| (BlobId::new(&name).unwrap(), bytes)).collect(), files)
}

fn root(store: impl BlobStore + 'static) -> Result<Entry, kopia_repository::Error> {
    let repository = Repository::open(store, &Password::from(PASSWORD))?;
    repository.snapshots()?.iter().next().expect("one snapshot").root()
}

/// Restores from a store that fails only once the root is open.
fn restore(place: &Place, store: FaultyStore<MemoryStore>, target: &str) -> Outcome {
    let root = root(store).unwrap();
    kopia_restore::restore(&root, place.path(target), &Options::default()).unwrap()
}

/// How many reads it takes until the root is known and a restore can begin.
fn reads_to_begin(blobs: &MemoryStore) -> u64 {
    let store = Arc::new(FaultyStore::new(blobs.clone()));
    let root = root(store.clone()).unwrap();
    // Once before anything is created, and once to plan.
    root.directory().unwrap();
    root.directory().unwrap();
    store.reads()
}

#[test]
fn what_cannot_be_read_is_said_and_the_rest_is_right() {
    let (blobs, files) = repository();
    let place = Place::new();
    assert_eq!(restore(&place, FaultyStore::new(blobs.clone()), "fresh").problem_count, 0);
    let mut lost = 0;
    for every in [2, 3, 5, 7, 23] {
        for kind in ["failing", "short", "both and late"] {
            let store = FaultyStore::new(blobs.clone()).after(reads_to_begin(&blobs));
            let store = match kind {
                "failing" => store.fail_every(every),
                "short" => store.short_every(every),
                _ => store.fail_every(every).short_every(every + 2).delay(Duration::from_millis(1)),
            };
            let target = format!("target-{every}-{kind}");
            let outcome = restore(&place, store, &target);
            let there: BTreeSet<_> = names(&place.path(&target)).into_iter().collect();
            for name in &there {
                let bytes = std::fs::read(place.path(&target).join(name)).unwrap();
                assert!(bytes == files[name], "{every} {kind}: {name} has wrong bytes");
            }
            let told: BTreeSet<_> = outcome.problems.iter().map(|problem| problem.path.to_string()).collect();
            let missing: BTreeSet<_> = files.keys().filter(|name| !there.contains(*name)).cloned().collect();
            assert_eq!(told, missing, "{every} {kind}: {:?}", problems(&outcome));
            assert_eq!(outcome.problem_count, missing.len() as u64);
            lost += missing.len();
            // What is missing comes with a store that works.
            assert_eq!(restore(&place, FaultyStore::new(blobs.clone()), &target).problem_count, 0);
            assert_same(&place.path("fresh"), &place.path(&target));
        }
    }
    assert!(lost > 0, "nothing ever failed");
}
