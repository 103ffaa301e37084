use super::*;
use crate::{ErrorKind, MemoryStore};

const SHORT: Duration = Duration::from_millis(5);

fn store(blobs: usize, bytes: usize) -> DelayedStore<MemoryStore> {
    let id = |number| BlobId::new(&format!("p{number:05}")).unwrap();
    DelayedStore::new((0..blobs).map(|number| (id(number), vec![7; bytes])).collect(), SHORT)
}

#[test]
fn conforms() {
    crate::testing::conformance::check(|blobs| {
        DelayedStore::new(blobs.iter().cloned().collect::<MemoryStore>(), Duration::from_micros(10))
    });
}

#[test]
fn what_waits_for_another_answer_is_a_round_of_its_own() {
    let store = store(2001, 10);
    let start = Instant::now();
    let id = store.list("p").unwrap()[0].id.clone();
    store.length(&id).unwrap();
    store.read_range(&id, 2, 3, Vec::new()).unwrap();
    let traffic = Traffic { requests: 5, rounds: 5, bytes: 3, most_in_flight: 1, refused: 0 };
    assert_eq!(store.take(), traffic, "three pages, a length and a range");
    assert!(start.elapsed() >= 5 * SHORT);
    store.read(&id).unwrap();
    assert_eq!((store.traffic().rounds, store.traffic().bytes), (1, 10), "it was taken");
}

#[test]
fn what_is_asked_at_once_is_one_round() {
    let store = store(8, 10).profiled(ReadProfile::SPINNING);
    store.gather("p", 8);
    assert_eq!(store.profile(), ReadProfile::SPINNING);
    thread::scope(|scope| {
        for blob in store.inner().list("p").unwrap() {
            let store = &store;
            scope.spawn(move || store.read(&blob.id).unwrap());
        }
    });
    let traffic = Traffic { requests: 8, rounds: 1, bytes: 80, most_in_flight: 8, refused: 0 };
    assert_eq!((store.traffic(), store.in_flight()), (traffic, 0));
}

#[test]
fn bytes_take_their_time() {
    for store in [store(1, 1000).connection(50_000), store(1, 1000).link(50_000)] {
        let id = store.inner().list("").unwrap()[0].id.clone();
        let start = Instant::now();
        store.read(&id).unwrap();
        assert!(start.elapsed() >= SHORT + Duration::from_millis(20));
    }
}

#[test]
fn too_many_are_refused() {
    let store = store(1, 10).allows(0);
    let id = store.inner().list("").unwrap()[0].id.clone();
    assert_eq!(store.read(&id).unwrap_err().kind(), ErrorKind::TryAgain);
    assert_eq!(store.list("").unwrap_err().kind(), ErrorKind::TryAgain);
    let traffic = Traffic { requests: 2, rounds: 2, bytes: 0, most_in_flight: 1, refused: 2 };
    assert_eq!(store.traffic(), traffic);
    assert_eq!(store.in_flight(), 0);
}
