//! The contract of [`BlobStore`] as one test for any store.

use std::fmt::Debug;

use kopia_format::BlobId;

use crate::{BlobInfo, BlobStore, Error, Result};

/// Tests that a store keeps the contract of [`BlobStore`].
///
/// `make` returns a store that holds exactly the given blobs; it is called more than once.
///
/// # Panics
/// If the store breaks the contract. This is for tests.
///
/// ```
/// use kopia_storage::MemoryStore;
/// use kopia_storage::testing::conformance;
///
/// conformance::check(|blobs| blobs.iter().cloned().collect::<MemoryStore>());
/// ```
pub fn check<S: BlobStore>(mut make: impl FnMut(&[(BlobId, Vec<u8>)]) -> S) {
    empty(&make(&[]));
    let blobs = blobs();
    let store = make(&blobs);
    lists(&store, &blobs);
    whole(&store, &blobs);
    ranges(&store, &blobs);
    outside(&store, &blobs);
    missing(&store, &blobs);
    copies(&store, &blobs);
    at_once(&store, &blobs);
    sizes(&store);
}

/// Blobs of all kinds of names, short and long, and lengths below, at and above that of a page.
fn blobs() -> Vec<(BlobId, Vec<u8>)> {
    let names = [
        ("kopia.repository", 1077),
        ("kopia.maintenance", 0),
        ("xe7", 2),
        ("xn0_4e311fa000288c4db0b21c580277169b-s5539d401c55174a7147-c1", 4096),
        ("xn1_0000000000000000000000000000000a-s5539d401c55174a7147-c1", 1),
        ("p4e311fa000288c4db0b21c580277169b-s5539d401c55174a7147", 100_000),
        ("p4e411fa000288c4db0b21c580277169b-s5539d401c55174a7147", 4097),
        ("q4e311fa000288c4db0b21c580277169b-s5539d401c55174a7147", 8192),
        ("_log_20260601120000_4e31_1780315200_1780315201_1_abcdef", 7),
    ];
    // Every byte depends on its place and its blob.
    let bytes =
        |seed: usize, length: usize| (0..length).map(|at| (at * 31 + at / 251 + seed) as u8).collect();
    names.iter().enumerate().map(|(seed, &(name, length))| (id(name), bytes(seed, length))).collect()
}

fn id(name: &str) -> BlobId {
    BlobId::new(name).expect("the names here are valid")
}

fn ok<T>(result: Result<T>, what: impl Debug) -> T {
    result.unwrap_or_else(|error| panic!("{what:?}: {error}"))
}

fn empty(store: &impl BlobStore) {
    assert_eq!(ok(store.list(""), "list"), [], "an empty store lists nothing");
    assert!(!store.location().is_empty(), "a store has a location");
}

fn lists(store: &impl BlobStore, blobs: &[(BlobId, Vec<u8>)]) {
    let whole = blobs[5].0.as_str();
    // Times are the store's own, and do not depend on what is listed with a blob.
    let all = ok(store.list(""), "list");
    let time = |id: &BlobId| all.iter().find(|blob| blob.id == *id).and_then(|blob| blob.modified);
    for prefix in [
        "", "k", "kopia.", "x", "xe7", "xe70", "xn", "xn0_", "xn0_4", "p", "p4e", "p4e3", "P", "_", "y",
        whole,
    ] {
        let mut wanted: Vec<BlobInfo> = blobs
            .iter()
            .filter(|(id, _)| id.as_str().starts_with(prefix))
            .map(|(id, bytes)| BlobInfo::new(id.clone(), bytes.len() as u64).with_modified(time(id)))
            .collect();
        wanted.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(ok(store.list(prefix), prefix), wanted, "list({prefix:?}), sorted");
    }
}

fn whole(store: &impl BlobStore, blobs: &[(BlobId, Vec<u8>)]) {
    for (id, bytes) in blobs {
        assert_eq!(ok(store.length(id), id), bytes.len() as u64, "length of {id}");
        assert!(ok(store.read(id), id) == *bytes, "read of {id}");
    }
}

fn ranges(store: &impl BlobStore, blobs: &[(BlobId, Vec<u8>)]) {
    let mut buffer = vec![0xaa; 3];
    for (id, bytes) in blobs {
        let end = bytes.len();
        for (start, length) in
            [(0, end), (0, 0), (end, 0), (0, 1), (1, 5), (end / 2, 4096), (end.saturating_sub(1), 1)]
        {
            let Some(wanted) = bytes.get(start..start + length) else { continue };
            store.will_need(id, start as u64, length);
            let found = ok(store.read_range(id, start as u64, length, buffer), (id, start, length));
            assert!(*found == *wanted, "{id}: {length} bytes at {start}");
            buffer = found.into_buffer();
        }
    }
}

fn outside(store: &impl BlobStore, blobs: &[(BlobId, Vec<u8>)]) {
    for (id, bytes) in blobs {
        let end = bytes.len() as u64;
        let ranges = [
            (0, end + 1),
            (end, 1),
            (end + 1, 0),
            (u64::MAX, 1),
            (1, u64::MAX),
            (0, u64::MAX / 2),
            (u64::MAX, 0),
        ];
        for (offset, length) in ranges {
            let Ok(length) = usize::try_from(length) else { continue };
            store.will_need(id, offset, length);
            let (wanted_at, wanted) = (offset, length as u64);
            match store.read_range(id, offset, length, Vec::new()) {
                Err(Error::Short { blob, offset, wanted: asked, length, .. }) => {
                    assert_eq!(
                        (&blob, offset, asked, length),
                        (id, wanted_at, wanted, end),
                        "what Short says"
                    );
                }
                other => panic!("{id}: {wanted} bytes at {offset} of {end}: {other:?}"),
            }
        }
    }
}

/// Copies, where a store has several, are all alike if none is damaged.
fn copies(store: &impl BlobStore, blobs: &[(BlobId, Vec<u8>)]) {
    for (id, bytes) in blobs {
        let half = bytes.len() / 2;
        let mut number = 0;
        while let Some(copy) = ok(store.read_copy(id, number, 0, None), id) {
            assert!(copy == *bytes, "copy {number} of {id}");
            let range = ok(store.read_copy(id, number, half as u64, Some(bytes.len() - half)), id);
            assert!(range.is_some_and(|range| range == bytes[half..]), "a range of copy {number} of {id}");
            number += 1;
        }
        assert!(number != 1, "{id} has no other copy than the usual one");
    }
}

fn missing(store: &impl BlobStore, blobs: &[(BlobId, Vec<u8>)]) {
    // One that differs in its end, one that another begins with, one beyond all.
    let names = [format!("{}0", blobs[5].0), "p4e311fa0".into(), "zzz".into(), "p".repeat(255)];
    for id in names.iter().map(|name| id(name)) {
        store.will_need(&id, 0, 1);
        let errors = [
            store.length(&id).map(drop),
            store.read(&id).map(drop),
            store.read_range(&id, 0, 0, Vec::new()).map(drop),
        ];
        for error in errors {
            match error {
                Err(Error::NotFound { blob, .. }) => assert_eq!(blob, id),
                other => panic!("{id} is not there: {other:?}"),
            }
        }
        match store.read_copy(&id, 0, 0, None) {
            Ok(None) | Err(Error::NotFound { .. }) => {}
            other => panic!("{id} has a copy and is not there: {other:?}"),
        }
    }
}

fn at_once(store: &impl BlobStore, blobs: &[(BlobId, Vec<u8>)]) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for turn in 0..100 {
                    let (id, bytes) = &blobs[(turn + thread) % blobs.len()];
                    let found = ok(store.read_range(id, 0, bytes.len(), Vec::new()), id);
                    assert!(*found == **bytes, "{id}, read by several threads at once");
                }
            });
        }
    });
}

fn sizes(store: &impl BlobStore) {
    let profile = store.profile();
    assert!(profile.merge_limit > 0 && profile.parallel_reads > 0, "{profile:?}");
}
