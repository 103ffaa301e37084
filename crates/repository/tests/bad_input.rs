//! Repositories that cannot be opened: each says which blob and what about it.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use kopia_codec::key::Password;
use kopia_repository::select::{At, Query};
use kopia_repository::{Error, Repository, Result};
use kopia_storage::testing::FaultyStore;
use kopia_storage::{BlobStore, MemoryStore};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

fn store(writer: RepositoryWriter) -> MemoryStore {
    writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect()
}

/// A repository of one small snapshot, with one field of its format replaced.
fn with(field: &str, value: Value) -> MemoryStore {
    let mut writer = RepositoryWriter::new().format(field, value);
    let root = writer.directory(&[]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    store(writer)
}

fn open(store: &MemoryStore) -> Result<Repository> {
    Repository::open(store.clone(), &Password::from(PASSWORD))
}

fn error(store: &MemoryStore) -> String {
    open(store).expect_err("it must not open").to_string()
}

/// The name of the only blob that begins so.
fn blob(store: &MemoryStore, prefix: &str) -> kopia_format::BlobId {
    store.list(prefix).unwrap()[0].id.clone()
}

fn damage(store: &MemoryStore, prefix: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let id = blob(store, prefix);
    let mut bytes = store.read(&id).unwrap();
    change(&mut bytes);
    store.insert(id.clone(), bytes);
    id.to_string()
}

#[test]
fn nothing_there_or_another_password() {
    let empty = MemoryStore::new();
    assert!(matches!(open(&empty), Err(Error::NotARepository { .. })));
    let store = with("version", json!(3));
    for password in ["", "writte", "written "] {
        let result = Repository::open(store.clone(), &Password::from(password));
        assert!(matches!(result, Err(Error::WrongPassword { .. })), "{result:?}");
    }
}

#[test]
fn algorithms_and_features_that_are_unknown_are_named() {
    let feature = |warn: bool| json!([{"feature": "time-travel", "ifNotUnderstood": {"warn": warn, "message": "go back", "upgradeToVersion": "9.9"}}]);
    for (field, value, expected) in [
        ("hash", json!("SHA1"), "unsupported hash: SHA1"),
        ("encryption", json!("SALSA20"), "unsupported encryption: SALSA20"),
        ("version", json!(4), "unsupported format version: 4"),
        (
            "requiredFeatures",
            feature(false),
            "unsupported required feature: time-travel go back (kopia 9.9 knows it)",
        ),
    ] {
        let error = error(&with(field, value));
        assert!(error.contains(expected) && error.contains("kopia.repository"), "{field}: {error}");
    }
    let warned = open(&with("requiredFeatures", feature(true))).unwrap();
    assert!(warned.warnings()[0].contains("time-travel") && warned.warnings()[0].contains("go back"));
    let known = json!([{"feature": "index-v2", "ifNotUnderstood": {"warn": false}}]);
    assert!(open(&with("requiredFeatures", known)).unwrap().warnings().is_empty());
}

#[test]
fn an_upgrade_under_way_is_respected() {
    let lock = |created: &str| {
        json!({"ownerID": "root@host", "creationTime": created, "advanceNoticeDuration": 3_600_000_000_000i64,
            "ioDrainTimeout": 60_000_000_000i64, "maxPermittedClockDrift": 1_000_000_000i64, "message": "upgrading"})
    };
    let error = error(&with("upgradeLock", lock("2020-01-01T00:00:00Z")));
    assert!(error.contains("root@host") && error.contains("upgrading"), "{error}");
    assert!(open(&with("upgradeLock", lock("2999-01-01T00:00:00Z"))).is_ok(), "it was announced only");
}

#[test]
fn a_damaged_format_blob_is_named() {
    for length in [0, 1, 50, 300] {
        let store = with("version", json!(3));
        damage(&store, "kopia.repository", |bytes| bytes.truncate(length));
        assert!(error(&store).contains("blob kopia.repository is corrupt"), "cut to {length}");
    }
    let store = with("version", json!(3));
    damage(&store, "kopia.repository", |bytes| {
        let at = bytes.len() / 2;
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    });
    assert!(error(&store).contains("kopia.repository"));
}

#[test]
fn a_damaged_index_blob_is_named() {
    let changes: [fn(&mut Vec<u8>); 3] = [|bytes| bytes.truncate(40), |bytes| bytes[60] ^= 1, Vec::clear];
    for change in changes {
        let store = with("version", json!(3));
        let name = damage(&store, "xn0_", change);
        let error = error(&store);
        assert!(error.contains(&name) && error.contains("corrupt"), "{error}");
    }
    let store = with("version", json!(3));
    let bytes = store.remove(&blob(&store, "xn0_")).unwrap();
    store.insert("xn0_short".parse().unwrap(), bytes);
    assert!(error(&store).contains("xn0_short"));
}

#[test]
fn a_damaged_manifest_is_named_and_not_passed_over() {
    let store = with("version", json!(3));
    let mut place = None;
    let repository = open(&store).unwrap();
    repository.contents().for_each(|id, found| {
        if id.prefix() == Some('m') {
            place = Some(repository.contents().origin(&found));
        }
    });
    let name = damage(&store, "q", |bytes| bytes[place.unwrap().range().start as usize + 20] ^= 1);
    let error = open(&store).unwrap().snapshots().unwrap_err().to_string();
    assert!(error.contains("content m") && error.contains(&name), "{error}");
}

#[test]
fn names_select_in_their_order() {
    let mut writer = RepositoryWriter::new();
    let file = writer.file(b"hello");
    let inner = writer.directory(&[json!({"name": "f", "type": "f", "size": 5, "obj": file})]);
    let root = writer.directory(&[json!({"name": "sub", "type": "d", "obj": inner})]);
    let entry = |object: &str| json!({"name": "data", "type": "d", "obj": object});
    let old = writer.snapshot("app@host:/data", entry(&root));
    let new = writer.snapshot("app@host:/data", entry(&root));
    let nested = writer.snapshot("app@host:/data/sub", entry(&inner));
    writer.manifest(json!({
        "source": {"host": "host", "userName": "app", "path": "/data"},
        "startTime": "2026-06-01T00:00:00Z", "endTime": "2026-06-01T00:00:00Z",
        "incomplete": "checkpoint", "rootEntry": entry(&root),
    }));
    let repository = open(&store(writer)).unwrap();
    let query = |name: &'static str| Query { name, ..Query::default() };
    let id = |query: &Query<'_>| {
        repository.select(query).unwrap().snapshot.map(|snapshot| snapshot.id().to_string())
    };
    let of = |name| id(&query(name)).unwrap();

    assert_eq!(of("app@host:/data"), new);
    assert_eq!(of("app@host:/data/"), new);
    assert_eq!(of("app@host:/data/sub"), nested, "the longest source path");
    assert_eq!(of("app@host:/data/sub/f"), nested);
    assert_eq!(repository.select(&query("app@host:/data/sub/f")).unwrap().entry.size(), 5);
    let by_id = format!("{old}/sub/f");
    let found = repository.select(&Query { name: &by_id, ..query("") }).unwrap();
    assert_eq!((found.snapshot.unwrap().id().to_string(), found.path), (old.clone(), "sub/f".into()));
    let object = format!("{root}/sub");
    assert!(repository.select(&Query { name: &object, ..query("") }).unwrap().snapshot.is_none());
    let bytes = repository.select(&Query { name: &file, ..query("") }).unwrap();
    assert_eq!(bytes.entry.size(), 5);

    let first = At::Until("2026-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(id(&Query { at: Some(first), ..query("app@host:/data") }), Some(old.clone()));
    let unfinished = id(&Query { incomplete: true, ..query("app@host:/data") }).unwrap();
    assert!(![&old, &new, &nested].contains(&&unfinished));
    let before = At::Before("2026-01-01T00:00:00Z".parse().unwrap());
    let error = |query: &Query<'_>| repository.select(query).unwrap_err();
    assert!(matches!(error(&Query { at: Some(before), ..query("app@host:/data") }), Error::NotFound { .. }));
    assert!(matches!(
        error(&Query { at: Some(first), name: &old, ..query("") }),
        Error::NothingToChoose { .. }
    ));
    assert!(matches!(error(&query("latest")), Error::Ambiguous { candidates, .. } if candidates.len() == 2));
    assert!(matches!(error(&query("0000")), Error::Ambiguous { candidates, .. } if candidates.len() == 4));
    for missing in ["000", "app@host:/dat", "app@other:/data", "ffff", "app@host:/data/none", "k00"] {
        assert!(
            matches!(error(&query(missing)), Error::NotFound { .. } | Error::ContentNotFound { .. }),
            "{missing}"
        );
    }
    assert!(matches!(error(&query("app@host:/data/sub/f/x")), Error::WrongKind { .. }));
}

#[test]
fn sources_are_found_as_they_are_written() {
    let mut writer = RepositoryWriter::new();
    let root = writer.directory(&[]);
    let entry = json!({"name": "data", "type": "d", "obj": root});
    let whole = writer.manifest(json!({
        "source": {"host": "host", "userName": "root", "path": "/"},
        "startTime": "2026-06-01T00:00:00Z", "endTime": "2026-06-01T00:00:00Z", "rootEntry": entry,
    }));
    let domain = writer.manifest(json!({
        "source": {"host": "host", "userName": "user@domain", "path": "/data"},
        "startTime": "2026-06-01T00:00:00Z", "endTime": "2026-06-01T00:00:00Z", "rootEntry": entry,
    }));
    let repository = open(&store(writer)).unwrap();
    for (name, id) in [
        ("root@host:/", whole),
        ("user@domain@host:/data", domain.clone()),
        ("user@domain@host:/data/", domain),
    ] {
        let query = Query { name, ..Query::default() };
        assert_eq!(repository.select(&query).unwrap().snapshot.unwrap().id(), id, "{name}");
    }
}

#[test]
fn a_file_of_another_size_than_its_entry_says_is_not_opened() {
    let mut writer = RepositoryWriter::new();
    let bytes = writer.file(b"hello");
    let root = writer.directory(&[json!({"name": "f", "type": "f", "size": 99, "obj": bytes})]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
    let repository = open(&store(writer)).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let error = root.at("f").unwrap().open().unwrap_err();
    assert!(error.to_string().contains("it has 5 bytes, its entry says 99"), "{error}");
}

#[test]
fn manifests_that_take_too_much_memory_are_refused_by_name() {
    let mut writer = RepositoryWriter::new();
    let root = writer.directory(&[]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    for number in 1..=3 {
        let data = json!({"source": {"host": "h", "userName": "u", "path": "/p"}, "description": "A".repeat(8 << 20),
            "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:00Z", "rootEntry": {"name": "x", "type": "d", "obj": root}});
        let list = json!({"entries": [{"id": format!("{number:032x}"), "labels": {"type": "snapshot"},
            "modified": "2026-01-01T00:00:00Z", "data": data}]});
        writer.content(Some('m'), &kopia_testkit::writer::gzip(list.to_string().as_bytes()));
    }
    let store = store(writer);
    let error = open(&store).unwrap().snapshots().expect_err("one is too long").to_string();
    assert!(error.contains("manifest 0000") && error.contains("more than 1048576"), "{error}");
    let degraded = Repository::open_degraded(store, &Password::from(PASSWORD)).unwrap();
    let snapshots = degraded.snapshots().unwrap();
    assert_eq!((snapshots.iter().len(), snapshots.lost().len()), (1, 3));
    assert!(!snapshots.hides_deleted());
}

#[test]
fn lists_of_manifests_that_take_too_much_memory_are_refused_by_name() {
    let mut writer = RepositoryWriter::new();
    let root = writer.directory(&[]);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    for number in 1..=2 {
        let id = kopia_format::ContentId::new(Some('m'), &[number; 16]).unwrap();
        writer.forge_gzip(id, &vec![0; 33 << 20]);
    }
    let store = store(writer);
    let error = open(&store).unwrap().snapshots().expect_err("two are too long").to_string();
    let why = "a list of manifests has 34603008 bytes, more than 33554432";
    assert!(error.contains("content m0101") && error.contains(why), "{error}");
    let degraded = Repository::open_degraded(store, &Password::from(PASSWORD)).unwrap();
    let snapshots = degraded.snapshots().unwrap();
    assert_eq!((snapshots.iter().len(), snapshots.lost().len()), (1, 2));
}

#[test]
fn an_upgrade_under_way_is_gone_around_where_that_is_asked_for() {
    let lock =
        json!({"ownerID": "root@host", "creationTime": "2020-01-01T00:00:00Z", "message": "upgrading"});
    let store = with("upgradeLock", lock);
    let degraded = || Repository::open_degraded(store.clone(), &Password::from(PASSWORD));
    let error = degraded().expect_err("nothing says what was there before").to_string();
    assert!(error.contains("root@host has been upgrading the repository since 2020-01-01"), "{error}");
    let before = with("version", json!(3)).read(&"kopia.repository".parse().unwrap()).unwrap();
    store.insert("kopia.repository.backup.Root@Host".parse().unwrap(), before);
    assert!(matches!(open(&store), Err(Error::Locked { backup: Some(_), backups: 1, .. })));
    // A listing that fails is no list without copies.
    let busy = FaultyStore::new(store.clone())
        .unlisted("kopia.repository.backup.")
        .because(std::io::ErrorKind::TimedOut);
    let error = Repository::open(busy, &Password::from(PASSWORD)).expect_err("the copies cannot be listed");
    assert_eq!(error.storage_kind(), Some(kopia_storage::ErrorKind::TryAgain), "{error}");
    // Upgrades that were completed leave theirs.
    for other in ["kopia.repository.backup.another@host", "kopia.repository.backup.root"] {
        store.insert(other.parse().unwrap(), *b"of another upgrade");
    }
    let Err(Error::Locked { backup: Some(backup), backups: 3, .. }) = open(&store) else { panic!() };
    assert_eq!(backup.as_str(), "kopia.repository.backup.Root@Host");
    let repository = degraded().unwrap();
    assert!(repository.warnings()[0].contains("it is read as it was before"), "{:?}", repository.warnings());
    assert_eq!(repository.snapshots().unwrap().iter().len(), 1);
}
