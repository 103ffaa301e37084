//! Others write to the repository while it is read: what they move is found again, whenever they do it.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kopia_codec::key::Password;
use kopia_format::{BlobId, ContentId};
use kopia_repository::contents::Located;
use kopia_repository::select::Query;
use kopia_repository::verify::{self, Coverage};
use kopia_repository::{ContentInfo, ContentLocation, Error, OpenOptions, Repository};
use kopia_storage::testing::{ChangingStore, CountingStore, FaultyStore};
use kopia_storage::{BlobBytes, BlobInfo, BlobStore, MemoryStore, ReadProfile};
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

/// Returns the ids of all contents that index blobs list.
fn listed(repository: &Repository) -> Vec<ContentId> {
    let mut ids = Vec::new();
    let add = |info: ContentInfo| {
        ids.push(info.id);
        ControlFlow::Continue(())
    };
    repository.content_infos(add).unwrap();
    ids
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

/// Lets `read` work with a store in which `changes` happen, one every three calls, beginning at each call in
/// turn.
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

/// Writes all manifests anew, and removes those that there were.
fn replace_manifests(living: &mut LiveRepository) -> Change {
    let compacted = living.compact_manifests(|_| true);
    let collected = living.collect_garbage();
    Change {
        added: [compacted.added, collected.added].concat(),
        removed: [compacted.removed, collected.removed].concat(),
    }
}

#[test]
fn manifests_that_are_replaced_at_every_moment() {
    at_every_moment(&[replace_manifests], |store| {
        let repository = open(store);
        assert_whole(&repository);
        let report = repository.verify(&verify::Options::default(), &()).unwrap();
        assert!(report.is_sound(), "{report:?}");
    });
}

#[test]
fn a_list_whose_manifests_were_replaced_is_made_anew() {
    for options in [OpenOptions::default(), degraded()] {
        let (memory, mut living) = written();
        let password = Password::from(PASSWORD);
        let repository = Repository::open_with(memory.clone(), &password, &options).unwrap();
        apply(&memory, replace_manifests(&mut living));
        let snapshots = repository.snapshots().unwrap();
        assert_eq!((snapshots.iter().count(), snapshots.lost().len()), (1, 0), "{options:?}");
    }
}

#[test]
fn a_snapshot_that_was_written_since_is_found_by_its_name() {
    let mut writer = RepositoryWriter::new();
    let root = json!({"name": "root", "type": "d", "mode": "0755", "obj": writer.directory(&[])});
    let first = writer.snapshot("u@h:/a", root.clone());
    writer.snapshot("u@h:/b", root);
    let (blobs, mut living) = writer.finish_live();
    let blobs = blobs.into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let memory: MemoryStore = blobs.collect();
    apply(&memory, living.compact_manifests(|id| id == first));
    let repository = open(memory.clone());
    let query = Query { name: "u@h:/b", ..Query::default() };
    assert!(matches!(repository.select(&query), Err(Error::NotFound { .. })));
    apply(&memory, living.compact_manifests(|_| true));
    let found = repository.select(&query).unwrap().snapshot.unwrap();
    assert_eq!(found.source().to_string(), "u@h:/b");
}

#[test]
fn a_list_that_is_damaged_is_read_once_where_nothing_was_replaced() {
    let (memory, _) = written();
    let store = Arc::new(CountingStore::new(memory.clone()));
    let repository = open(store.clone());
    store.take();
    assert_eq!(repository.snapshots().unwrap().iter().count(), 1);
    let reads = store.take().ranges.len();
    for pack in memory.list("q").unwrap() {
        memory.insert(pack.id, vec![0; pack.length as usize]);
    }
    assert!(repository.snapshots().is_err());
    assert_eq!(store.take().ranges.len(), reads);
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
    let reads = repository.contents().schedule(&mut planned, 0);
    let right = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut decoder = repository.contents().decoder();
                decoder.set_verify_hashes(true);
                for read in &reads {
                    let fetched = repository.contents().fetch(read, Vec::new());
                    repository.contents().decode(&mut decoder, read, &planned, &fetched, |_, plain| {
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
    repository.contents().for_each(|id, location| planned.push(Planned(id, location)));
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
    let kept = planned
        .iter()
        .filter(|one| !packs[..4].iter().any(|pack| repository.contents().origin(&one.1).blob == pack.id));
    let kept = kept.count();
    store.take();
    assert_eq!(read_planned(&repository, &planned), 8 * kept);
    assert_eq!(store.take().lists.len(), 5, "one look");
    let lost = planned.iter().find(|one| repository.contents().origin(&one.1).blob == packs[0].id).unwrap();
    let error = repository.contents().read(&lost.0).unwrap_err().to_string();
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
    // The index is gone for the moment in which we list, as a list of several folders may miss both old and
    // new.
    let bytes = memory.remove(&index).unwrap();
    let store = Arc::new(CountingStore::new(memory.clone()));
    let repository = open(store.clone());
    assert_eq!(repository.status().unwrap().contents, 1);
    memory.insert(index, bytes);
    let all = plan(&open(memory.clone()));
    store.take();
    for one in &all {
        assert!(repository.contents().read(&one.0).is_ok());
    }
    assert_eq!(store.take().lists, ["x", "n", "m"]);
    let other: ContentId = "0123456789abcdef0123456789abcdef".parse().unwrap();
    for _ in 0..100 {
        assert!(matches!(repository.contents().locate(&other), Err(Error::ContentNotFound { .. })));
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
    assert!(open(store).status().unwrap().contents > 1);
}

#[test]
fn contents_are_listed_from_the_index_blobs_that_took_the_place_of_others() {
    for options in [OpenOptions::default(), degraded()] {
        let (memory, mut living) = written();
        let repository = Repository::open_with(memory.clone(), &Password::from(PASSWORD), &options).unwrap();
        let before = listed(&repository);
        assert_eq!(before.len(), FILES + 4, "the files, three folders, and the manifests");
        apply(&memory, living.compact());
        assert_eq!(listed(&repository), before);
    }
}

#[test]
fn index_blobs_that_cannot_be_read_list_nothing_if_degraded_and_are_errors_if_not() {
    let (memory, _) = written();
    let index = memory.list("x").unwrap().remove(0).id;
    let mut damaged = memory.read(&index).unwrap();
    damaged[20] ^= 1;
    let strict = Arc::new(CountingStore::new(memory.clone()));
    let repository = open(strict.clone());
    memory.insert(index.clone(), damaged);
    strict.take();
    assert!(repository.content_infos(|_| ControlFlow::Continue(())).is_err());
    let calls = strict.take();
    assert_eq!((calls.whole.len(), calls.lists.len()), (1, 0), "another list is no help");
    let open = |store: Arc<dyn BlobStore>| {
        Repository::open_with(store, &Password::from(PASSWORD), &degraded()).unwrap()
    };
    assert!(listed(&open(Arc::new(memory.clone()))).is_empty());
    let lost = Arc::new(CountingStore::new(FaultyStore::new(memory.clone()).missing([index])));
    let repository = open(lost.clone());
    assert!(listed(&repository).is_empty());
    // New packs say nothing of what was lost when indexes were read.
    memory.insert("p0123456789abcdef0123456789abcdef-s99".parse().unwrap(), *b"being written");
    lost.take();
    assert!(listed(&repository).is_empty());
    let calls = lost.take();
    assert_eq!((calls.whole.len(), calls.lists.len(), calls.ranges.len()), (1, 0, 0), "it was looked for");
}

#[test]
fn contents_are_listed_as_far_as_they_are_known_where_blobs_cannot_be_listed_again() {
    let (memory, _) = written();
    let index = memory.list("x").unwrap().remove(0).id;
    // Another index has one content.
    for (name, bytes) in RepositoryWriter::new().finish() {
        if name.starts_with(['q', 'x']) {
            memory.insert(name.parse().unwrap(), bytes);
        }
    }
    for is_degraded in [false, true] {
        let (fails, lists) = (AtomicBool::new(false), AtomicUsize::new(0));
        let store = Arc::new(Unlisted { inner: memory.clone(), fails, lists });
        let options = if is_degraded { degraded() } else { OpenOptions::default() };
        let repository = Repository::open_with(store.clone(), &Password::from(PASSWORD), &options).unwrap();
        assert_eq!(listed(&repository).len(), FILES + 5);
        let bytes = memory.remove(&index).unwrap();
        store.fails.store(true, Ordering::SeqCst);
        let mut count = 0;
        let read = repository.content_infos(|_| {
            count += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((read.is_ok(), count), (is_degraded, usize::from(is_degraded)));
        memory.insert(index.clone(), bytes);
    }
}

#[test]
fn an_index_blob_that_is_listed_and_not_there_is_looked_for_once() {
    let (memory, _) = written();
    let index = memory.list("x").unwrap().remove(0).id;
    let undisturbed = Arc::new(ChangingStore::new(memory.clone()));
    open(undisturbed.clone());
    let opening = undisturbed.calls();
    let bytes = memory.read(&index).unwrap();
    let removed = || {
        let (memory, index) = (memory.clone(), index.clone());
        move || drop(memory.remove(&index))
    };
    let (back, id) = (memory.clone(), index.clone());
    // It is there while blobs are listed, and never when it is read.
    let store = ChangingStore::new(memory.clone())
        .before_call(opening + 1, removed())
        .before_call(opening + 2, move || back.insert(id, bytes))
        .before_call(opening + 5, removed());
    let store = Arc::new(store);
    let repository = open(store.clone());
    let error = repository.content_infos(|_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.blob_id(), Some(&index), "{error}");
    assert_eq!(store.calls() - opening, 4, "one read, and three lists");
}

#[test]
fn a_place_keeps_its_pack() {
    let (memory, mut living) = written();
    let repository = open(memory.clone());
    let before = plan(&repository);
    let names: Vec<_> = before.iter().map(|one| repository.contents().origin(&one.1).blob).collect();
    for _ in 0..3 {
        apply(&memory, living.rewrite());
        assert!(repository.refresh().unwrap());
    }
    for (one, name) in before.iter().zip(&names) {
        assert_eq!(&repository.contents().origin(&one.1).blob, name);
        assert_ne!(&repository.contents().origin(&repository.contents().locate(&one.0).unwrap()).blob, name);
    }
    assert_eq!(
        repository.status().unwrap().packs,
        memory.list("p").unwrap().len() + memory.list("q").unwrap().len()
    );
}

#[test]
fn a_content_is_only_missing_once_index_blobs_could_be_listed_again() {
    let (memory, _) = written();
    let store =
        Arc::new(Unlisted { inner: memory, fails: AtomicBool::new(false), lists: AtomicUsize::new(0) });
    let repository = open(store.clone());
    let known = plan(&repository)[0].0;
    let other: ContentId = "0123456789abcdef0123456789abcdef".parse().unwrap();
    store.fails.store(true, Ordering::SeqCst);
    let before = store.lists.load(Ordering::SeqCst);
    for _ in 0..1000 {
        let error = repository.contents().locate(&other).unwrap_err();
        assert!(matches!(error, Error::Unconfirmed { .. }), "{error}");
        assert!(error.to_string().contains("cannot be listed again: "), "{error}");
    }
    let lists = store.lists.load(Ordering::SeqCst) - before;
    assert!((2..20).contains(&lists), "{lists} lists: it is tried again, and ever more seldom");
    assert!(repository.contents().locate(&known).is_ok(), "what is known needs no list");
    store.fails.store(false, Ordering::SeqCst);
    let found =
        (0..2000).find(|_| !matches!(repository.contents().locate(&other), Err(Error::Unconfirmed { .. })));
    assert!(found.is_some(), "a store that can be listed again is");
    assert!(matches!(repository.contents().locate(&other), Err(Error::ContentNotFound { .. })));
}

/// A store that cannot be listed at times.
#[derive(Debug)]
struct Unlisted {
    inner: MemoryStore,
    fails: AtomicBool,
    lists: AtomicUsize,
}

impl BlobStore for Unlisted {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self, prefix: &str) -> kopia_storage::Result<Vec<BlobInfo>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            let source = std::io::Error::other("slow down");
            return Err(kopia_storage::Error::List { place: String::new(), source });
        }
        self.inner.list(prefix)
    }

    fn length(&self, id: &BlobId) -> kopia_storage::Result<u64> {
        self.inner.length(id)
    }

    fn read(&self, id: &BlobId) -> kopia_storage::Result<Vec<u8>> {
        self.inner.read(id)
    }

    fn read_range(
        &self,
        id: &BlobId,
        offset: u64,
        length: usize,
        buffer: Vec<u8>,
    ) -> kopia_storage::Result<BlobBytes> {
        self.inner.read_range(id, offset, length, buffer)
    }

    fn profile(&self) -> ReadProfile {
        self.inner.profile()
    }
}

/// Contents that are removed while everything is verified are no damage, and are not counted.
#[test]
fn what_is_removed_while_it_is_verified_counts_nowhere() {
    let (all, some) = (AtomicUsize::new(0), AtomicUsize::new(0));
    at_every_moment(
        &[|living| {
            // As if nothing needed the last file any more.
            let last = RepositoryWriter::new().content(None, &bytes_of(FILES - 1));
            let marked = living.mark_deleted(|id| *id == last);
            let collected = living.collect_garbage();
            Change {
                added: [marked.added, collected.added].concat(),
                removed: [marked.removed, collected.removed].concat(),
            }
        }],
        |store| {
            let report = open(store).verify(&verify::Options::default(), &()).unwrap();
            assert_eq!(report.damage_count, 0, "{report:?}");
            let (contents, bytes) = (report.contents, report.stored_bytes);
            assert_eq!((contents.verified, bytes.verified), (contents.of, bytes.of));
            // Each is sealed in 28 bytes more than it has.
            assert_eq!(bytes.verified, report.plain_bytes + 28 * contents.verified);
            let whole = contents.of == FILES as u64 + 4;
            (if whole { &all } else { &some }).fetch_add(1, Ordering::Relaxed);
        },
    );
    assert!(all.into_inner() > 0 && some.into_inner() > 0);
}
