//! Others write to the repository while it is read: what they move is found again, whenever they do it.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_codec::key::Password;
use kopia_format::ContentId;
use kopia_repository::contents::Located;
use kopia_repository::contents::decode::Decoder;
use kopia_repository::contents::schedule::{self, Limits};
use kopia_repository::verify::{self, Coverage};
use kopia_repository::{ContentLocation, Error, OpenOptions, Repository};
use kopia_storage::testing::{ChangingStore, CountingStore};
use kopia_storage::{BlobStore, MemoryStore};
use kopia_testkit::writer::{Change, LiveRepository, PASSWORD, RepositoryWriter};
use serde_json::json;

const FILES: usize = 8;

fn bytes_of(number: usize) -> Vec<u8> {
    format!("the bytes of file {number}").into_bytes()
}

/// A snapshot of eight files in two folders, in small packs.
fn written() -> (MemoryStore, LiveRepository) {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let folders = [0..FILES / 2, FILES / 2..FILES].map(|range| {
        let files: Vec<_> = range
            .map(|number| {
                let bytes = bytes_of(number);
                let object = writer.file(&bytes);
                json!({"name": format!("f{number:02}"), "type": "f", "mode": "0644", "size": bytes.len(), "obj": object})
            })
            .collect();
        let name = format!("d{}", files.len() + usize::from(files[0]["name"] == "f00"));
        json!({"name": name, "type": "d", "mode": "0755", "obj": writer.directory(&files)})
    });
    let root = writer.directory(&folders);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    let (blobs, living) = writer.finish_live();
    let store = blobs.into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    (store, living)
}

fn apply(store: &MemoryStore, change: Change) {
    for (name, bytes) in change.added {
        store.insert(name.parse().unwrap(), bytes);
    }
    for name in change.removed {
        store.remove(&name.parse().unwrap()).unwrap();
    }
}

fn open(store: impl BlobStore) -> Repository {
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

fn degraded() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.degraded = true;
    options
}

/// Reads everything, in the ways in which people do.
fn assert_whole(repository: &Repository) {
    let snapshots = repository.snapshots().unwrap();
    let root = snapshots.iter().next().expect("the snapshot").root().unwrap();
    let mut number = 0;
    for folder in root.directory().unwrap().entries {
        for entry in folder.directory().unwrap().entries {
            let bytes = match number % 2 {
                0 => repository.read_object(entry.object()).unwrap(),
                _ => std::io::read_to_string(entry.open().unwrap()).unwrap().into_bytes(),
            };
            assert_eq!(bytes, bytes_of(number), "{}", entry.name());
            number += 1;
        }
    }
    assert_eq!(number, FILES);
}

/// Proves that everything can be read, and that nothing else is said.
fn assert_verified(repository: &Repository) {
    let report = repository.verify(&verify::Options::default(), &()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    // The files, three folders, and the manifests.
    let contents = FILES as u64 + 4;
    assert_eq!(report.contents, Coverage { verified: contents, of: contents });
    assert!(report.unindexed.is_empty(), "{report:?}");
}

/// Lets `read` work with a store in which `changes` happen, one every three calls, beginning at each call in turn.
fn at_every_moment(
    changes: &[fn(&mut LiveRepository) -> Change],
    read: impl Fn(Arc<ChangingStore<MemoryStore>>) + Sync,
) {
    let (store, _) = written();
    let undisturbed = Arc::new(ChangingStore::new(store));
    read(undisturbed.clone());
    let calls = undisturbed.calls();
    assert!(calls > 15, "there are moments to choose from: {calls}");
    let at = |first| {
        let (memory, mut living) = written();
        let mut store = ChangingStore::new(memory.clone());
        for (number, change) in (0..).zip(changes) {
            let (memory, change) = (memory.clone(), change(&mut living));
            store = store.before_call(first + number * 3, move || apply(&memory, change));
        }
        read(Arc::new(store));
    };
    (1..=calls + 1).for_each(at);
}

#[test]
fn maintenance_at_every_moment_of_opening_and_reading() {
    let read = |store| {
        let repository = open(store);
        assert_whole(&repository);
        assert_verified(&repository);
    };
    at_every_moment(&[LiveRepository::rewrite], read);
    at_every_moment(&[LiveRepository::rewrite, LiveRepository::rewrite, LiveRepository::compact], read);
}

#[test]
fn maintenance_at_every_moment_of_a_degraded_opening() {
    at_every_moment(&[LiveRepository::rewrite, LiveRepository::rewrite], |store| {
        let repository = Repository::open_with(store, &Password::from(PASSWORD), &degraded()).unwrap();
        assert!(repository.losses().is_empty(), "what vanished was replaced: {:?}", repository.losses());
        assert_whole(&repository);
    });
}

#[test]
fn manifests_that_are_replaced_at_every_moment() {
    let change = |living: &mut LiveRepository| {
        let compacted = living.compact_manifests(|_| true);
        let collected = living.collect_garbage();
        Change {
            added: [compacted.added, collected.added].concat(),
            removed: [compacted.removed, collected.removed].concat(),
        }
    };
    at_every_moment(&[change], |store| {
        let repository = open(store);
        assert_whole(&repository);
        let report = repository.verify(&verify::Options::default(), &()).unwrap();
        assert!(report.is_sound(), "{report:?}");
    });
}

/// A content as a restore plans it.
#[derive(Clone, Copy)]
struct Planned(ContentId, ContentLocation);

impl Located for Planned {
    fn content(&self) -> ContentId {
        self.0
    }

    fn location(&self) -> ContentLocation {
        self.1
    }
}

/// Reads what was planned from eight threads at once, each all of it, and counts what could be read.
fn read_planned(repository: &Repository, planned: &[Planned]) -> usize {
    let mut planned = planned.to_vec();
    let reads = schedule::schedule(&mut planned, Limits::from(repository.store().profile()));
    let right = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut decoder = Decoder::new().verify_hashes(true);
                for read in &reads {
                    let bytes = repository.read_pack(read, Vec::new()).ok();
                    let uses = &planned[read.uses.clone()];
                    repository.decode_read(&mut decoder, read, uses, bytes.as_deref(), |_, plain| {
                        right.fetch_add(usize::from(plain.is_ok()), Ordering::Relaxed);
                    });
                }
            });
        }
    });
    right.into_inner()
}

fn plan(repository: &Repository) -> Vec<Planned> {
    let mut planned = Vec::new();
    repository.for_each_content(|id, location| planned.push(Planned(id, location)));
    planned
}

#[test]
fn who_misses_packs_at_the_same_time_looks_once() {
    let (memory, mut living) = written();
    let store = Arc::new(CountingStore::new(memory.clone()));
    let repository = open(store.clone());
    let planned = plan(&repository);
    apply(&memory, living.rewrite());
    store.take();
    assert_eq!(read_planned(&repository, &planned), 8 * planned.len());
    let calls = store.take();
    assert_eq!(calls.lists, ["p", "q", "x", "n", "m"]);
    assert_eq!(calls.whole.len(), 1, "the new index blob, once: {:?}", calls.whole);
    // What is planned by now lies where it lies, and what was planned before is found without another look.
    assert_eq!(read_planned(&repository, &plan(&repository)), 8 * planned.len());
    assert_eq!(read_planned(&repository, &planned), 8 * planned.len());
    assert!(store.take().lists.is_empty());
}

#[test]
fn lost_packs_cost_one_look_and_moved_ones_are_found_all_the_same() {
    let (memory, mut living) = written();
    let store = Arc::new(CountingStore::new(memory.clone()));
    let repository = open(store.clone());
    let planned = plan(&repository);
    let packs = memory.list("p").unwrap();
    assert!(packs.len() > 4);
    packs[..3].iter().for_each(|pack| drop(memory.remove(&pack.id)));
    // One was cut short.
    memory.insert(packs[3].id.clone(), vec![0; 20]);
    let kept =
        planned.iter().filter(|one| !packs[..4].iter().any(|pack| *repository.pack(one.1.pack) == pack.id));
    let kept = kept.count();
    store.take();
    assert_eq!(read_planned(&repository, &planned), 8 * kept);
    assert_eq!(store.take().lists.len(), 5, "one look");
    let lost = planned.iter().find(|one| *repository.pack(one.1.pack) == packs[0].id).unwrap();
    let error = repository.read_content(&lost.0).unwrap_err().to_string();
    assert!(error.contains(packs[0].id.as_str()), "{error}");
    // Now the rest moves.
    apply(&memory, living.rewrite_where(|id| id.prefix().is_some()));
    assert_eq!(read_planned(&repository, &planned), 8 * kept);
    assert_eq!(store.take().lists.len(), 5, "and one more");
}

#[test]
fn the_first_content_that_is_missing_has_the_index_listed_again() {
    let (memory, mut living) = written();
    let index = memory.list("x").unwrap().remove(0).id;
    // There is another index, of another pack.
    for (name, bytes) in RepositoryWriter::new().finish() {
        if name.starts_with(['q', 'x']) {
            assert!(memory.read(&name.parse().unwrap()).is_err(), "{name} is new");
            memory.insert(name.parse().unwrap(), bytes);
        }
    }
    // The index is gone for the moment in which we list, as a list of several folders may miss both old and new.
    let bytes = memory.remove(&index).unwrap();
    let store = Arc::new(CountingStore::new(memory.clone()));
    let repository = open(store.clone());
    assert_eq!(repository.status().contents, 1);
    memory.insert(index, bytes);
    let all = plan(&open(memory.clone()));
    store.take();
    for one in &all {
        assert!(repository.read_content(&one.0).is_ok());
    }
    assert_eq!(store.take().lists, ["x", "n", "m"]);
    let other: ContentId = "0123456789abcdef0123456789abcdef".parse().unwrap();
    for _ in 0..100 {
        assert!(matches!(repository.find(&other), Err(Error::ContentNotFound { .. })));
    }
    assert!(store.take().lists.is_empty(), "it was just read");
    assert!(!repository.refresh().unwrap());
    apply(&memory, living.compact());
    assert!(repository.refresh().unwrap() && !repository.refresh().unwrap());
}

#[test]
fn a_list_without_any_index_blob_is_made_again() {
    let (memory, _) = written();
    let index = memory.list("x").unwrap().remove(0).id;
    let bytes = memory.remove(&index).unwrap();
    let (back, id) = (memory.clone(), index);
    // The format blob is read, and three kinds of index blobs are listed; then the index is there.
    let store = ChangingStore::new(memory).before_call(5, move || back.insert(id, bytes));
    assert!(open(store).status().contents > 1);
}

#[test]
fn a_place_keeps_its_pack() {
    let (memory, mut living) = written();
    let repository = open(memory.clone());
    let before = plan(&repository);
    let names: Vec<_> = before.iter().map(|one| repository.pack(one.1.pack).clone()).collect();
    for _ in 0..3 {
        apply(&memory, living.rewrite());
        assert!(repository.refresh().unwrap());
    }
    for (one, name) in before.iter().zip(&names) {
        assert_eq!(repository.pack(one.1.pack), name);
        assert_ne!(repository.pack(repository.find(&one.0).unwrap().pack), name);
    }
    assert_eq!(repository.status().packs, memory.list("p").unwrap().len() + memory.list("q").unwrap().len());
}
