//! Contents far away, where what counts is how often the store is asked, and how much at once.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_storage::BlobStore;
use kopia_storage::testing::FaultyStore;

use super::*;

type Store<S> = Arc<DelayedStore<CountingStore<S>>>;

/// Opens blobs that are read as the profile says; what is asked for from here on is counted.
fn opened<S: BlobStore>(blobs: S, profile: ReadProfile) -> (Repository, Store<S>) {
    let store = Arc::new(DelayedStore::new(CountingStore::new(blobs), Duration::ZERO).profiled(profile));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    store.inner().take();
    (repository, store)
}

fn finished(writer: RepositoryWriter) -> MemoryStore {
    writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect()
}

#[test]
fn contents_are_read_side_by_side_and_decoded_by_a_thread_for_each_core() {
    // The budget is that of 16 reads as long as the longest; each of these takes as much of it.
    let profile = ReadProfile { merge_limit: 256 << 10, ..ReadProfile::NETWORK };
    let (repository, store, ids) = profiled(profile);
    store.take();
    store.gather("p", ids.len());
    let threads = Mutex::new(HashSet::new());
    repository.contents().read_many(&ids, |_, plain| {
        assert_eq!(plain.unwrap().len(), 100);
        lock(&threads).insert(std::thread::current().id());
    });
    assert_eq!(store.take().most_in_flight, ids.len());
    assert!((1..=2).contains(&lock(&threads).len()), "there are two cores");
}

#[test]
fn one_failure_is_that_of_all_that_lie_beside_it() {
    let mut writer = RepositoryWriter::new();
    let ids = [1, 2, 3].map(|number: u8| writer.content(None, &[number; 100]));
    let blobs = finished(writer);
    // All at once; then each by itself, or the first of them.
    for (profile, reads) in [(ReadProfile::LOCAL, 1 + 3), (ReadProfile::NETWORK, 1 + 1)] {
        let (_, store) = opened(FaultyStore::new(blobs.clone()), profile);
        let faulty = FaultyStore::new(blobs.clone()).after(store.inner().inner().reads()).fail_every(1);
        let (repository, store) = opened(faulty.because(io::ErrorKind::PermissionDenied), profile);
        let told = AtomicUsize::new(0);
        repository.contents().read_many(&ids, |_, plain| {
            assert!(matches!(plain, Err(Error::Storage(_))));
            told.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!((told.into_inner(), store.inner().take().ranges.len()), (3, reads), "{profile:?}");
    }
}

#[test]
fn what_lies_before_metadata_comes_along_and_nothing_is_read_twice() {
    let mut writer = RepositoryWriter::new();
    let ids = [1, 2, 3].map(|number: u8| writer.content(Some('k'), &[number; 1000]));
    let (repository, store) = opened(finished(writer), ReadProfile::NETWORK);
    let contents = repository.contents();
    for number in [0, 2, 1] {
        assert_eq!(contents.read(&ids[number]).unwrap(), [number as u8 + 1; 1000]);
    }
    let end = |id: &ContentId| contents.origin(&contents.locate(id).unwrap()).range().end;
    let reads = store.inner().take().ranges;
    let reads: Vec<_> = reads.iter().map(|read| (read.offset, read.offset + read.length as u64)).collect();
    assert_eq!(reads, [(0, end(&ids[0])), (end(&ids[0]), end(&ids[2]))]);
}
