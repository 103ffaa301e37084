//! What a repository costs over a network, in requests and round trips: numbers that do not depend on how
//! fast this machine is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_repository::{Entry, Repository};
use kopia_restore::Options;
use kopia_storage::MemoryStore;
use kopia_storage::testing::{CountingStore, DelayedStore};
use kopia_testkit::attempts::at_best;
use kopia_testkit::huge::HugeIndex;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};

use crate::common::{Place, file, folder};

/// Long enough that what is asked at once is under way at once, unless the machine has no time.
const ROUND_TRIP: Duration = Duration::from_millis(150);

const DIRECTORIES: usize = 40;
const FILES: usize = 30;

type Store = DelayedStore<CountingStore<MemoryStore>>;

fn distant(blobs: impl IntoIterator<Item = (String, Vec<u8>)>) -> Arc<Store> {
    let blobs = blobs.into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    Arc::new(DelayedStore::new(CountingStore::new(blobs.collect()), ROUND_TRIP))
}

fn open(store: &Arc<Store>) -> Repository {
    Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap()
}

fn root(repository: &Repository) -> Entry {
    repository.snapshots().unwrap().iter().next().unwrap().root().unwrap()
}

/// Directories of files that all differ, in many packs.
fn many_files() -> RepositoryWriter {
    let mut writer = RepositoryWriter::new().pack_size(40_000);
    let directories: Vec<_> = (0..DIRECTORIES)
        .map(|directory| {
            let mut entry = |number: usize| {
                let bytes = format!("{directory}/{number}: ").repeat(100);
                file(&number.to_string(), &writer.file(bytes.as_bytes()), bytes.len())
            };
            let files: Vec<_> = (0..FILES).map(&mut entry).collect();
            let object = writer.directory(&files);
            folder(&directory.to_string(), &object)
        })
        .collect();
    let root = writer.directory(&directories);
    writer.snapshot("app@host:/data", folder("data", &root));
    writer
}

#[test]
fn a_list_of_snapshots_takes_four_round_trips() {
    let mut writer = many_files();
    for number in 0..50 {
        let empty = writer.directory(&[]);
        writer.snapshot(&format!("app@host:/{number}"), folder("data", &empty));
    }
    let store = distant(writer.finish());
    let list = || {
        store.inner().take();
        let repository = open(&store);
        let opened = store.take().rounds;
        assert_eq!(repository.snapshots().unwrap().iter().count(), 51);
        (opened, store.take().rounds, store.inner().take())
    };
    // A machine that has no time may start a thread when others have their answer, which is a round trip more than it
    // takes, and never one less.
    let (opened, listed, calls) = at_best(list, |(opened, listed, _)| (*opened, *listed) == (3, 1));
    assert_eq!(opened, 3, "the format, the lists, the indexes");
    assert_eq!(listed, 1);
    assert_eq!((calls.lists.len(), calls.lengths), (3, 0));
    assert!(!calls.lists.iter().any(|prefix| prefix.is_empty() || prefix.starts_with(['p', 'q'])));
}

#[test]
fn index_blobs_come_at_once() {
    let mut blobs = Vec::new();
    HugeIndex::new(5000, 50)
        .for_each_blob(|name, bytes| {
            blobs.push((name, bytes));
            Ok(())
        })
        .unwrap();
    let store = distant(blobs);
    let read = || {
        // What the attempt before asked for the status.
        store.take();
        store.gather("x", 17);
        let repository = open(&store);
        let traffic = store.take();
        assert_eq!((repository.status().unwrap().index_blobs, traffic.requests), (51, 1 + 3 + 51));
        traffic
    };
    // A machine that is busy may start the last threads when the first have their answer.
    let traffic = at_best(read, |traffic| traffic.rounds <= 4);
    assert!(traffic.rounds <= 4 && traffic.most_in_flight > 16, "{traffic:?}");
}

#[test]
fn a_restore_reads_each_pack_once_whatever_the_directories() {
    let store = distant(many_files().finish());
    let restore = || {
        let place = Place::new();
        let repository = open(&store);
        let root = root(&repository);
        let packed: u64 = repository.status().unwrap().packed_bytes;
        store.take();
        store.inner().take();
        let outcome = kopia_restore::restore(&root, place.path("target"), &Options::default()).unwrap();
        assert_eq!((outcome.files, outcome.problem_count), ((DIRECTORIES * FILES) as u64, 0));
        let (traffic, calls) = (store.take(), store.inner().take());
        assert_eq!((calls.lists.len(), calls.lengths, calls.whole.len()), (0, 0, 0));
        // Directories are read level by level, then all packs at once: one range each.
        let packs: BTreeSet<_> = calls.ranges.iter().map(|range| range.blob.clone()).collect();
        assert!(packs.len() > 20, "{}", packs.len());
        assert!(traffic.requests <= packs.len() as u64 + 3, "{traffic:?} of {} packs", packs.len());
        assert!(traffic.bytes <= packed + packed / 10 + 10_000, "{traffic:?} of {packed}");
        (traffic, 3 + (packs.len() as u64).div_ceil(16) + 1)
    };
    let (traffic, most) = at_best(restore, |(traffic, most)| traffic.rounds <= *most);
    assert!(traffic.rounds <= most, "{traffic:?}");
}

#[test]
fn one_file_costs_its_directories_and_its_range() {
    let store = distant(many_files().finish());
    let restore = || {
        let place = Place::new();
        let repository = open(&store);
        let root = root(&repository);
        store.take();
        let entry = root.at("7/3").unwrap();
        kopia_restore::restore(&entry, place.path("target"), &Options::default()).unwrap();
        store.take()
    };
    let traffic = at_best(restore, |traffic| traffic.rounds <= 2);
    assert_eq!((traffic.requests, traffic.rounds), (2, 2), "directories side by side, one range");
    assert!(traffic.bytes < 50_000, "{traffic:?}");
}

#[test]
fn levels_that_lie_side_by_side_cost_no_round_each() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let hello = writer.file(b"hello");
    let mut object = writer.directory(&[file("f", &hello, 5)]);
    for level in 0..20 {
        object = writer.directory(&[folder(&format!("d{level}"), &object)]);
    }
    writer.snapshot("app@host:/data", folder("data", &object));
    let store = distant(writer.finish());
    let repository = open(&store);
    let root = root(&repository);
    store.take();
    let outcome = kopia_restore::restore(&root, place.path("target"), &Options::default()).unwrap();
    assert_eq!((outcome.files, outcome.directories), (1, 21));
    let traffic = store.take();
    assert!(traffic.requests <= 2, "{traffic:?}");
}

#[test]
fn one_file_of_a_million_contents_costs_indexes_and_its_way() {
    let (place, mut blobs, mut index_bytes) = (Place::new(), Vec::new(), 0);
    HugeIndex::new(1_000_000, 20)
        .for_each_blob(|name, bytes| {
            index_bytes += if name.starts_with('x') { bytes.len() as u64 } else { 0 };
            blobs.push((name, bytes));
            Ok(())
        })
        .unwrap();
    let store = distant(blobs);
    let repository = open(&store);
    let entry = root(&repository).at("a").unwrap();
    let outcome = kopia_restore::restore(&entry, place.path("target"), &Options::default()).unwrap();
    assert_eq!((outcome.files, outcome.problem_count), (1, 0));
    let (traffic, calls) = (store.take(), store.inner().take());
    assert!(index_bytes > 20 << 20, "{index_bytes}");
    assert!(traffic.bytes <= index_bytes + 10_000, "{traffic:?}, of which indexes {index_bytes}");
    assert_eq!(
        traffic.requests,
        1 + 3 + 21 + 2,
        "the format, lists, indexes; a file, and the snapshots, with which the directory comes along"
    );
    assert!(!calls.lists.iter().any(|prefix| prefix.is_empty() || prefix.starts_with(['p', 'q'])));
    assert_eq!(calls.lengths, 0);
}

#[test]
fn a_store_that_is_busy_gets_fewer_requests_and_nothing_is_lost() {
    let place = Place::new();
    let blobs = many_files().finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = DelayedStore::new(blobs.collect::<MemoryStore>(), Duration::from_millis(2)).allows(4);
    let store = Arc::new(store);
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let root = root(&repository);
    store.take();
    // One more than it allows.
    store.gather("p", 5);
    let outcome = kopia_restore::restore(&root, place.path("target"), &Options::default()).unwrap();
    assert_eq!((outcome.files, outcome.problem_count), ((DIRECTORIES * FILES) as u64, 0));
    let traffic = store.take();
    assert!(traffic.refused > 0 && traffic.refused < 60, "{traffic:?}");
}
