use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kopia_storage::testing::{CountingStore, DelayedStore, FaultyStore};
use kopia_storage::{MemoryStore, ReadProfile};

use super::*;

/// Blobs of `length` bytes each, `x000`, `x001`, …
fn store(count: usize, length: usize) -> (Arc<CountingStore<MemoryStore>>, Vec<BlobInfo>) {
    let store = CountingStore::new(MemoryStore::new());
    for number in 0..count {
        store.inner().insert(format!("x{number:03}").parse().unwrap(), vec![number as u8; length]);
    }
    let listed = store.inner().list("x").unwrap();
    (Arc::new(store), listed)
}

/// As [`store`], of 10 bytes each, to be read as the profile says.
fn profiled(count: usize, profile: ReadProfile) -> (DelayedStore<MemoryStore>, Vec<BlobInfo>) {
    let (store, listed) = store(count, 10);
    (DelayedStore::new(store.inner().clone(), Duration::ZERO).profiled(profile), listed)
}

fn budget(bytes: u64) -> &'static Budget {
    Box::leak(Box::new(Budget::new(bytes)))
}

fn names(blobs: &[BlobInfo]) -> BTreeSet<String> {
    blobs.iter().map(|blob| blob.id.to_string()).collect()
}

/// Takes all that comes; each blob must come once.
fn take_all(feed: &Feed<'_>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    while let Some(mut taken) = feed.take() {
        for blob in taken.blobs() {
            assert!(all.insert(blob.listed.id.to_string()), "{} came twice", blob.listed.id);
            blob.bytes.unwrap();
        }
    }
    all
}

/// Waits until so many blobs are read, and a little longer for any too many; returns how many there are.
fn settled(store: &CountingStore<MemoryStore>, reads: usize) -> usize {
    let start = Instant::now();
    while store.calls().whole.len() < reads && start.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(20));
    store.calls().whole.len()
}

#[test]
fn no_more_than_the_budget_is_read_ahead() {
    let (store, listed) = store(100, 10);
    let feed = Feed::new(&store, budget(205));
    thread::scope(|scope| {
        let _closing = feed.closing();
        feed.guess(listed.clone());
        feed.start_readers(scope);
        assert_eq!(settled(&store, 20), 20);
        assert_eq!(feed.lock().held(), 200);
        feed.choose(listed.clone());
        assert_eq!(take_all(&feed), names(&listed));
        assert_eq!(feed.lock().held(), 0);
    });
    assert_eq!(store.calls().whole.len(), 100, "nothing is read twice");
}

#[test]
fn a_wrong_guess_makes_room_for_the_right_blobs() {
    let (store, listed) = store(100, 10);
    let feed = Feed::new(&store, budget(205));
    thread::scope(|scope| {
        let _closing = feed.closing();
        feed.guess(listed[..60].to_vec());
        feed.start_readers(scope);
        settled(&store, 20);
        feed.choose(listed[15..].to_vec());
        // Nobody is to guess any more.
        feed.guess(listed[..15].to_vec());
        assert_eq!(take_all(&feed), names(&listed[15..]));
        assert_eq!(feed.lock().held(), 0);
    });
    assert_eq!(store.calls().whole.len(), 100, "what was guessed right is not read again");
}

#[test]
fn a_blob_beyond_the_budget_is_read_alone_once_it_counts() {
    let (store, listed) = store(3, 300);
    let feed = Feed::new(&store, budget(205));
    thread::scope(|scope| {
        let _closing = feed.closing();
        feed.guess(listed.clone());
        feed.start_readers(scope);
        assert_eq!(settled(&store, 0), 0);
        feed.choose(listed.clone());
        let first = feed.take().unwrap();
        assert_eq!((settled(&store, 1), feed.lock().held()), (1, 300));
        drop(first);
        assert_eq!(take_all(&feed), names(&listed[1..]));
    });
}

#[test]
fn without_threads_takers_read() {
    let (store, listed) = store(100, 10);
    let feed = Feed::new(&store, budget(205));
    feed.guess(listed.clone());
    feed.choose(listed.clone());
    let taken: Vec<_> = thread::scope(|scope| {
        let takers: Vec<_> = (0..3).map(|_| scope.spawn(|| take_all(&feed))).collect();
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect()
    });
    assert_eq!(taken.len(), 100);
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), names(&listed));
    // Nobody wakes one who is alone.
    feed.choose(listed.clone());
    thread::scope(|scope| {
        let taker = scope.spawn(|| take_all(&feed).len());
        let start = Instant::now();
        while !taker.is_finished() && start.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(1));
        }
        feed.stop();
        assert_eq!(taker.join().unwrap(), 100);
    });
}

#[test]
fn a_batch_is_one_blob_or_has_few_bytes() {
    const MOST: u64 = 256 << 10;
    let blobs = |lengths: &[u64]| -> Vec<BlobInfo> {
        let (_, mut listed) = store(lengths.len(), 1);
        listed.iter_mut().zip(lengths).for_each(|(blob, length)| blob.length = *length);
        listed
    };
    for (batched, lengths, expected) in [
        (true, vec![10; 128], 4),
        (false, vec![10; 128], 1),
        (true, vec![10; 5], 1),
        (true, vec![MOST / 2; 128], 2),
        (true, vec![MOST / 2 + 1; 128], 1),
        (true, vec![MOST + 1; 128], 1),
    ] {
        let mut queue = Queue::new(budget(1 << 30), batched);
        queue.choose(blobs(&lengths));
        assert_eq!(queue.next().len(), expected, "{batched} {} of {}", lengths.len(), lengths[0]);
    }
}

#[test]
fn blobs_of_a_store_with_long_round_trips_come_one_by_one() {
    for (profile, expected) in [(ReadProfile::NETWORK, 1), (ReadProfile::LOCAL, 4)] {
        let (store, listed) = profiled(128, profile);
        let feed = Feed::new(&store, budget(10_000));
        feed.choose(listed);
        assert_eq!(feed.take().unwrap().blobs().count(), expected, "{profile:?}");
    }
}

#[test]
fn there_are_as_many_readers_as_may_read_and_as_there_is_work_for() {
    for (profile, count, expected) in [
        (ReadProfile::NETWORK.at_most(3), 100, 3),
        (ReadProfile::NETWORK.at_most(1), 100, 1),
        (ReadProfile::LOCAL, 100, 8),
        (ReadProfile::NETWORK, 2, 2),
        (ReadProfile::NETWORK, 0, 0),
    ] {
        let (store, listed) = profiled(count, profile);
        let feed = Feed::new(&store, budget(10_000));
        thread::scope(|scope| {
            let _closing = feed.closing();
            feed.guess(listed);
            feed.start_readers(scope);
            assert_eq!(feed.lock().readers, expected, "for {count} blobs, {profile:?}");
        });
    }
}

#[test]
fn lengths_that_cannot_be_do_not_overflow_what_is_held() {
    let (_, mut listed) = store(8, 1);
    listed.iter_mut().for_each(|blob| blob.length = u64::MAX);
    let budget = budget(u64::MAX);
    let mut queue = Queue::new(budget, false);
    queue.choose(listed.clone());
    for _ in &listed {
        assert_eq!(queue.next().len(), 1);
        assert!(queue.held() <= u64::MAX / 4, "{}", queue.held());
    }
    queue.arrive(listed.into_iter().map(|listed| Blob { listed, bytes: Ok(vec![0; 3]) }).collect());
    assert_eq!(queue.held(), 24);
    drop(queue);
    assert_eq!(budget.held(), 0);
}

#[test]
fn what_is_forgotten_is_not_read() {
    let (_, listed) = store(4, 10);
    let mut queue = Queue::new(budget(1000), false);
    queue.guess(listed.clone());
    queue.forget(&[listed[0].clone(), listed[2].clone()]);
    let read: Vec<_> = std::iter::from_fn(|| queue.next().pop()).collect();
    assert_eq!(read, [listed[1].clone(), listed[3].clone()]);
}

#[test]
fn a_blob_is_being_read_until_it_arrives_or_nobody_waits_any_more() {
    let (_, listed) = store(3, 10);
    let mut queue = Queue::new(budget(1000), false);
    queue.guess(listed.clone());
    let being_read =
        |queue: &Queue| -> Vec<bool> { listed.iter().map(|blob| queue.is_reading(&blob.id)).collect() };
    assert_eq!(being_read(&queue), [false; 3]);
    assert_eq!((queue.next().len(), queue.next().len()), (1, 1));
    assert_eq!(being_read(&queue), [true, true, false]);
    queue.arrive(vec![Blob { listed: listed[0].clone(), bytes: Ok(vec![0; 10]) }]);
    assert_eq!(being_read(&queue), [false, true, false]);
    queue.close();
    assert_eq!(being_read(&queue), [false; 3]);
}

#[test]
fn what_is_extracted_is_not_taken() {
    let (store, listed) = store(10, 10);
    let feed = Feed::new(&store, budget(55));
    thread::scope(|scope| {
        let _closing = feed.closing();
        feed.guess(listed[..7].to_vec());
        feed.start_readers(scope);
        settled(&store, 5);
        // Two that were read, one that was to be read, one that nobody knows of.
        let wanted = [0, 2, 6, 9].map(|number| listed[number].clone());
        let extracted = feed.extract(&wanted);
        assert_eq!(extracted.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, false]);
        feed.choose(listed[..6].iter().filter(|blob| !wanted.contains(blob)).cloned().collect());
        assert_eq!(take_all(&feed).len(), 4);
        assert_eq!(feed.lock().held(), 0);
    });
}

#[test]
fn stopping_ends_takers_and_choosing_starts_anew() {
    let (inner, listed) = store(50, 10);
    let store = FaultyStore::new(inner.inner().clone()).delay(Duration::from_millis(1));
    let feed = Feed::new(&store, budget(1000));
    thread::scope(|scope| {
        let _closing = feed.closing();
        feed.guess(listed.clone());
        feed.start_readers(scope);
        for _ in 0..5 {
            feed.choose(listed.clone());
            drop(feed.take());
            feed.stop();
            assert!(feed.take().is_none());
        }
        feed.choose(listed.clone());
        assert_eq!(take_all(&feed), names(&listed));
    });
}

#[test]
fn what_nobody_took_leaves_the_budget() {
    let (store, listed) = store(10, 10);
    let budget = budget(55);
    let feed = Feed::new(&store, budget);
    thread::scope(|scope| {
        let _closing = feed.closing();
        feed.guess(listed);
        feed.start_readers(scope);
        assert_eq!(settled(&store, 5), 5);
    });
    drop(feed);
    assert_eq!(budget.held(), 0);
}

#[test]
fn repositories_that_are_opened_at_once_share_the_budget() {
    let (store, listed) = store(30, 10);
    let budget = budget(105);
    let feeds = [(); 3].map(|()| Feed::new(&store, budget));
    thread::scope(|scope| {
        let _closing = feeds.each_ref().map(Feed::closing);
        for feed in &feeds {
            feed.guess(listed.clone());
            feed.start_readers(scope);
        }
        assert_eq!(settled(&store, 10), 10);
        // Nobody waits for another one that may never be chosen.
        for feed in &feeds {
            feed.choose(listed.clone());
            assert_eq!(take_all(feed), names(&listed));
        }
    });
    drop(feeds);
    assert_eq!(budget.held(), 0);
}
