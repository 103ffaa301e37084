//! Opening while blobs appear, vanish and cannot be read.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_format::BlobId;
use kopia_repository::{Error, Repository, Result};
use kopia_storage::testing::{CountingStore, FaultyStore};
use kopia_storage::{BlobBytes, BlobInfo, BlobStore, CachedStore, MemoryStore, ReadProfile};
use kopia_testkit::huge::HugeIndex;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};

fn memory(huge: &HugeIndex) -> MemoryStore {
    let store = MemoryStore::new();
    let insert = |name: String, bytes: Vec<u8>| {
        store.insert(name.parse().unwrap(), bytes);
        Ok(())
    };
    huge.for_each_blob(insert).unwrap();
    store
}

fn open(store: impl BlobStore) -> Result<Repository> {
    Repository::open(store, &Password::from(PASSWORD))
}

fn ids(store: &MemoryStore, prefix: &str) -> Vec<BlobId> {
    store.list(prefix).unwrap().into_iter().map(|blob| blob.id).collect()
}

#[test]
fn huge_indexes_of_all_kinds() {
    let huge = HugeIndex::new(20_000, 300);
    for huge in [huge.clone(), huge.clone().version(1), huge.clone().plain(), huge.plain().version(1)] {
        let store = Arc::new(CountingStore::new(memory(&huge)));
        let repository = open(Arc::clone(&store)).unwrap();
        assert!(!repository.opening().is_zero());
        let status = repository.status().unwrap();
        assert_eq!((status.index_blobs, status.contents, status.deleted_contents), (301, 20_003, 0));
        let mut read = store.calls().whole;
        assert_eq!(read.len(), 302, "the format blob and each index blob once");
        read.sort();
        read.dedup();
        assert_eq!(read.len(), 302);
        let (mut contents, mut bytes) = (0, 0);
        repository.contents().for_each(|id, place| {
            assert_eq!(repository.contents().locate(&id).unwrap(), place);
            contents += 1;
            bytes += place.stored_length();
        });
        assert_eq!((contents, bytes), (20_003, status.packed_bytes));
        assert_eq!(repository.snapshots().unwrap().iter().count(), 1);
    }
}

#[test]
fn a_wrong_password_is_said_to_be_wrong_whatever_else_is() {
    let inner = memory(&HugeIndex::new(1000, 10));
    let missing = ids(&inner, "xn");
    let faulty = FaultyStore::new(inner.clone()).missing(missing.clone());
    let result = Repository::open(faulty, &Password::from("wrong"));
    assert!(matches!(result, Err(Error::WrongPassword { .. })), "{result:?}");
    missing.iter().for_each(|id| inner.insert(id.clone(), *b"damaged"));
    let result = Repository::open(inner, &Password::from("wrong"));
    assert!(matches!(result, Err(Error::WrongPassword { .. })), "{result:?}");
}

#[test]
fn index_blobs_that_stay_away_are_named() {
    let inner = memory(&HugeIndex::new(1000, 10));
    let lost = ids(&inner, "xn").swap_remove(4);
    let store = Arc::new(FaultyStore::new(inner).missing([lost.clone()]));
    let error = open(Arc::clone(&store)).unwrap_err();
    assert!(matches!(&error, Error::Storage(error) if error.is_not_found()), "{error}");
    assert!(error.to_string().contains(lost.as_str()), "{error}");
}

#[test]
fn what_does_not_count_need_not_be_readable() {
    // Index blobs in epochs beside a format without them: they are guessed to count, and do not.
    let (inner, other) = (memory(&HugeIndex::new(1000, 10).plain()), memory(&HugeIndex::new(500, 5)));
    let strays = ids(&other, "xn");
    strays.iter().for_each(|id| inner.insert(id.clone(), *b"stray"));
    for store in [FaultyStore::new(inner.clone()), FaultyStore::new(inner).missing(strays)] {
        assert_eq!(open(store).unwrap().status().unwrap().contents, 1003);
    }
}

/// A store in which maintenance runs at the worst moment: a blob is replaced by others when it is first read.
#[derive(Debug)]
struct Compacting {
    inner: MemoryStore,
    replaced: BlobId,
    by: Vec<(BlobId, Arc<[u8]>)>,
}

impl BlobStore for Compacting {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self, prefix: &str) -> kopia_storage::Result<Vec<BlobInfo>> {
        self.inner.list(prefix)
    }

    fn length(&self, id: &BlobId) -> kopia_storage::Result<u64> {
        self.inner.length(id)
    }

    fn read(&self, id: &BlobId) -> kopia_storage::Result<Vec<u8>> {
        if *id == self.replaced && self.inner.remove(id).is_some() {
            self.by.iter().for_each(|(id, bytes)| self.inner.insert(id.clone(), Arc::clone(bytes)));
        }
        self.inner.read(id)
    }

    fn read_range(
        &self,
        id: &BlobId,
        offset: u64,
        length: usize,
        buffer: Vec<u8>,
    ) -> kopia_storage::Result<BlobBytes> {
        self.inner.read_range(id, offset, length, buffer)
    }

    fn profile(&self) -> ReadProfile {
        ReadProfile::LOCAL
    }
}

#[test]
fn a_blob_that_vanishes_while_it_is_read_ahead() {
    for plain in [false, true] {
        let kind = |huge: HugeIndex| if plain { huge.plain() } else { huge };
        let inner = memory(&kind(HugeIndex::new(2000, 20)));
        let prefix = if plain { "n" } else { "xn" };
        let replaced = ids(&inner, prefix).swap_remove(7);
        // The same bytes under another name with the same 32 digits, so that the same key opens them.
        let name = replaced.as_str().replace("-s0123456789abcdef", "-sfedcba9876543210");
        let by = vec![(name.parse().unwrap(), inner.read(&replaced).unwrap().into())];
        let repository = open(Compacting { inner, replaced, by }).unwrap();
        assert_eq!(
            (repository.status().unwrap().contents, repository.status().unwrap().index_blobs),
            (2003, 21)
        );
    }
}

/// Writes other bytes into each file of a cache, with the checksum that fits them.
fn forge(cache: &std::path::Path) -> usize {
    let mut forged = 0;
    for file in std::fs::read_dir(cache.join("repository-a")).unwrap() {
        let (path, name) = file.map(|file| (file.path(), file.file_name().into_string().unwrap())).unwrap();
        if name == "CACHEDIR.TAG" {
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 8);
        bytes.iter_mut().for_each(|byte| *byte ^= 1);
        let mut hasher = DefaultHasher::new();
        hasher.write(name.as_bytes());
        hasher.write(&bytes);
        bytes.extend(hasher.finish().to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        forged += 1;
    }
    forged
}

#[test]
fn a_cache_that_lies_costs_reads_and_nothing_else() {
    let mut writer = RepositoryWriter::new();
    let root = writer.directory(&[]);
    let entry = serde_json::json!({"name": "data", "type": "d", "mode": "0755", "obj": root});
    writer.snapshot("app@host:/data", entry);
    let store = MemoryStore::new();
    writer.finish().into_iter().for_each(|(name, bytes)| store.insert(name.parse().unwrap(), bytes));
    let counted = Arc::new(CountingStore::new(store));
    let cache = tempfile::tempdir().unwrap();
    let reads = || {
        let repository = open(CachedStore::new(counted.clone(), cache.path(), "a", 1 << 30)).unwrap();
        let snapshots = repository.snapshots().unwrap();
        let root = snapshots.iter().next().unwrap().root().unwrap();
        assert_eq!(root.directory().unwrap().entries.len(), 0);
        let calls = counted.take();
        calls.whole.len() + calls.ranges.len()
    };
    let first = reads();
    let cached = reads();
    assert!(first > cached && cached == 1, "{first}, then {cached}: the format blob is read anyway");
    let forged = forge(cache.path());
    assert!(forged >= 3, "{forged}: index, list of snapshots, directory");
    assert!(reads() > cached);
    assert_eq!(reads(), cached, "what was forged is forgotten");
}
