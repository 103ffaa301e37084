//! Random and repeated reads: what is read, decoded and parsed once serves all readers of a repository.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::io::{BufRead, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::thread;

use kopia_codec::key::Password;
use kopia_repository::object::ObjectReader;
use kopia_repository::{Entry, Error, OpenOptions, Repository, Resources};
use kopia_storage::MemoryStore;
use kopia_storage::testing::CountingStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

const PIECE: usize = 1000;
const PIECES: usize = 64;

fn bytes() -> Vec<u8> {
    (0..PIECES * PIECE).map(|place| (place / PIECE * 7 + place % 251) as u8).collect()
}

/// A snapshot of one large file and of directories in each other.
fn open(resources: Resources) -> (Arc<CountingStore<MemoryStore>>, Repository, Entry) {
    let mut writer = RepositoryWriter::new().piece_size(PIECE);
    let large = writer.file(&bytes());
    let small = writer.file(b"small");
    let file = |name: &str| json!({"name": name, "type": "f", "mode": "0644", "size": 5, "obj": small});
    let inner = writer.directory(&[file("a"), file("b"), json!({"name": "..", "type": "f", "obj": small})]);
    let outer = writer.directory(&[json!({"name": "inner", "type": "d", "mode": "0755", "obj": inner})]);
    let root = writer.directory(&[
        json!({"name": "outer", "type": "d", "mode": "0755", "obj": outer}),
        json!({"name": "large", "type": "f", "mode": "0644", "size": PIECES * PIECE, "obj": large}),
    ]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = Arc::new(CountingStore::new(blobs.collect::<MemoryStore>()));
    let mut options = OpenOptions::default();
    options.resources = resources;
    let repository = Repository::open_with(store.clone(), &Password::from(PASSWORD), &options).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    (store, repository, root)
}

/// Opens the large file, and returns the store with nothing counted.
fn open_large(resources: Resources) -> (Arc<CountingStore<MemoryStore>>, ObjectReader) {
    let (store, _, root) = open(resources);
    let reader = root.at("large").unwrap().open().unwrap();
    store.take();
    (store, reader)
}

#[test]
fn handles_may_go_anywhere() {
    fn goes_anywhere<T: Clone + Send + Sync + 'static>() {}
    goes_anywhere::<ObjectReader>();
    goes_anywhere::<Entry>();
    goes_anywhere::<Repository>();
}

#[test]
fn whoever_reads_front_to_back_has_neighbours_read_together() {
    for (resources, most) in
        [(Resources::default(), PIECES / 4), (Resources::default().read_ahead(0), PIECES)]
    {
        let (store, mut reader) = open_large(resources);
        let mut found = Vec::new();
        reader.read_to_end(&mut found).unwrap();
        assert!(found == bytes());
        let reads = store.take().ranges.len();
        assert!(reads <= most && (most < PIECES || reads == PIECES), "{reads} reads, {most} at most");
    }
}

#[test]
fn two_places_in_turn_are_read_once_each() {
    // With room for hardly a piece in the cache, what was decoded ahead still serves both.
    for cache in [Resources::default().content_cache, 0] {
        let (store, reader) = open_large(Resources::default().content_cache(cache));
        let all = bytes();
        let half = all.len() / 2;
        for offset in (0..half).step_by(100) {
            for start in [offset, half + offset] {
                let mut some = [0; 100];
                assert_eq!(reader.read_full_at(&mut some, start as u64).unwrap(), 100);
                assert!(some == all[start..start + 100], "at {start}");
            }
        }
        let reads = store.take().ranges.len();
        assert!(reads < PIECES / 2, "{reads} reads for {PIECES} pieces");
    }
}

#[test]
fn what_is_asked_for_in_another_order_is_read_once() {
    // With nothing kept of what is jumped to, only what is decoded ahead serves ranges that come early or late.
    let (store, reader) = open_large(Resources::default().content_cache(0));
    let all = bytes();
    let starts: Vec<usize> = (0..all.len()).step_by(300).collect();
    for together in starts.chunks(8) {
        for turn in [1, 0, 3, 2, 7, 5, 4, 6] {
            let Some(&start) = together.get(turn) else { continue };
            let mut some = vec![0; 300.min(all.len() - start)];
            assert_eq!(reader.read_full_at(&mut some, start as u64).unwrap(), some.len());
            assert!(some == all[start..][..some.len()], "at {start}");
        }
    }
    let reads = store.take().ranges.len();
    assert!(reads < PIECES / 4, "{reads} reads for {PIECES} pieces");
}

#[test]
fn who_follows_another_one_at_a_distance_reads_each_piece_once() {
    // Nothing is kept of what is jumped to. One place is some pieces ahead of the other.
    for distance in [3, 7, 20] {
        let (store, reader) = open_large(Resources::default().content_cache(0));
        let all = bytes();
        for start in (0..all.len() - distance * PIECE).step_by(100) {
            for start in [start, start + distance * PIECE] {
                let mut some = [0; 100];
                assert_eq!(reader.read_full_at(&mut some, start as u64).unwrap(), 100);
                assert!(some == all[start..][..100], "at {start}");
            }
        }
        let reads = store.take().ranges.len();
        assert!(reads < PIECES / 2, "{reads} reads for {PIECES} pieces, {distance} apart");
    }
}

#[test]
fn two_places_far_apart_are_read_once_each() {
    // Further apart than what is held behind a reader, and nearer than what is decoded ahead of one.
    const MIB: usize = 1 << 20;
    let mut writer = RepositoryWriter::new().piece_size(MIB);
    let all: Vec<u8> = (0..40 * MIB).map(|place| (place / MIB * 7 + place % 251) as u8).collect();
    let large = writer.file(&all);
    let root = writer
        .directory(&[json!({"name": "large", "type": "f", "mode": "0644", "size": all.len(), "obj": large})]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = Arc::new(CountingStore::new(blobs.collect::<MemoryStore>()));
    let mut options = OpenOptions::default();
    options.resources = Resources::default().content_cache(0);
    let repository = Repository::open_with(store.clone(), &Password::from(PASSWORD), &options).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let reader = root.at("large").unwrap().open().unwrap();
    store.take();
    let mut some = vec![0; MIB / 8];
    for start in (0..all.len() - 8 * MIB).step_by(some.len()) {
        for start in [start + 8 * MIB, start] {
            assert_eq!(reader.read_full_at(&mut some, start as u64).unwrap(), some.len());
            assert!(some == all[start..][..some.len()], "at {start}");
        }
    }
    let read: usize = store.take().ranges.iter().map(|range| range.length).sum();
    assert!(read < all.len() * 5 / 2, "{read} bytes were read");
}

#[test]
fn readers_share_what_was_jumped_to() {
    let (store, repository, root) = open(Resources::default());
    let entry = root.at("large").unwrap();
    let first = entry.open().unwrap();
    store.take();
    // The list of pieces is not read a second time.
    let second = entry.open().unwrap();
    assert_eq!(store.take().ranges.len(), 0);
    let all = bytes();
    let read = |reader: &ObjectReader, place: usize| {
        let mut byte = [0];
        assert_eq!(reader.read_at(&mut byte, place as u64).unwrap(), 1);
        assert_eq!(byte[0], all[place]);
    };
    let places: Vec<usize> = (0..400).map(|number| number * 7919 % all.len()).collect();
    thread::scope(|scope| {
        for reader in [first.clone(), first, second] {
            let places = &places;
            scope.spawn(move || places.iter().for_each(|&place| read(&reader, place)));
        }
    });
    // Only what is read first of all in a file is not kept at once.
    let reads = store.take().ranges.len();
    assert!((PIECES..=PIECES + 3).contains(&reads), "{reads} reads for {PIECES} pieces");
    drop(repository);
}

#[test]
fn a_copy_of_a_range_reads_nothing_beyond_it() {
    let (store, reader) = open_large(Resources::default());
    let mut copied = Vec::new();
    reader
        .copy_range(1500..3500, |bytes| {
            copied.extend_from_slice(bytes);
            Ok::<_, Error>(())
        })
        .unwrap();
    assert!(copied == bytes()[1500..3500]);
    let read: usize = store.take().ranges.iter().map(|range| range.length).sum();
    assert!(read < 4 * PIECE, "{read} bytes were read");
}

#[test]
fn chunks_are_parts_of_contents_and_readers_seek() {
    let (_, mut reader) = open_large(Resources::default());
    let all = bytes();
    assert!(*reader.chunk_at(2500).unwrap() == all[2500..3000]);
    assert!(reader.chunk_at(all.len() as u64).unwrap().is_empty());
    let mut some = [0; 10];
    for (to, start) in
        [(SeekFrom::Start(995), 995), (SeekFrom::Current(-5), 1000), (SeekFrom::Current(70), 1080)]
    {
        reader.seek(to).unwrap();
        assert_eq!(reader.stream_position().unwrap(), start);
        reader.read_exact(&mut some).unwrap();
        assert!(some == all[start as usize..start as usize + 10], "at {start}");
    }
    let clone = reader.clone();
    reader.seek(SeekFrom::End(-1)).unwrap();
    assert_eq!(reader.fill_buf().unwrap(), &all[all.len() - 1..]);
    reader.consume(9);
    assert!(reader.fill_buf().unwrap().is_empty());
    // A clone goes on from where it was made.
    assert_eq!(clone.bytes().next().unwrap().unwrap(), all[1090]);
}

#[test]
fn directories_that_are_asked_for_again_are_kept() {
    for (cache, again) in [(Resources::default().directory_cache, 0), (0, 3)] {
        let (store, _, root) = open(Resources::default().directory_cache(cache));
        for lookup in 0..4 {
            store.take();
            assert_eq!(root.at("outer//inner/b").unwrap().size(), 5);
            let reads = store.take().ranges.len();
            assert_eq!(reads, if lookup < 2 { 3 } else { again }, "lookup {lookup}");
        }
        assert!(root.lookup("outer/inner/c").unwrap().is_none());
        assert!(root.lookup("outer/inner/..").unwrap().is_none(), "it is refused");
        assert_eq!(root.lookup("").unwrap().unwrap().object(), root.object());
        let error = root.at("outer/other/inner").unwrap_err().to_string();
        assert!(error.contains("path /outer/other") && !error.contains("other/inner"), "{error}");
        let error = root.lookup("outer/inner/b/c").unwrap_err();
        assert!(matches!(&error, Error::WrongKind { path, .. } if path == "/outer/inner/b"), "{error:?}");
        // What is kept is listed as it was read.
        let inner = root.at("outer/inner").unwrap().directory().unwrap();
        let names: Vec<&str> = inner.entries.iter().map(Entry::name).collect();
        assert_eq!((names, inner.refused.len()), (vec!["a", "b"], 1));
    }
}
