use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kopia_codec::key::Password;
use kopia_storage::testing::{ArchivingStore, CountingStore};
use kopia_storage::{BlobBytes, BlobInfo, ColdStorage, MemoryStore, ReadProfile};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

use super::*;
use crate::Repository;

type Store = ArchivingStore<Arc<CountingStore<MemoryStore>>>;

/// Makes stores of the blobs of a repository.
fn stores(blobs: Vec<(String, Vec<u8>)>) -> (Arc<Store>, Arc<CountingStore<MemoryStore>>) {
    let blobs = blobs.into_iter().map(|(name, bytes)| (BlobId::new(&name).unwrap(), bytes));
    let counting = Arc::new(CountingStore::new(blobs.collect::<MemoryStore>()));
    (Arc::new(ArchivingStore::new(counting.clone())), counting)
}

/// A repository of many small packs, whose directories lie in one.
fn written(files: u8) -> (Arc<Store>, Arc<CountingStore<MemoryStore>>) {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let entries: Vec<_> = (0..files)
        .map(|number| {
            let object = writer.file(&[number; 100]);
            json!({"name": number.to_string(), "type": "f", "size": 100, "obj": object})
        })
        .collect();
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
    stores(writer.finish())
}

fn open(store: &Arc<Store>) -> Result<Repository> {
    Repository::open(store.clone(), &Password::from(PASSWORD))
}

fn names(cold: &ColdBlobs) -> Vec<&str> {
    cold.blobs().iter().map(|frozen| frozen.blob.info.id.as_str()).collect()
}

#[test]
fn what_opening_needs_is_found_asked_for_and_read() {
    let (store, _) = written(1);
    store.archive("x").unwrap();
    let error = open(&store).unwrap_err();
    assert!(error.cold_blob().is_some_and(|blob| blob.as_str().starts_with('x')), "{error:?}");
    assert_eq!(error.word(), "archived_blob");
    let mut cold = ColdBlobs::to_open(&store).unwrap();
    assert_eq!((cold.step(), cold.blobs().len(), cold.thawing()), (Step::Opening, 1, 0));
    let length = store.length(&cold.blobs()[0].blob.info.id).unwrap();
    let class = ColdClass { class: "GLACIER".into(), blobs: 1, bytes: length };
    assert_eq!((cold.bytes(), cold.classes()), (length, vec![class]));
    cold.thaw(&store, ThawSpeed::Standard, 3).unwrap();
    assert_eq!((cold.thawing(), store.asked().len()), (1, 1));
    // What is being fetched is not asked for again.
    cold.thaw(&store, ThawSpeed::Standard, 3).unwrap();
    assert_eq!(store.asked().len(), 1);
    cold.look(&store).unwrap();
    assert!(!cold.is_empty());
    store.arrive();
    cold.look(&store).unwrap();
    assert!(cold.is_empty());
    open(&store).unwrap();
    assert!(ColdBlobs::to_open(&store).unwrap().is_empty());
}

#[test]
fn directories_and_files_are_found_apart() {
    let (store, counting) = written(50);
    let repository = open(&store).unwrap();
    assert!(repository.cold_packs().unwrap().is_empty());
    store.archive("q").unwrap();
    let error = repository.snapshots().unwrap_err();
    let blob = error.cold_blob().expect("it is cold").clone();
    let directories = repository.cold_metadata(&[blob]).unwrap();
    let listed: Vec<_> = counting.list("q").unwrap().into_iter().map(|blob| blob.id.to_string()).collect();
    assert_eq!(
        (directories.step(), names(&directories)),
        (Step::Directories, listed.iter().map(|name| &**name).collect())
    );
    store.archive("p").unwrap();
    let packs = repository.cold_packs().unwrap();
    assert!(!packs.is_empty());
    for listed in [None, Some(&packs)] {
        let some = repository.cold_among(&[0, 2, 2_000_000], listed).unwrap();
        assert_eq!((some.step(), some.blobs().len()), (Step::Files, 2), "{some:?}");
    }
    let all = repository.cold_holding(Step::Files, &[], None).unwrap();
    assert_eq!(all.blobs().len(), counting.list("p").unwrap().len() + listed.len());
}

#[test]
fn a_refusal_hinders_nothing_else() {
    let (store, counting) = written(5);
    store.archive("p").unwrap();
    let repository = open(&store).unwrap();
    let mut cold = repository.cold_holding(Step::Files, &[], None).unwrap();
    store.refuse(&counting.list("p").unwrap()[2].id);
    cold.thaw(&store, ThawSpeed::Bulk, 1).unwrap_err();
    assert_eq!((cold.blobs().len(), cold.thawing(), store.asked().len()), (5, 4, 4));
}

#[test]
fn of_very_many_some_are_looked_at_and_all_in_the_end() {
    let id = |number| BlobId::new(&format!("p{number:032x}")).unwrap();
    let blobs: MemoryStore = (0..3000).map(|number| (id(number), b"x".to_vec())).collect();
    let store = Arc::new(ArchivingStore::new(blobs));
    store.archive("p").unwrap();
    let listed = store.cold().unwrap().list_cold("p").unwrap();
    let mut cold = ColdBlobs::of(&store, Step::Files, listed).unwrap();
    cold.thaw(&store, ThawSpeed::Bulk, 1).unwrap();
    let before = store.looks();
    cold.look(&store).unwrap();
    assert_eq!((store.looks() - before, cold.blobs().len()), (LOOKED_AT, 3000));
    store.arrive();
    cold.look(&store).unwrap();
    assert!(cold.is_empty());
}

#[test]
fn however_many_there_are_all_can_be_read_where_there_is_no_archive_any_more() {
    let id = |number| BlobId::new(&format!("p{number:032x}")).unwrap();
    let blobs: MemoryStore = (0..3 * LOOKED_AT + 1).map(|number| (id(number), b"x".to_vec())).collect();
    let store = ArchivingStore::new(blobs.clone());
    store.archive("p").unwrap();
    let listed = store.cold().unwrap().list_cold("p").unwrap();
    let mut cold = ColdBlobs::of(&store, Step::Files, listed).unwrap();
    assert_eq!(cold.blobs().len(), 3 * LOOKED_AT + 1);
    let without = NoArchive { inner: blobs, asked: AtomicUsize::new(0) };
    cold.look(&without).unwrap();
    assert!(cold.is_empty());
    assert_eq!(without.asked.into_inner(), 1, "all at once");
}

/// A store without an archive, which counts how often it is asked for one.
#[derive(Debug)]
struct NoArchive {
    inner: MemoryStore,
    asked: AtomicUsize,
}

impl BlobStore for NoArchive {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self, prefix: &str) -> kopia_storage::Result<Vec<BlobInfo>> {
        self.inner.list(prefix)
    }

    fn length(&self, id: &BlobId) -> kopia_storage::Result<u64> {
        self.inner.length(id)
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

    fn read(&self, id: &BlobId) -> kopia_storage::Result<Vec<u8>> {
        self.inner.read(id)
    }

    fn cold(&self) -> Option<&dyn ColdStorage> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn profile(&self) -> ReadProfile {
        self.inner.profile()
    }
}

#[test]
fn a_store_without_an_archive_is_asked_for_nothing() {
    let (_, counting) = written(3);
    let repository = Repository::open(counting.clone(), &Password::from(PASSWORD)).unwrap();
    counting.take();
    assert!(repository.cold_packs().unwrap().is_empty());
    assert!(repository.cold_holding(Step::Files, &[], None).unwrap().is_empty());
    assert!(repository.cold_metadata(&[]).unwrap().is_empty());
    assert!(repository.cold_among(&[0], None).unwrap().is_empty());
    assert!(ColdBlobs::to_open(&counting).unwrap().is_empty());
    assert_eq!(counting.take(), kopia_storage::testing::counting::Calls::default());
}

/// A repository all of whose contents but manifests are marked deleted, and one more that no snapshot needs.
fn marked() -> (Arc<Store>, Arc<CountingStore<MemoryStore>>) {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let object = writer.file(&[1; 100]);
    writer.content(None, b"of no snapshot");
    let inner = writer.directory(&[json!({"name": "needed", "type": "f", "size": 100, "obj": object})]);
    let root = writer.directory(&[json!({"name": "inner", "type": "d", "obj": inner})]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
    stores(writer.finish_changed(|live| live.mark_deleted(|id| id.prefix() != Some('m'))))
}

#[test]
fn what_snapshots_need_although_it_is_marked_deleted_is_fetched_to_verify_everything() {
    let (store, _) = marked();
    store.archive("p").unwrap();
    let options = crate::verify::Options::default();
    let cold = open(&store).unwrap().cold_to_verify(&[], &options).unwrap();
    assert_eq!((cold.step(), cold.blobs().len()), (Step::Files, 1));
    // The manifest's pack, which is known at once; then one directory after the other, then the file.
    store.archive("q").unwrap();
    let repository = open(&store).unwrap();
    let mut steps = Vec::new();
    loop {
        let mut cold = repository.cold_to_verify(&[], &options).unwrap();
        if cold.is_empty() {
            break;
        }
        steps.push((cold.step(), cold.blobs().len()));
        cold.thaw(&store, ThawSpeed::Bulk, 1).unwrap();
        store.arrive();
        assert!(steps.len() <= 4, "{steps:?}");
    }
    let expected = [(Step::Files, 1), (Step::Directories, 1), (Step::Directories, 1), (Step::Files, 1)];
    assert_eq!(steps, expected);
    assert!(repository.verify(&options, &()).unwrap().is_sound());
}

#[test]
fn where_nothing_lies_in_an_archive_no_directory_is_read_to_find_that_out() {
    let (store, counting) = marked();
    let repository = open(&store).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    counting.take();
    for entries in [&[][..], &[&root]] {
        let cold = repository.cold_to_verify(entries, &crate::verify::Options::default()).unwrap();
        assert!(cold.is_empty());
        let calls = counting.take();
        assert_eq!((calls.ranges.len(), calls.whole.len()), (0, 0), "{calls:?}");
    }
}

#[test]
fn where_nothing_that_is_marked_deleted_lies_in_an_archive_no_snapshot_is_walked() {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let kept = writer.content(None, b"not marked");
    let object = writer.file(&[1; 100]);
    let root = writer.directory(&[json!({"name": "needed", "type": "f", "size": 100, "obj": object})]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
    let is_marked = |id: &kopia_format::ContentId| id.prefix() != Some('m') && *id != kept;
    let (store, counting) = stores(writer.finish_changed(|live| live.mark_deleted(is_marked)));
    let repository = open(&store).unwrap();
    let location = repository.contents().locate(&kept).unwrap();
    store.archive(repository.contents().origin(&location).blob.as_str()).unwrap();
    let mut options = crate::verify::Options::default();
    // Which packs are a part of all depends on those that hold what is needed.
    for (percent, is_walked) in [(None, false), (Some(100.0), true)] {
        options.part.percent = percent;
        counting.take();
        let cold = repository.cold_to_verify(&[], &options).unwrap();
        assert_eq!((cold.step(), cold.blobs().len()), (Step::Files, 1));
        let calls = counting.take();
        assert_eq!(calls.ranges.len() + calls.whole.len() > 0, is_walked, "{calls:?}");
    }
}

#[test]
fn what_verifying_needs_is_found_directories_before_files() {
    let (store, counting) = written(5);
    let repository = open(&store).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let find = |entries: &[&crate::Entry]| {
        counting.take();
        let cold = repository.cold_to_verify(entries, &crate::verify::Options::default()).unwrap();
        // The archive is listed once, whatever the look ends in.
        let mut lists = counting.take().lists;
        lists.sort_unstable();
        assert_eq!(lists, ["p", "q"], "{entries:?}");
        cold
    };
    let [one, two] = ["1", "3"].map(|name| root.at(name).unwrap());
    assert!(find(&[]).is_empty());
    store.archive("p").unwrap();
    for (entries, count) in [(&[][..], 5), (&[&root], 5), (&[&one], 1), (&[&one, &two], 2)] {
        let cold = find(entries);
        assert_eq!((cold.step(), cold.blobs().len()), (Step::Files, count), "{entries:?}");
    }
    store.archive("q").unwrap();
    let cold = find(&[&root]);
    assert_eq!((cold.step(), cold.blobs().len()), (Step::Directories, counting.list("q").unwrap().len()));
    // Packs by their numbers.
    let listed: Vec<_> = ["p", "q"].iter().flat_map(|prefix| counting.list(prefix).unwrap()).collect();
    let mut named: Vec<_> = (0..).map_while(|number| repository.pack_name(number).unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, listed.into_iter().map(|blob| blob.id).collect::<Vec<_>>());
}
