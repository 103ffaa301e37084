//! How packs are read: ahead where that takes long, and with hashes compared where that is asked for.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_format::{BlobId, ContentId};
use kopia_repository::{Entry, Repository};
use kopia_restore::Options;
use kopia_storage::testing::{CountingStore, DelayedStore, FaultyStore};
use kopia_storage::{BlobBytes, BlobInfo, BlobStore, MemoryStore, ReadAhead, ReadProfile, Result};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};

use crate::common::{Place, file, folder, problems};

/// A store far away, that counts how much is under way.
#[derive(Debug)]
struct Distant<S> {
    inner: S,
    profile: ReadProfile,
    reads: Gauge,
    bytes: Gauge,
    /// Longer ranges of packs of files cannot be read.
    longest: usize,
}

impl<S> Distant<S> {
    fn new(inner: S) -> Self {
        let profile = ReadProfile { merge_gap: 0, merge_limit: 4000, ..ReadProfile::NETWORK };
        Self { inner, profile, reads: Gauge::default(), bytes: Gauge::default(), longest: usize::MAX }
    }
}

/// A number that goes up and down, and its highest value.
#[derive(Debug, Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    fn add(&self, count: usize) {
        let now = self.now.fetch_add(count, Ordering::SeqCst) + count;
        self.most.fetch_max(now, Ordering::SeqCst);
    }

    fn take_most(&self) -> usize {
        self.most.swap(0, Ordering::SeqCst)
    }
}

impl<S: BlobStore> BlobStore for Distant<S> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn directory(&self) -> Option<PathBuf> {
        None
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.inner.list(prefix)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.inner.length(id)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.inner.read(id)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.reads.add(1);
        self.bytes.add(length);
        let refused = id.as_str().starts_with('p') && length > self.longest;
        let inner = if refused { &MemoryStore::new() as &dyn BlobStore } else { &self.inner };
        let result = inner.read_range(id, offset, length, buffer);
        self.reads.now.fetch_sub(1, Ordering::SeqCst);
        self.bytes.now.fetch_sub(length, Ordering::SeqCst);
        result
    }

    fn profile(&self) -> ReadProfile {
        self.profile
    }
}

const FILES: usize = 200;

fn bytes_of(number: usize) -> Vec<u8> {
    vec![number as u8; 1500]
}

/// 200 files of 1500 bytes in 20 folders, whose contents lie in many packs.
fn blobs() -> MemoryStore {
    let mut writer = RepositoryWriter::new().pack_size(10_000);
    let mut folders = Vec::new();
    for number in 0..20 {
        let files: Vec<_> = (0..FILES / 20)
            .map(|file_number| {
                let object = writer.file(&bytes_of(number * 10 + file_number));
                file(&format!("f{file_number}"), &object, 1500)
            })
            .collect();
        folders.push(folder(&format!("d{number:02}"), &writer.directory(&files)));
    }
    let root = writer.directory(&folders);
    writer.snapshot("app@host:/data", folder("data", &root));
    writer.finish().into_iter().map(|(name, blob)| (name.parse().expect("a name"), blob)).collect()
}

fn open(store: impl BlobStore) -> Entry {
    let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
    let snapshots = repository.snapshots().expect("snapshots");
    snapshots.iter().next().expect("one snapshot").root().expect("a root")
}

fn assert_all_there(place: &Place) {
    for number in 0..FILES {
        let path = place.path("target").join(format!("d{:02}/f{}", number / 10, number % 10));
        assert!(fs::read(&path).expect("it is there") == bytes_of(number), "{}", path.display());
    }
}

fn one_worker() -> Options {
    let mut options = Options::default();
    options.parallel = NonZeroUsize::new(1);
    options
}

#[test]
fn where_reads_take_long_many_are_under_way_for_one_worker() {
    let place = Place::new();
    let ReadProfile { parallel_reads, most_reads, .. } = ReadProfile::NETWORK;
    let store = DelayedStore::new(blobs(), Duration::from_millis(100));
    let store = Arc::new(Distant::new(store));
    let root = open(store.clone());
    store.reads.take_most();
    store.inner.gather("p", parallel_reads / 2);
    let outcome = kopia_restore::restore(&root, place.path("target"), &one_worker()).unwrap();
    assert_eq!((outcome.files, outcome.problem_count), (FILES as u64, 0));
    assert_all_there(&place);
    let most = store.reads.take_most();
    assert!((parallel_reads / 2..=most_reads).contains(&most), "{most} at once");
}

#[test]
fn what_is_read_ahead_stays_within_its_budget() {
    let place = Place::new();
    let store = FaultyStore::new(blobs()).delay(Duration::from_millis(2));
    let store = Arc::new(Distant::new(store));
    let root = open(store.clone());
    let mut options = one_worker();
    options.read_ahead = 6000;
    options.root_attributes = false;
    // Folders come first and are not counted: there are 20, read in one go.
    let folders = root.directory().unwrap().entries;
    assert_eq!(folders.len(), 20);
    for entry in folders {
        store.bytes.take_most();
        let outcome =
            kopia_restore::restore(&entry, place.path("target").join(entry.name()), &options).unwrap();
        assert_eq!((outcome.files, outcome.problem_count), (10, 0));
        let most = store.bytes.take_most();
        assert!(most <= 6000, "{most} bytes at once");
    }
    assert_all_there(&place);
    // A budget that is smaller than a single read must not stop anything.
    options.read_ahead = 1;
    let outcome = kopia_restore::restore(&root, place.path("again"), &options).unwrap();
    assert_eq!((outcome.files, outcome.problem_count), (FILES as u64, 0));
}

#[test]
fn a_range_that_fails_is_read_content_by_content() {
    for ahead in [ReadAhead::Hints, ReadAhead::Threads] {
        let place = Place::new();
        let mut store = Distant::new(blobs());
        // A file's content, sealed, but not two of them.
        store.longest = 1550;
        store.profile.ahead = ahead;
        let root = open(store);
        let outcome = kopia_restore::restore(&root, place.path("target"), &Options::default()).unwrap();
        assert_eq!((outcome.files, outcome.problem_count), (FILES as u64, 0), "{ahead:?}");
        assert_all_there(&place);
    }
}

#[test]
fn folders_that_are_neighbours_are_read_at_once() {
    let place = Place::new();
    let store = Arc::new(CountingStore::new(blobs()));
    let root = open(store.clone());
    store.take();
    let outcome = kopia_restore::restore(&root, place.path("target"), &Options::default()).unwrap();
    assert_eq!((outcome.files, outcome.directories), (FILES as u64, 21));
    let reads = store.take().ranges;
    let folders = reads.iter().filter(|read| read.blob.as_str().starts_with('q')).count();
    // The root twice (before anything is created, and to plan), and its twenty folders, which lie in three
    // packs.
    assert!(folders <= 5, "{folders} reads for 21 folders");
}

#[test]
fn many_empty_and_equal_files_count_in_the_budget_and_all_arrive() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let empty = writer.file(b"");
    let same = writer.file(b"the same in all");
    let entries: Vec<_> = (0..5000)
        .flat_map(|number| {
            [file(&format!("e{number:04}"), &empty, 0), file(&format!("s{number:04}"), &same, 15)]
        })
        .collect();
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    let blobs: MemoryStore =
        writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob)).collect();
    let root = open(Distant::new(blobs));
    let mut options = one_worker();
    // Less than a single part has.
    options.read_ahead = 1000;
    let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_eq!((outcome.files, outcome.problem_count, outcome.bytes), (10_000, 0, 75_000));
}

#[test]
fn hashes_are_compared_where_that_is_asked_for() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new();
    let mut files: Vec<_> = (0..40u8)
        .map(|number| {
            let object = writer.file(&vec![number; 100 * usize::from(number)]);
            file(&format!("f{number:02}"), &object, 100 * usize::from(number))
        })
        .collect();
    let forged: ContentId = "0123456789abcdef0123456789abcdef".parse().unwrap();
    writer.forge(forged, b"something else");
    files.insert(20, file("f20-forged", &forged.to_string(), 14));
    let root = folder("data", &writer.directory(&files));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);

    let trusting = kopia_restore::restore(&root, place.path("trusting"), &Options::default()).unwrap();
    assert_eq!((trusting.files, trusting.problem_count), (41, 0));
    let mut options = Options::default();
    options.verify_hashes = true;
    let verified = kopia_restore::restore(&root, place.path("verified"), &options).unwrap();
    assert_eq!((verified.files, verified.problem_count), (40, 1));
    let [problem] = &problems(&verified)[..] else { panic!("one problem") };
    assert!(problem.starts_with("f20-forged: ") && problem.contains("its hash is not its id"), "{problem}");
    for number in 0..40u8 {
        let bytes = fs::read(place.path("verified").join(format!("f{number:02}"))).unwrap();
        assert_eq!(bytes, vec![number; 100 * usize::from(number)]);
    }
}
