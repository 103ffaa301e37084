//! Maintenance runs while a restore does: everything arrives all the same, whenever packs are moved.

use std::fs;
use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_repository::{Entry, Repository};
use kopia_restore::Options;
use kopia_storage::testing::{ChangingStore, CountingStore};
use kopia_storage::{BlobBytes, BlobInfo, BlobStore, MemoryStore, ReadAhead, ReadProfile, Result};
use kopia_testkit::writer::{Change, LiveRepository, PASSWORD, RepositoryWriter};

use crate::common::{Place, file, folder, link, problems};

const FILES: u8 = 6;

/// Some files in a folder, a link, and a file in pieces whose list has pieces itself; in packs of a few
/// contents.
fn written() -> (MemoryStore, LiveRepository) {
    let mut writer = RepositoryWriter::new().piece_size(500).pack_size(1500);
    let files: Vec<_> =
        (0..FILES).map(|number| file(&format!("f{number}"), &writer.file(&[number; 400]), 400)).collect();
    let inner = writer.directory(&files);
    let large = large();
    let entries = [
        folder("d", &inner),
        file("large", &writer.file(&large), large.len()),
        link("link", &writer.file(b"d/f1")),
    ];
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", folder("data", &root));
    let (blobs, living) = writer.finish_live();
    (blobs.into_iter().map(|(name, blob)| (name.parse().expect("a name"), blob)).collect(), living)
}

fn large() -> Vec<u8> {
    (0..9u8).flat_map(|number| [100 + number; 450]).collect()
}

fn apply(store: &MemoryStore, change: Change) {
    for (name, blob) in change.added {
        store.insert(name.parse().expect("a name"), blob);
    }
    for name in change.removed {
        store.remove(&name.parse().expect("a name")).expect("it was there");
    }
}

/// A store that is read as one of another kind would be.
#[derive(Debug)]
struct Like<S>(S, ReadAhead);

impl<S: BlobStore> BlobStore for Like<S> {
    fn location(&self) -> String {
        self.0.location()
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.0.list(prefix)
    }

    fn length(&self, id: &kopia_format::BlobId) -> Result<u64> {
        self.0.length(id)
    }

    fn read(&self, id: &kopia_format::BlobId) -> Result<Vec<u8>> {
        self.0.read(id)
    }

    fn read_range(
        &self,
        id: &kopia_format::BlobId,
        offset: u64,
        length: usize,
        buffer: Vec<u8>,
    ) -> Result<BlobBytes> {
        self.0.read_range(id, offset, length, buffer)
    }

    fn profile(&self) -> ReadProfile {
        ReadProfile { ahead: self.1, parallel_reads: 3, ..self.0.profile() }
    }
}

fn open(store: impl BlobStore) -> Entry {
    let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
    let snapshots = repository.snapshots().expect("snapshots");
    snapshots.iter().next().expect("one snapshot").root().expect("a root")
}

fn assert_restored(root: &Entry, place: &Place, name: &str) {
    let outcome = kopia_restore::restore(root, place.path(name), &Options::default()).expect("it ends");
    assert_eq!(problems(&outcome), [""; 0], "{name}");
    for number in 0..FILES {
        assert_eq!(
            fs::read(place.path(name).join(format!("d/f{number}"))).expect("it is there"),
            [number; 400]
        );
    }
    assert!(fs::read(place.path(name).join("large")).expect("it is there") == large());
    assert_eq!(fs::read(place.path(name).join("link")).expect("it is there"), [1; 400]);
}

#[test]
fn packs_that_move_at_every_moment_of_a_restore() {
    let place = Place::new();
    for ahead in [ReadAhead::Hints, ReadAhead::Threads] {
        let store = Arc::new(ChangingStore::new(written().0));
        let root = open(Like(store.clone(), ahead));
        let opened = store.calls();
        assert_restored(&root, &place, "undisturbed");
        fs::remove_dir_all(place.path("undisturbed")).expect("it was restored");
        assert!(store.calls() > opened + 4, "there are moments to choose from");
        for first in opened + 1..=store.calls() + 1 {
            let (memory, mut living) = written();
            let mut store = ChangingStore::new(memory.clone());
            for number in 0..2 {
                let (memory, change) = (memory.clone(), living.rewrite());
                store = store.before_call(first + number * 5, move || apply(&memory, change));
            }
            assert_restored(&open(Like(store, ahead)), &place, &format!("{ahead:?}{first}"));
        }
    }
}

#[test]
fn a_restore_that_was_planned_before_reads_the_index_once_more() {
    let place = Place::new();
    let (memory, mut living) = written();
    let store = Arc::new(CountingStore::new(memory.clone()));
    let root = open(store.clone());
    apply(&memory, living.rewrite());
    store.take();
    assert_restored(&root, &place, "target");
    let calls = store.take();
    assert_eq!((calls.lists.len(), calls.whole.len()), (5, 1), "{calls:?}");
}
