use std::fs;

use super::*;
use crate::MemoryStore;
use crate::testing::CountingStore;

type Cached = CachedStore<CountingStore<MemoryStore>>;

const BLOBS: [&str; 5] = ["kopia.repository", "p1", "q1", "xn0_1", "n1"];

fn inner() -> MemoryStore {
    BLOBS.iter().map(|name| (name.parse().unwrap(), name.repeat(100).into_bytes())).collect()
}

fn cached(place: &Path, repository: &str, limit: u64) -> Cached {
    CachedStore::new(CountingStore::new(inner()), place, repository, limit)
}

/// Reads all blobs, whole and a range of each; returns how many reads there were.
fn read_all(store: &Cached) -> usize {
    store.inner().take();
    for name in BLOBS {
        let (id, bytes) = (name.parse().unwrap(), name.repeat(100).into_bytes());
        assert_eq!(store.read(&id).unwrap(), bytes);
        assert_eq!(*store.read_range(&id, 7, 20, Vec::new()).unwrap(), bytes[7..27]);
    }
    let calls = store.inner().take();
    calls.whole.len() + calls.ranges.len()
}

fn files(place: &Path) -> Vec<PathBuf> {
    let repositories = fs::read_dir(place).into_iter().flatten().flatten();
    let files = repositories.flat_map(|entry| fs::read_dir(entry.path()).unwrap().flatten());
    files.map(|entry| entry.path()).collect()
}

#[test]
fn conforms() {
    let place = tempfile::tempdir().unwrap();
    let mut number = 0;
    crate::testing::conformance::check(|blobs| {
        number += 1;
        let inner = blobs.iter().cloned().collect::<MemoryStore>();
        CachedStore::new(inner, place.path(), &number.to_string(), 1 << 30)
    });
}

#[test]
fn indexes_and_directories_are_read_once_by_all_processes() {
    let place = tempfile::tempdir().unwrap();
    let (one, other) = (cached(place.path(), "a", 1 << 20), cached(place.path(), "a", 1 << 20));
    assert_eq!(read_all(&one), 10);
    // The format blob and the packs of files are read again.
    assert_eq!((read_all(&one), read_all(&other)), (4, 4));
    assert_eq!(files(place.path()).len(), 6);
    let another = cached(place.path(), "b", 1 << 20);
    assert_eq!(read_all(&another), 10, "another repository may have other bytes of that name");
}

#[test]
fn what_is_deleted_cut_or_changed_is_read_again() {
    let place = tempfile::tempdir().unwrap();
    let store = cached(place.path(), "a", 1 << 20);
    read_all(&store);
    for file in files(place.path()) {
        let mut bytes = fs::read(&file).unwrap();
        bytes[3] ^= 1;
        fs::write(&file, bytes).unwrap();
    }
    assert_eq!((read_all(&store), read_all(&store)), (10, 4));
    for file in files(place.path()) {
        fs::write(&file, b"short").unwrap();
    }
    assert_eq!((read_all(&store), read_all(&store)), (10, 4));
    fs::remove_dir_all(place.path()).unwrap();
    assert_eq!((read_all(&store), read_all(&store)), (10, 4));
    // A place where nothing can be written costs nothing but the reads.
    let file = place.path().join("file");
    fs::write(&file, b"").unwrap();
    let store = cached(&file, "a", 1 << 20);
    assert_eq!((read_all(&store), read_all(&store)), (10, 10));
}

#[test]
fn no_more_than_the_limit_is_kept_and_the_oldest_leave_first() {
    let place = tempfile::tempdir().unwrap();
    let inner = MemoryStore::new();
    let name = |number: usize| -> BlobId { format!("q{number:02}").parse().unwrap() };
    (0..40).for_each(|number| inner.insert(name(number), vec![number as u8; 1000]));
    inner.insert("qlong".parse().unwrap(), vec![7; 5000]);
    let store = CachedStore::new(CountingStore::new(inner), place.path(), "a", 16 * 1008);
    for number in 0..40 {
        store.read(&name(number)).unwrap();
        // Times are what the order is by.
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
        let path = place.path().join("repository-a").join(name(number).as_str());
        fs::File::open(path).unwrap().set_modified(old).unwrap();
        let held: u64 = files(place.path()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
        assert!(held <= 16 * 1008, "{held} bytes");
    }
    store.inner().take();
    store.read(&name(39)).unwrap();
    store.read(&name(0)).unwrap();
    let long = "qlong".parse().unwrap();
    store.read(&long).unwrap();
    store.read(&long).unwrap();
    assert_eq!(
        store.inner().take().whole,
        [name(0), long.clone(), long],
        "the last is kept, too long ones not"
    );
}
