//! Reads a long blob from far away, in several ranges at once: one connection alone is slow.

use std::sync::Mutex;

use kopia_format::BlobId;
use kopia_storage::{BlobInfo, BlobStore, Error, ReadProfile, Result, WHOLE_BLOB_LIMIT};

use crate::lock::{into_inner, lock};
use crate::parallel::{by_threads, reads_at_once};

/// Blobs up to this length are read at once, in bytes.
const WHOLE: u64 = 16 << 20;

/// Reads a blob that was listed.
pub(super) fn read(store: &dyn BlobStore, blob: &BlobInfo) -> Result<Vec<u8>> {
    let ReadProfile { parallel_reads, merge_limit, .. } = store.profile();
    let is_near = reads_at_once(store.profile()) == 1;
    if is_near || !(1..=WHOLE_BLOB_LIMIT).contains(&blob.length) {
        return store.read(&blob.id);
    }
    // No more is asked for than was listed: many are read at once, and a server may send without end.
    let part = if blob.length <= WHOLE { WHOLE as usize } else { merge_limit.max(1) };
    match read_ranges(store, &blob.id, blob.length as usize, part, parallel_reads) {
        // It is not as long as was listed.
        Err(Error::Short { .. }) => store.read(&blob.id),
        read => read,
    }
}

/// Reads a blob in ranges of `part` bytes, so many of them at once.
fn read_ranges(
    store: &dyn BlobStore,
    id: &BlobId,
    length: usize,
    part: usize,
    threads: usize,
) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let failed = Mutex::new(None);
    let parts = bytes.chunks_mut(part).enumerate();
    let parts: Vec<_> = parts.map(|(number, part)| (number, Mutex::new(part))).collect();
    by_threads(threads, &parts, |(number, place)| {
        if lock(&failed).is_some() {
            return;
        }
        let place = &mut **lock(place);
        match store.read_range(id, (number * part) as u64, place.len(), Vec::new()) {
            Ok(read) => place.copy_from_slice(&read),
            Err(error) => {
                lock(&failed).get_or_insert(error);
            }
        }
    });
    drop(parts);
    into_inner(failed).map_or(Ok(bytes), Err)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kopia_storage::MemoryStore;
    use kopia_storage::testing::DelayedStore;

    use super::*;

    fn store(length: usize) -> (DelayedStore<MemoryStore>, BlobInfo, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|at| (at / 977) as u8).collect();
        let store = MemoryStore::new();
        store.insert("xn0_1".parse().unwrap(), bytes.clone());
        let listed = store.list("x").unwrap().remove(0);
        (DelayedStore::new(store, Duration::from_millis(5)), listed, bytes)
    }

    #[test]
    fn a_long_blob_comes_in_ranges_at_once() {
        let (store, listed, bytes) = store((17 << 20) + 3);
        store.gather("x", 5);
        assert!(read(&store, &listed).unwrap() == bytes);
        assert_eq!((store.traffic().requests, store.traffic().rounds), (5, 1), "{:?}", store.traffic());
        // One that is as long only as the listing says is read as it is.
        let (store, listed, bytes) = (store.profiled(ReadProfile::NETWORK), listed, bytes);
        store.inner().insert(listed.id.clone(), bytes[..1 << 20].to_vec());
        assert!(read(&store, &listed).unwrap() == bytes[..1 << 20]);
    }

    #[test]
    fn a_blob_comes_at_once_up_to_a_length_and_beyond_it_in_ranges() {
        for (length, requests) in [(5 << 20, 1), (WHOLE as usize, 1), (WHOLE as usize + 1, 5)] {
            let (store, listed, bytes) = store(length);
            assert!(read(&store, &listed).unwrap() == bytes);
            assert_eq!(store.take().requests, requests, "{length}");
        }
    }

    #[test]
    fn a_short_one_comes_at_once_and_a_near_one_too() {
        let (store, listed, bytes) = store(1000);
        assert!(read(&store, &listed).unwrap() == bytes);
        assert_eq!(store.take().requests, 1);
        store.inner().insert(listed.id.clone(), vec![0; 2000]);
        assert_eq!(read(&store, &listed).unwrap().len(), 1000, "what was not listed is not read");
        let (store, listed, bytes) = self::store(17 << 20);
        let store = store.profiled(ReadProfile::LOCAL);
        assert!(read(&store, &listed).unwrap() == bytes);
        assert_eq!(store.take().requests, 1);
    }
}
