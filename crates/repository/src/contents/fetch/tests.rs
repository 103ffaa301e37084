//! What is read ahead, how much memory that takes, and who waits for whom.

use std::time::Duration;

use kopia_codec::key::Password;
use kopia_format::ContentId;
use kopia_storage::MemoryStore;
use kopia_storage::testing::{CountingStore, DelayedStore};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};

use super::*;
use crate::contents::Located;
use crate::testing::open;
use crate::{ContentLocation, Repository};

/// A batch of one step, which reads nothing.
struct Nothing;

impl Steps for Nothing {
    fn reads(&self) -> &[ReadStep] {
        &[]
    }

    fn count(&self) -> usize {
        1
    }

    fn entries(&self, _: usize) -> usize {
        0
    }
}

/// Gives back what a task held, with memory of so many bytes.
fn give_back(fetcher: &Fetcher<'_, Nothing>, held: u64, capacity: u64) {
    let task = Task { batch: Arc::new(Nothing), number: 0, fetched: None, held };
    fetcher.done(&task, &mut Vec::with_capacity(capacity as usize));
}

/// What is held and what is idle, in blocks, and the number of buffers that wait.
fn figures(fetcher: &Fetcher<'_, Nothing>) -> (u64, u64, usize) {
    let state = fetcher.lock();
    (state.held / BLOCK, state.idle / BLOCK, state.buffers.len())
}

#[test]
fn memory_is_used_again_within_the_budget() {
    let repository = open(RepositoryWriter::new());
    let fetcher = Fetcher::<Nothing>::new(repository.contents(), 8 * BLOCK);
    let take = |length: u64, more: u64| {
        let (buffer, held) = fetcher.wait_for_room(length, more).unwrap();
        (buffer.capacity() as u64, held)
    };
    assert_eq!(take(1, 10), (BLOCK, BLOCK + 10));
    assert_eq!(take(BLOCK + 1, 0), (2 * BLOCK, 2 * BLOCK));
    assert_eq!(take(0, 20), (0, 20), "entries take room, too");
    assert_eq!(figures(&fetcher), (3, 0, 0));
    give_back(&fetcher, BLOCK + 30, BLOCK);
    give_back(&fetcher, 2 * BLOCK, 2 * BLOCK);
    assert_eq!(figures(&fetcher), (0, 3, 2));
    // A buffer that is up to twice as long does; what it holds is its own length.
    assert_eq!(take(5, 0), (2 * BLOCK, 2 * BLOCK));
    assert_eq!(figures(&fetcher), (2, 1, 1));
    give_back(&fetcher, 2 * BLOCK, 2 * BLOCK);
    // A huge one comes by itself, as bytes come; those that wait stay as long as there is room.
    assert_eq!(take(3 * BLOCK, 0), (0, 4 * BLOCK));
    assert_eq!(figures(&fetcher), (4, 3, 2));
    assert_eq!(take(2 * BLOCK, 0), (2 * BLOCK, 2 * BLOCK));
    assert_eq!(figures(&fetcher), (6, 1, 1));
    assert_eq!(take(2 * BLOCK, 0), (2 * BLOCK, 2 * BLOCK));
    assert_eq!(figures(&fetcher), (8, 0, 0), "the short one has to go");
    // Neither no memory nor one that grew is kept, nor what nothing was held for.
    give_back(&fetcher, 4 * BLOCK, 4 * BLOCK);
    give_back(&fetcher, 4 * BLOCK, 0);
    give_back(&fetcher, 0, BLOCK);
    assert_eq!(figures(&fetcher), (0, 0, 0));
}

#[test]
fn memory_that_waits_stays_as_long_as_it_just_fits() {
    let repository = open(RepositoryWriter::new());
    let fetcher = Fetcher::<Nothing>::new(repository.contents(), 8 * BLOCK);
    drop(fetcher.wait_for_room(0, 2 * BLOCK));
    give_back(&fetcher, BLOCK, BLOCK);
    assert_eq!(figures(&fetcher), (1, 1, 1));
    drop(fetcher.wait_for_room(0, 6 * BLOCK));
    assert_eq!(figures(&fetcher), (7, 1, 1));
    drop(fetcher.wait_for_room(0, 1));
    assert_eq!(figures(&fetcher), (7, 0, 0), "a byte more");
}

#[test]
fn so_many_buffers_wait_at_most() {
    let repository = open(RepositoryWriter::new());
    for (budget, length, kept) in [(8, 2, 4), (1000, 1, KEPT)] {
        let fetcher = Fetcher::<Nothing>::new(repository.contents(), budget * BLOCK);
        (0..=KEPT).for_each(|_| drop(fetcher.wait_for_room(0, 1)));
        (0..=KEPT).for_each(|_| give_back(&fetcher, 1, length * BLOCK));
        assert_eq!(figures(&fetcher), (0, length * kept as u64, kept));
    }
}

#[test]
fn a_reader_waits_for_room_unless_nothing_is_held() {
    let repository = open(RepositoryWriter::new());
    let fetcher = Fetcher::<Nothing>::new(repository.contents(), BLOCK);
    assert_eq!(fetcher.wait_for_room(9 * BLOCK, 0).unwrap().1, 16 * BLOCK, "no step is too large");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| fetcher.wait_for_room(1, 0).map(|(_, held)| held));
        give_back(&fetcher, 16 * BLOCK, 0);
        assert_eq!(waiting.join().unwrap(), Some(BLOCK));
        let waiting = scope.spawn(|| fetcher.wait_for_room(1, 0).map(|(_, held)| held));
        fetcher.abort();
        assert_eq!(waiting.join().unwrap(), None);
    });
    assert!(fetcher.wait_for_room(0, 0).is_none());
}

struct Planned(ContentId, ContentLocation);

impl Located for Planned {
    fn content(&self) -> ContentId {
        self.0
    }

    fn location(&self) -> ContentLocation {
        self.1
    }
}

/// Steps for each of which so many entries wait.
struct Waiting(Vec<ReadStep>, usize);

impl Steps for Waiting {
    fn reads(&self) -> &[ReadStep] {
        &self.0
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    fn entries(&self, _: usize) -> usize {
        self.1
    }
}

type Store = DelayedStore<CountingStore<MemoryStore>>;

/// A repository that is read as the profile says, and three steps of a pack each.
fn scattered(profile: ReadProfile) -> (Repository, Arc<Store>, Vec<ReadStep>) {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let ids = [1, 2, 3].map(|number: u8| writer.content(None, &[number; 100]));
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = CountingStore::new(blobs.collect::<MemoryStore>());
    let store = Arc::new(DelayedStore::new(store, Duration::ZERO).profiled(profile));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let mut planned = ids.map(|id| Planned(id, repository.contents().locate(&id).unwrap()));
    let steps = repository.contents().schedule(&mut planned, 0);
    assert_eq!(steps.len(), 3);
    (repository, store, steps)
}

#[test]
fn there_are_readers_where_a_read_takes_long_and_nowhere_else() {
    for (profile, is_far) in [
        (ReadProfile::MEMORY, false),
        (ReadProfile::LOCAL, false),
        (ReadProfile::SPINNING, true),
        (ReadProfile::NETWORK, true),
    ] {
        let (repository, ..) = scattered(profile);
        let fetcher = Fetcher::<Nothing>::new(repository.contents(), BLOCK);
        let readers = if is_far { profile.within_open_files().most_reads } else { 0 };
        assert_eq!(fetcher.readers(1), readers, "{profile:?}");
        assert_eq!(fetcher.expect_readers().is_some(), is_far, "{profile:?}");
    }
}

#[test]
fn readers_bring_what_workers_take_and_it_counts_with_its_entries() {
    let (repository, _, steps) = scattered(ReadProfile::NETWORK);
    let fetcher = Fetcher::<Waiting>::new(repository.contents(), 100 * BLOCK);
    let expected = fetcher.expect_readers();
    fetcher.push(Waiting(steps, 5));
    fetcher.close();
    std::thread::scope(|scope| {
        fetcher.start_readers(scope, 2);
        drop(expected);
        for _ in 0..3 {
            let task = fetcher.take().unwrap();
            assert!(task.fetched.is_some());
            assert_eq!(task.held, BLOCK + 5 * ENTRY);
            fetcher.done(&task, &mut Vec::new());
        }
        assert!(fetcher.take().is_none());
    });
    assert_eq!(fetcher.lock().held, 0);
}

#[test]
fn without_readers_workers_read_for_themselves_and_announce_what_is_near() {
    for (profile, hints) in [(ReadProfile::LOCAL, 2), (ReadProfile::NETWORK, 0)] {
        let (repository, store, steps) = scattered(profile);
        let fetcher = Fetcher::<Waiting>::new(repository.contents(), BLOCK);
        fetcher.push(Waiting(steps, 1));
        fetcher.close();
        let expected = fetcher.expect_readers();
        std::thread::scope(|scope| fetcher.start_readers(scope, 0));
        drop(expected);
        store.inner().take();
        let task = fetcher.take().unwrap();
        assert!(task.number == 0 && task.fetched.is_none());
        assert_eq!(store.inner().take().hints, hints, "{profile:?}");
    }
}

#[test]
fn nobody_waits_for_a_worker_that_panicked() {
    let repository = open(RepositoryWriter::new());
    for panics in [false, true] {
        let fetcher = Fetcher::<Nothing>::new(repository.contents(), BLOCK);
        let work = || {
            let _guard = fetcher.abort_on_panic();
            assert!(!panics, "the test wants it");
        };
        let ended = std::thread::scope(|scope| scope.spawn(work).join());
        assert_eq!((ended.is_err(), fetcher.wait_for_room(0, 0).is_none()), (panics, panics));
    }
}

#[test]
fn scattered_steps_are_announced_once_and_well_before_they_are_read() {
    let mut writer = RepositoryWriter::new().pack_size(1);
    (0..300_u32).for_each(|number| drop(writer.file(&number.to_le_bytes())));
    let repository = open(writer);
    let mut planned = Vec::new();
    repository.contents().for_each(|content, location| planned.push(Planned(content, location)));
    let mut steps = repository.contents().schedule(&mut planned, 0);
    let count = steps.len();
    assert!(count >= 300);
    steps[140].follows = true;
    let mut announced = Vec::new();
    for number in 0..count {
        let before = announced.len();
        let found = |step: &ReadStep| steps.iter().position(|other| std::ptr::eq(other, step)).unwrap();
        announced.extend(to_announce(&steps, number).map(found));
        assert!(announced[before..].iter().all(|&found| found > number && found <= number + ANNOUNCED));
    }
    // What follows on, the system reads by itself.
    let expected: Vec<_> = (1..count).filter(|&number| number != 140).collect();
    assert_eq!(announced, expected);
}
