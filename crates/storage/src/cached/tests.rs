use std::fs;

use kopia_testkit::tmpfs;

use super::*;
use crate::testing::{ArchivingStore, CountingStore};
use crate::{FilesystemStore, MemoryStore};

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
    files.map(|entry| entry.path()).filter(|path| !path.ends_with("CACHEDIR.TAG")).collect()
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
fn indexes_and_packs_of_directories_are_kept_by_their_names() {
    for kept in ["n1", "q0638154a", "xn0_1ab-c1", "xe3_Z"] {
        assert!(is_kept(kept), "{kept}");
    }
    for other in ["", "p1", "kopia.repository", "_n1", "q/1", "q..", "n1.f", "xé"] {
        assert!(!is_kept(other), "{other}");
    }
}

#[test]
fn the_store_inside_is_asked_for_what_the_cache_does_not_know() {
    let (place, blobs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = FilesystemStore::open(blobs.path()).unwrap();
    let (location, directory) = (files.location(), files.directory());
    assert!(directory.is_some());
    let inner = CountingStore::new(ArchivingStore::new(files));
    let store = CachedStore::new(inner, place.path(), "a", 1 << 20);
    assert_eq!((store.location(), store.directory()), (location, directory));
    assert!(store.cold().is_some());
    assert!(cached(place.path(), "a", 1).cold().is_none());
    // A hint would have the store read what the cache may have.
    store.will_need(&"q1".parse().unwrap(), 0, 1);
    assert_eq!(store.inner().take().hints, 0);
    store.will_need(&"p1".parse().unwrap(), 0, 1);
    assert_eq!(store.inner().take().hints, 1);
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
    (0..40).for_each(|number| inner.insert(name(number), vec![number as u8; 4000]));
    inner.insert("qlong".parse().unwrap(), vec![7; 20_000]);
    let store = CachedStore::new(CountingStore::new(inner), place.path(), "a", 16 * 4096);
    for number in 0..40 {
        store.read(&name(number)).unwrap();
        // Times are what the order is by.
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
        let path = place.path().join("repository-a").join(name(number).as_str());
        fs::File::open(path).unwrap().set_modified(old).unwrap();
        match (number, files(place.path()).len()) {
            (0..16, kept) => assert_eq!(kept, number + 1, "all have room"),
            (16, kept) => assert_eq!(kept, 12, "a quarter is freed"),
            (_, kept) => assert!(kept <= 16),
        }
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
    assert!(!files(place.path()).iter().any(|path| path.ends_with("qlong")));
    // A checksum of 8 bytes ends each file; the longest is a quarter of the limit.
    for (name, length, kept) in [("qmost", 4 * 4096 - 8, true), ("qmore", 4 * 4096 - 7, false)] {
        store.inner().inner().insert(name.parse().unwrap(), vec![1; length]);
        store.read(&name.parse().unwrap()).unwrap();
        assert_eq!(files(place.path()).iter().any(|path| path.ends_with(name)), kept, "{name}");
    }
}

#[test]
fn several_processes_keep_no_more_than_one() {
    for blocks in [1, 3] {
        let place = tempfile::tempdir().unwrap();
        let inner = MemoryStore::new();
        let name = |number: usize| -> BlobId { format!("q{number:03}").parse().unwrap() };
        (0..300).for_each(|number| inner.insert(name(number), vec![number as u8; blocks * 4096 - 96]));
        let stores: Vec<_> =
            (0..3).map(|_| CachedStore::new(inner.clone(), place.path(), "a", 64 * 4096)).collect();
        for number in 0..300 {
            stores[number % 3].read(&name(number)).unwrap();
            // Each notices at the latest after it has written a sixteenth of the limit and a file.
            let held = files(place.path()).len() * blocks;
            assert!(held <= 64 + 3 * (4 + blocks - 1), "{held}");
        }
    }
}

#[test]
fn what_nobody_will_finish_is_removed() {
    let place = tempfile::tempdir().unwrap();
    read_all(&cached(place.path(), "a", 1 << 20));
    let own = place.path().join("repository-a");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 60 * 60);
    let aged = |path: &Path| fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    let [fresh, abandoned] = ["unfinished-01-0", "unfinished-02-0"].map(|name| own.join(name));
    for path in [&fresh, &abandoned] {
        fs::write(path, b"part").unwrap();
    }
    aged(&abandoned);
    aged(&own.join("q1"));
    // It counts when it first writes.
    cached(place.path(), "a", 1 << 20).read_range(&"q1".parse().unwrap(), 1, 9, Vec::new()).unwrap();
    assert!(fresh.exists() && own.join("q1").exists() && !abandoned.exists());
}

#[test]
fn only_an_empty_directory_is_made_a_cache() {
    let place = tempfile::tempdir().unwrap();
    let own = place.path().join("repository-a");
    fs::create_dir(&own).unwrap();
    let store = || cached(place.path(), "a", 1 << 20);
    assert_eq!((read_all(&store()), read_all(&store())), (10, 4));
    // Another process adds to what is there.
    let range = || store().read_range(&"q1".parse().unwrap(), 3, 9, Vec::new()).unwrap();
    range();
    assert!(own.join("q1.3-9").exists());
    // The mark of another program, a link to ours and a pipe mark nothing.
    let tag = own.join("CACHEDIR.TAG");
    let ours = place.path().join("tag");
    fs::rename(&tag, &ours).unwrap();
    let count = || fs::read_dir(&own).unwrap().count();
    for number in 0..3 {
        match number {
            0 => fs::write(&tag, "Signature: 8a477f597d28d172789f06886806bc55\n# Another's.\n").unwrap(),
            1 => std::os::unix::fs::symlink(&ours, &tag).unwrap(),
            _ => {
                let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
                rustix::fs::mknodat(rustix::fs::CWD, &tag, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            }
        }
        let before = count();
        store().read_range(&"q1".parse().unwrap(), 4, 9, Vec::new()).unwrap();
        assert_eq!(count(), before, "{number}");
        fs::remove_file(&tag).unwrap();
    }
}

#[test]
fn what_is_not_the_caches_is_neither_counted_nor_removed() {
    let place = tempfile::tempdir().unwrap();
    let other = place.path().join("repository-of-somebody");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("q1"), [1; 100_000]).unwrap();
    // Marked, but with files that no cache has written; and a link to a marked one.
    read_all(&cached(place.path(), "a", 1 << 20));
    let (own, linked) = (place.path().join("repository-a"), tempfile::tempdir().unwrap());
    fs::write(own.join("diary.txt"), [1; 100_000]).unwrap();
    read_all(&cached(linked.path(), "b", 1 << 20));
    let elsewhere = linked.path().join("repository-b");
    std::os::unix::fs::symlink(&elsewhere, place.path().join("repository-b")).unwrap();
    let before = files(linked.path()).len();

    let store = cached(place.path(), "a", 8 * 4096);
    for length in 1..40 {
        store.read_range(&"q1".parse().unwrap(), 0, length, Vec::new()).unwrap();
    }
    let names = fs::read_dir(&own).unwrap().count();
    assert!((4..=10).contains(&names), "{names}: eight, the tag, the diary");
    assert!(own.join("diary.txt").exists() && other.join("q1").exists());
    assert_eq!(files(linked.path()).len(), before);
    // A directory of that name that is no cache is not made one.
    let store = cached(place.path(), "ofsomebody", 1 << 20);
    fs::rename(&other, place.path().join("repository-ofsomebody")).unwrap();
    assert_eq!((read_all(&store), read_all(&store)), (10, 10));
    assert_eq!(fs::read_dir(place.path().join("repository-ofsomebody")).unwrap().count(), 1);
}

#[test]
fn pipes_links_and_long_files_are_as_if_they_were_not_there() {
    let place = tempfile::tempdir().unwrap();
    let store = cached(place.path(), "a", 1 << 20);
    read_all(&store);
    for file in files(place.path()) {
        fs::remove_file(&file).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    assert_eq!((read_all(&store), read_all(&store)), (10, 4));
    let elsewhere = tempfile::tempdir().unwrap();
    for file in files(place.path()) {
        let kept = elsewhere.path().join(file.file_name().unwrap());
        fs::rename(&file, &kept).unwrap();
        std::os::unix::fs::symlink(&kept, &file).unwrap();
    }
    assert_eq!((read_all(&store), read_all(&store)), (10, 4));
    for file in files(place.path()) {
        fs::File::options().write(true).open(&file).unwrap().set_len(1 << 40).unwrap();
    }
    assert_eq!((read_all(&store), read_all(&store)), (10, 4));
}

#[test]
fn a_forged_file_is_forgotten_once_a_copy_is_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let (forger, id) = (MemoryStore::new(), "xn0_1".parse().unwrap());
    forger.insert("xn0_1".parse().unwrap(), vec![6; 500]);
    let forger = CachedStore::new(forger, place.path(), "a", 1 << 20);
    forger.read(&id).unwrap();
    forger.read_range(&id, 7, 20, Vec::new()).unwrap();

    let store = cached(place.path(), "a", 1 << 20);
    let right = "xn0_1".repeat(100).into_bytes();
    assert_eq!(store.read(&id).unwrap(), [6; 500], "whoever writes the cache can put anything there");
    let copies: Vec<_> = (0..3).map(|number| store.read_copy(&id, number, 7, Some(20)).unwrap()).collect();
    assert_eq!(copies, [Some(vec![6; 20]), Some(right[7..27].to_vec()), None]);
    assert_eq!(store.read(&id).unwrap(), right);
}

#[test]
fn further_copies_come_from_the_store() {
    let (place, blobs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(blobs.path().join(".shards"), r#"{"default":[1,3],"maxNonShardedLength":20}"#).unwrap();
    let id: BlobId = "q0638154a08df93c269693324852cef8c".parse().unwrap();
    let sharded = blobs.path().join("q/063");
    fs::create_dir_all(&sharded).unwrap();
    fs::write(sharded.join("8154a08df93c269693324852cef8c.f"), b"damaged").unwrap();
    fs::write(blobs.path().join(id.as_str()), b"undamaged").unwrap();
    let store = FilesystemStore::open(blobs.path()).unwrap();
    let own: Vec<_> = (0..).map_while(|number| store.read_copy(&id, number, 0, None).unwrap()).collect();
    assert_eq!(own.len(), 2);
    let store = CachedStore::new(store, place.path(), "a", 1 << 20);
    let copies: Vec<_> = (0..).map_while(|number| store.read_copy(&id, number, 0, None).unwrap()).collect();
    // The usual one of the cache and of the store, and all that the store has.
    let usual = b"damaged".to_vec();
    assert_eq!(copies, [usual.clone(), usual, own[0].clone(), own[1].clone()]);
}

#[test]
fn a_full_disk_costs_the_cache_and_nothing_else() {
    let Some(mount) = tmpfs::mounted() else {
        let place = tempfile::tempdir().unwrap();
        return tmpfs::rerun("cached::tests::a_full_disk_costs_the_cache_and_nothing_else", place.path());
    };
    tmpfs::resize(&mount, 3 * 4096);
    let store = cached(&mount, "a", 1 << 20);
    assert_eq!(read_all(&store), 10);
    let kept = files(&mount);
    assert!((1..6).contains(&kept.len()), "{kept:?}");
    assert!(!kept.iter().any(|path| path.to_string_lossy().contains("unfinished")), "{kept:?}");
    assert_eq!(read_all(&store), 10 - kept.len());
}
