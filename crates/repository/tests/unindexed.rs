//! Packs that no index names, contents that are marked deleted, and whether a list of snapshots is whole.

#![expect(clippy::unwrap_used, reason = "a test whose own steps fail has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_format::{BlobId, ContentId};
use kopia_repository::unindexed::{Held, Packs};
use kopia_repository::{OpenOptions, Repository, Unreadable, verify};
use kopia_storage::testing::{ChangingStore, CountingStore, FaultyStore};
use kopia_storage::{BlobStore, MemoryStore};
use kopia_testkit::writer::{Change, LiveRepository, PASSWORD, RepositoryWriter};
use serde_json::json;

/// Two snapshots of a file each, in packs of their own.
fn written() -> (MemoryStore, LiveRepository, [String; 2]) {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let ids = [&b"first"[..], b"second"].map(|bytes| {
        let file = writer.file(bytes);
        let entry = json!({"name": "f", "type": "f", "mode": "0644", "size": bytes.len(), "obj": file});
        let root = writer.directory(&[entry]);
        writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}))
    });
    let (blobs, living) = writer.finish_live();
    (blobs.into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect(), living, ids)
}

fn apply(store: &MemoryStore, change: Change) {
    for (name, bytes) in change.added {
        store.insert(name.parse().unwrap(), bytes);
    }
    for name in change.removed {
        store.remove(&name.parse().unwrap()).unwrap();
    }
}

fn open(store: impl BlobStore) -> Repository {
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

fn open_with(store: &MemoryStore, degraded: bool, deleted: bool) -> Repository {
    let mut options = OpenOptions::default();
    (options.degraded, options.deleted) = (degraded, deleted);
    Repository::open_with(store.clone(), &Password::from(PASSWORD), &options).unwrap()
}

fn ids(store: &MemoryStore, prefix: &str) -> Vec<BlobId> {
    store.list(prefix).unwrap().into_iter().map(|blob| blob.id).collect()
}

fn names(packs: &[kopia_repository::unindexed::UnindexedPack]) -> Vec<BlobId> {
    packs.iter().map(|pack| pack.id.clone()).collect()
}

fn snapshots(repository: &Repository) -> Vec<(String, bool)> {
    let snapshots = repository.snapshots().unwrap();
    snapshots.iter().map(|snapshot| (snapshot.id().to_string(), snapshot.is_deleted())).collect()
}

#[test]
fn a_sound_repository_has_none_and_its_list_is_whole() {
    let (store, ..) = written();
    let counting = Arc::new(CountingStore::new(store));
    let repository = open(counting.clone());
    counting.take();
    assert!(repository.unindexed_packs(Packs::All).unwrap().is_empty());
    let calls = counting.take();
    assert_eq!(
        (calls.lists.len(), calls.ranges.len()),
        (2, 0),
        "p, q: no pack is asked, and no session looked for"
    );
    let coverage = repository.manifest_coverage().unwrap();
    assert!(coverage.is_complete());
    assert_eq!(coverage.snapshots.iter().count(), 2);
}

#[test]
fn packs_of_an_index_that_is_gone_say_what_they_hold() {
    let (store, ..) = written();
    let of_written = (ids(&store, "q"), ids(&store, "x"));
    let all = open(store.clone());
    let mut manifest = None;
    all.contents().for_each(|id, place| {
        if id.prefix() == Some('m') {
            manifest = Some((id, all.contents().origin(&place).blob));
        }
    });
    let (manifest, pack) = manifest.unwrap();
    // Another index blob is left, which knows of other packs.
    let other = RepositoryWriter::new();
    for (name, bytes) in other.finish().into_iter().filter(|(name, _)| name.starts_with(['q', 'x'])) {
        store.insert(name.parse().unwrap(), bytes);
    }
    store.remove(&of_written.1[0]).unwrap();
    let repository = open(store.clone());
    assert_eq!(repository.snapshots().unwrap().iter().count(), 0, "that is all that the index says");
    let found = repository.unindexed_packs(Packs::Metadata).unwrap();
    assert_eq!(names(&found), of_written.0);
    assert_eq!(repository.unindexed_packs(Packs::All).unwrap().len(), 5);
    let one = found.iter().find(|found| found.id == pack).unwrap();
    assert_eq!(one.holds, BTreeMap::from([(Some('m'), Held { contents: 1, unknown: 1 })]));
    assert_eq!(one.newest.unwrap().to_string(), "2026-01-01T00:00:00Z");
    assert!(one.may_hide(Some('m')) && !one.may_hide(Some('k')) && !one.session_open);
    assert_eq!(repository.contents_of_pack(&one.id).unwrap(), [manifest]);
    let coverage = repository.manifest_coverage().unwrap();
    assert!(!coverage.is_complete());
    assert_eq!(names(&coverage.hiding), std::slice::from_ref(&pack));
    assert_eq!((coverage.unread.len(), coverage.hidden.len()), (0, 2));
    assert!(coverage.hidden.iter().all(|hidden| hidden.pack == pack && !hidden.is_expected));
    assert!(!coverage.is_complete_for(&"app@host:/data".parse().unwrap()));
    assert!(coverage.is_complete_for(&"other@host:/data".parse().unwrap()), "of that one nothing is hidden");
    let report = repository.verify(&verify::Options::default(), &()).unwrap();
    assert_eq!((report.unindexed.len(), report.unexpected().count()), (5, 5));
    assert!(report.damage_count == 0 && report.affected_count == 0 && !report.is_sound());
    // Whoever asks the packs has them all.
    let degraded = open_with(&store, true, false);
    assert!(degraded.unindexed_packs(Packs::All).unwrap().is_empty());
    let coverage = degraded.manifest_coverage().unwrap();
    assert!(coverage.is_complete() && coverage.snapshots.iter().count() == 2);
}

#[test]
fn packs_that_cannot_say_what_they_hold_may_hide_anything() {
    let (store, ..) = written();
    let digits = "0123456789abcdef0123456789abcdef";
    store.insert(format!("q{digits}-s99").parse().unwrap(), *b"cut off while it was written");
    store.insert(format!("p{digits}-s99").parse().unwrap(), Vec::new());
    // What other programs left beside them is no pack, whatever its name ends in.
    for other in ["pqr", "preadme", "q0123456789abcdef-s99", "notes", "me"] {
        store.insert(other.parse().unwrap(), *b"a file of somebody");
    }
    let repository = open(store.clone());
    let found = repository.unindexed_packs(Packs::All).unwrap();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|pack| pack.error.is_some() && pack.may_hide(Some('m')) && !pack.session_open));
    let coverage = repository.manifest_coverage().unwrap();
    assert_eq!((coverage.is_complete(), coverage.hiding.len()), (false, 1), "manifests lie in q packs");
    // The session that writes them has not ended.
    store.insert("s5555-s99".parse().unwrap(), *b"a marker");
    assert!(repository.unindexed_packs(Packs::All).unwrap().iter().all(|pack| pack.session_open));
    store.remove(&"s5555-s99".parse().unwrap());
    store.insert("s5555-s98".parse().unwrap(), *b"a marker of another");
    assert!(!repository.unindexed_packs(Packs::All).unwrap()[0].session_open);
}

#[test]
fn packs_that_vanish_before_they_are_asked_are_none_and_those_that_cannot_be_read_are_told() {
    let (store, ..) = written();
    let password = Password::from(PASSWORD);
    let [pack, metadata] = ["p", "q"].map(|prefix| ids(&store, prefix).remove(0));
    let vanished = FaultyStore::new(store.clone()).missing([pack, metadata]);
    let degraded = Repository::open_degraded(vanished, &password).unwrap();
    assert!(degraded.losses().is_empty(), "{:?}", degraded.losses());
    let whole = Arc::new(FaultyStore::new(store.clone()));
    open(whole.clone());
    // Of a degraded opening, what comes now are the reads of packs.
    let bad = || FaultyStore::new(store.clone()).after(whole.reads()).fail_every(1);
    let degraded = Repository::open_degraded(bad(), &password).unwrap();
    let packs = ids(&store, "p").len() + ids(&store, "q").len();
    let words: Vec<_> = degraded.losses().iter().map(Unreadable::word).collect();
    assert_eq!(words, vec!["pack"; packs]);
    // The same of a pack that no index names.
    let id: BlobId = "q0123456789abcdef0123456789abcdef-s99".parse().unwrap();
    store.insert(id.clone(), *b"nobody asks what it is");
    let unindexed = |store: FaultyStore<MemoryStore>| open(store).unindexed_packs(Packs::All).unwrap();
    assert!(unindexed(FaultyStore::new(store.clone()).missing([id.clone()])).is_empty());
    let found = unindexed(bad());
    assert_eq!(names(&found), [id]);
    assert!(found[0].error.as_ref().unwrap().storage_kind().is_some() && found[0].may_hide(Some('m')));
}

#[test]
fn packs_that_cannot_be_listed_are_said_and_end_nothing() {
    let (store, ..) = written();
    for prefix in ["p", "q"] {
        let unlisted = FaultyStore::new(store.clone()).unlisted(prefix);
        let report = open(unlisted).verify(&verify::Options::default(), &()).unwrap();
        assert!(report.unsearched.is_some() && !report.is_sound());
        assert_eq!((report.contents.verified, report.damage_count), (report.contents.of, 0));
        let unlisted = FaultyStore::new(store.clone()).unlisted(prefix);
        let degraded = Repository::open_degraded(unlisted, &Password::from(PASSWORD)).unwrap();
        let [loss] = degraded.losses() else { panic!("{:?}", degraded.losses()) };
        let expected = format!("all packs whose names begin with {prefix}: ");
        assert!(loss.to_string().starts_with(&expected) && loss.word() == "pack_list", "{loss}");
        assert_eq!(degraded.snapshots().unwrap().iter().count(), 2);
        assert!(!degraded.refresh().unwrap(), "it lacks the same as before");
    }
}

#[test]
fn packs_that_come_later_are_found_though_no_index_blob_names_them() {
    let (store, ..) = written();
    store.remove(&ids(&store, "x")[0]).unwrap();
    let pack = ids(&store, "p")[0].clone();
    let bytes = store.remove(&pack).unwrap();
    let degraded = open_with(&store, true, false);
    let count = || {
        let mut count = 0;
        degraded.contents().for_each(|_, _| count += 1);
        count
    };
    let before = count();
    assert!(!degraded.refresh().unwrap(), "nothing has come yet");
    store.insert(pack, bytes);
    assert!(degraded.refresh().unwrap());
    assert_eq!(count(), before + 1);
}

#[test]
fn what_is_written_and_indexed_meanwhile_is_no_surprise() {
    let (store, mut living, [first, _]) = written();
    let repository = open(store.clone());
    // New packs and an index for them; the old packs are still there, and nobody names them any more.
    let mut rewritten = living.rewrite();
    let old_packs = rewritten.removed.split_off(1);
    apply(&store, rewritten);
    let found = repository.unindexed_packs(Packs::All).unwrap();
    assert_eq!(found.len(), old_packs.len());
    // Everything that the old ones hold is in the index at its new place.
    assert!(found.iter().all(|pack| !pack.may_hide(Some('m')) && !pack.may_hide(None)));
    assert!(repository.manifest_coverage().unwrap().is_complete());
    // A snapshot that is deleted meanwhile is missing in the list that coverage is said of.
    apply(&store, living.delete_snapshot(&first));
    let coverage = repository.manifest_coverage().unwrap();
    assert!(coverage.is_complete());
    assert_eq!(coverage.snapshots.iter().count(), 1);
}

#[test]
fn packs_that_are_written_meanwhile_are_not_missing() {
    let (store, mut living, _) = written();
    let [first, second] = [living.rewrite(), living.rewrite()];
    let counting = Arc::new(ChangingStore::new(store.clone()));
    open(counting.clone());
    let opening = counting.calls();
    let change = |change: Change| {
        let store = store.clone();
        move || apply(&store, change)
    };
    // Packs are listed, p and q; then the indexes, as packs that they need are gone: by then these are gone
    // as well.
    let changing = ChangingStore::new(store.clone())
        .before_call(opening + 1, change(first))
        .before_call(opening + 3, change(second));
    assert_eq!(open(changing).missing_packs().unwrap(), []);
    // Nor is a pack there, or missing, of which the store cannot say so for now.
    let [third, fourth] = [living.rewrite(), living.rewrite()];
    let counting = Arc::new(ChangingStore::new(store.clone()));
    open(counting.clone());
    let changing = ChangingStore::new(store.clone())
        .before_call(counting.calls() + 1, change(third))
        .before_call(counting.calls() + 3, change(fourth));
    let busy = FaultyStore::new(changing).unmeasured().because(std::io::ErrorKind::TimedOut);
    let error = open(busy).missing_packs().unwrap_err();
    assert_eq!(error.storage_kind(), Some(kopia_storage::ErrorKind::TryAgain), "{error}");
    let lost = ids(&store, "p")[0].clone();
    store.remove(&lost).unwrap();
    let missing = open(store).missing_packs().unwrap();
    assert_eq!(missing.iter().map(|pack| &pack.id).collect::<Vec<_>>(), [&lost]);
}

#[test]
fn a_list_that_lacks_something_is_not_whole() {
    let (store, ..) = written();
    let index = ids(&store, "x")[0].clone();
    let bytes = store.read(&index).unwrap();
    store.insert(index.clone(), bytes[..50].to_vec());
    let coverage = open_with(&store, true, false).manifest_coverage().unwrap();
    assert_eq!((coverage.is_complete(), coverage.lost_indexes.len()), (false, 1));
    assert_eq!(coverage.snapshots.iter().count(), 2, "nothing is missing, but nobody knows");
    store.insert(index, bytes);
    // A pack of files that does not say what it holds is lost to recovery, and has no manifests.
    let pack = ids(&store, "p")[0].clone();
    let longer = [&store.read(&pack).unwrap()[..], b"something behind it"].concat();
    store.insert(pack, longer);
    let degraded = open_with(&store, true, false);
    assert_eq!(degraded.losses().len(), 1);
    assert!(degraded.manifest_coverage().unwrap().is_complete());
    // A manifest that cannot be read.
    let mut manifest = None;
    degraded.contents().for_each(|id, place| {
        if id.prefix() == Some('m') {
            manifest = Some(degraded.contents().origin(&place).blob);
        }
    });
    store.remove(&manifest.unwrap()).unwrap();
    let coverage = open_with(&store, true, false).manifest_coverage().unwrap();
    assert_eq!((coverage.is_complete(), coverage.snapshots.lost().len()), (false, 1));
    assert!(open(store).manifest_coverage().is_err());
}

#[test]
fn epochs_without_index_blobs_are_said_without_being_asked_for() {
    let (store, ..) = written();
    assert!(open(store.clone()).losses().is_empty());
    store.insert(BlobId::new("xe2").unwrap(), Vec::new());
    for degraded in [false, true] {
        let repository = open_with(&store, degraded, false);
        assert!(matches!(repository.lost_indexes(), [Unreadable::MissingEpochs(1, 1)]));
        let [loss] = repository.losses() else { panic!("{:?}", repository.losses()) };
        assert_eq!(loss.to_string(), "all index blobs of epoch 1: there is none");
        assert_eq!((loss.word(), loss.blob_id(), loss.error().is_none()), ("missing_epochs", None, true));
        let coverage = repository.manifest_coverage().unwrap();
        assert_eq!((coverage.is_complete(), coverage.snapshots.iter().count()), (false, 2));
    }
    store.insert(BlobId::new("xe4").unwrap(), Vec::new());
    let said = open(store.clone()).losses()[0].to_string();
    assert_eq!(said, "all index blobs of epochs 1 to 3: there is none");
    // Without any at all nothing more is said of epochs.
    ids(&store, "xn").iter().for_each(|index| drop(store.remove(index)));
    let degraded = open_with(&store, true, false);
    assert_eq!(degraded.losses().iter().map(Unreadable::word).collect::<Vec<_>>(), ["no_index_blobs"]);
}

#[test]
fn an_epoch_that_is_there_when_looked_for_again_is_not_missing() {
    let (store, ..) = written();
    let index = ids(&store, "xn")[0].clone();
    let renamed = |prefix| BlobId::new(&index.as_str().replacen("xn0_", prefix, 1)).unwrap();
    let bytes = store.read(&index).unwrap();
    store.insert(BlobId::new("xe2").unwrap(), Vec::new());
    store.insert(renamed("xn1_"), bytes.clone());
    let compacted = renamed("xs0_");
    let counting = Arc::new(ChangingStore::new(store.clone()));
    open(counting.clone());
    // Listed before the compaction was written, and looked for after it was replaced.
    store.remove(&index).unwrap();
    let (at, replaced) = (counting.calls(), store.clone());
    let changing = ChangingStore::new(store).before_call(at, move || {
        replaced.insert(compacted, bytes);
    });
    assert!(open(changing).losses().is_empty());
}

#[test]
fn deleted_snapshots_come_back_where_that_is_asked_for() {
    let (store, mut living, [first, second]) = written();
    apply(&store, living.delete_snapshot(&first));
    let kept = [(second.clone(), false)];
    let both = [(first.clone(), true), (second.clone(), false)];
    for degraded in [false, true] {
        assert_eq!(snapshots(&open_with(&store, degraded, false)), kept);
        assert_eq!(snapshots(&open_with(&store, degraded, true)), both, "it has a tombstone");
    }
    // Manifests are compacted: the tombstone is gone, and the old list is marked deleted; then everything of
    // the first is.
    apply(&store, living.compact_manifests(|id| id == second));
    let file =
        open(store.clone()).snapshots().unwrap().iter().next().unwrap().root().unwrap().object().content();
    apply(&store, living.mark_deleted(|id| id.prefix() == Some('k') && *id != file));
    assert_eq!(snapshots(&open_with(&store, true, false)), kept);
    assert_eq!(snapshots(&open_with(&store, true, true)), both);
    // Long ago: no index says any more that they were there.
    apply(&store, living.forget_deleted());
    assert_eq!(snapshots(&open_with(&store, false, false)), kept);
    let deleted = open_with(&store, true, true);
    assert_eq!(snapshots(&deleted), both);
    let old =
        deleted.snapshots().unwrap().iter().find(|snapshot| snapshot.is_deleted()).unwrap().root().unwrap();
    let entry = old.at("f").unwrap();
    assert_eq!(deleted.read_object(entry.object()).unwrap(), b"first");
    assert!(deleted.verify(&verify::Options::default(), &()).unwrap().is_sound());
    // The newest that is not deleted counts, and a deleted one where there is no other.
    assert_eq!(deleted.snapshots().unwrap().latest(&"app@host:/data".parse().unwrap()).unwrap().id(), second);
    apply(&store, living.delete_snapshot(&second));
    let deleted = open_with(&store, true, true);
    assert_eq!(snapshots(&deleted), [(first.clone(), true), (second.clone(), true)]);
    assert_eq!(deleted.snapshots().unwrap().latest(&"app@host:/data".parse().unwrap()).unwrap().id(), second);
    // Their packs are removed at last: nothing is said of what was deleted on purpose.
    apply(&store, living.collect_garbage());
    let deleted = open_with(&store, false, true);
    assert_eq!(snapshots(&deleted), [(second, true)]);
}

/// The newest index blob has not arrived, and with it the newer of two snapshots.
fn newest_index_lost() -> MemoryStore {
    let folder = kopia_testkit::faults::repository("index-newest-lost");
    let store = kopia_storage::FilesystemStore::open(folder).unwrap();
    store.list("").unwrap().into_iter().map(|blob| (blob.id.clone(), store.read(&blob.id).unwrap())).collect()
}

fn open_fault(store: &MemoryStore, degraded: bool) -> Repository {
    let password = Password::from(kopia_testkit::faults::PASSWORD);
    let open = if degraded { Repository::open_degraded } else { Repository::open };
    open(store.clone(), &password).unwrap()
}

#[test]
fn a_hidden_manifest_that_is_too_large_hides_no_others() {
    let mut writer = RepositoryWriter::new();
    let root = json!({"name": "data", "type": "d", "mode": "0755", "obj": writer.directory(&[])});
    let source = json!({"host": "host", "userName": "app", "path": "/data"});
    writer.manifest(json!({
        "source": source,
        "description": "A".repeat(1 << 20),
        "startTime": "2026-01-01T00:00:30Z",
        "endTime": "2026-01-01T00:00:30Z",
        "rootEntry": root,
    }));
    let readable = writer.snapshot("app@host:/data", root);
    assert_hidden_beside_unread(writer, &readable);
}

#[test]
fn hidden_manifests_that_cannot_be_read_hide_no_others() {
    let (writer, readable) = among_lists_that_are_none();
    assert_hidden_beside_unread(writer, &readable);
}

/// A snapshot in a pack of many lists, of which some come before its own, and some after it.
fn among_lists_that_are_none() -> (RepositoryWriter, String) {
    let mut writer = RepositoryWriter::new();
    let root = json!({"name": "data", "type": "d", "mode": "0755", "obj": writer.directory(&[])});
    for number in 0..16 {
        writer.content(Some('m'), format!("no list {number}").as_bytes());
    }
    let readable = writer.snapshot("app@host:/data", root);
    (writer, readable)
}

/// What a writer wrote, but for the index blob.
fn index_lost(writer: RepositoryWriter) -> MemoryStore {
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    let lost = ids(&store, "x").remove(0);
    // Another index blob is left, which knows of other packs; without packs of files, theirs had the same names.
    let mut other = RepositoryWriter::new().pack_size(1);
    other.file(b"another");
    for (name, bytes) in other.finish().into_iter().filter(|(name, _)| name.starts_with(['q', 'x'])) {
        store.insert(name.parse().unwrap(), bytes);
    }
    store.remove(&lost).unwrap();
    store
}

/// Asserts that without the index blob one snapshot is known to be hidden, and that others may be in its pack.
fn assert_hidden_beside_unread(writer: RepositoryWriter, readable: &str) {
    let coverage = open(index_lost(writer)).manifest_coverage().unwrap();
    let hidden: Vec<_> = coverage.hidden.iter().map(|hidden| &*hidden.id).collect();
    assert_eq!(hidden, [readable]);
    // It may be the newest of any source.
    assert_eq!(coverage.unread, [coverage.hidden[0].pack.clone()]);
    assert!(!coverage.is_complete_for(&"other@host:/data".parse().unwrap()));
}

#[test]
fn a_store_that_cannot_be_asked_is_not_asked_for_the_next_list_of_a_pack() {
    let store = index_lost(among_lists_that_are_none().0);
    let whole = Arc::new(FaultyStore::new(store.clone()));
    let repository = open(whole.clone());
    let pack = repository.manifest_coverage().unwrap().hidden.remove(0).pack;
    // The last reads of all are those of the lists.
    let reads = whole.reads();
    let contents = repository.contents_of_pack(&pack).unwrap();
    let lists = contents.iter().filter(|content| content.prefix() == Some('m')).count() as u64;
    assert!(lists > 16);
    for (kind, asked) in [
        (std::io::ErrorKind::TimedOut, 1),
        (std::io::ErrorKind::PermissionDenied, 1),
        // A bad sector.
        (std::io::ErrorKind::Other, lists),
    ] {
        let failing = FaultyStore::new(store.clone()).after(reads - lists).fail_every(1).because(kind);
        let failing = Arc::new(failing);
        let coverage = open(failing.clone()).manifest_coverage().unwrap();
        assert_eq!(failing.reads() - (reads - lists), asked, "{kind}");
        assert_eq!((coverage.hidden.len(), coverage.unread), (0, vec![pack.clone()]), "{kind}");
    }
}

#[test]
fn a_hidden_snapshot_is_known_by_its_manifest() {
    let store = newest_index_lost();
    let repository = open_fault(&store, false);
    let coverage = repository.manifest_coverage().unwrap();
    let [listed] = &coverage.snapshots.iter().collect::<Vec<_>>()[..] else { panic!("one is listed") };
    let [hidden] = &coverage.hidden[..] else { panic!("{:?}", coverage.hidden) };
    assert_eq!(&hidden.source, listed.source());
    assert!(hidden.start_time > listed.start_time() && !hidden.is_incomplete && !hidden.is_expected);
    assert_eq!(coverage.unread, []);
    assert!(!coverage.is_complete() && !coverage.is_complete_for(&hidden.source));
    let report = repository.verify(&verify::Options::default(), &()).unwrap();
    let unexpected: Vec<_> = report.unexpected().map(|pack| pack.id.clone()).collect();
    assert!(
        !report.is_sound() && unexpected.len() == 2 && unexpected.contains(&hidden.pack),
        "{unexpected:?}"
    );
    // Degraded, it is in the list, and nothing is left to say.
    let degraded = open_fault(&store, true).manifest_coverage().unwrap();
    assert!(degraded.snapshots.iter().any(|snapshot| snapshot.id() == hidden.id));
    assert!(degraded.is_complete() && degraded.hidden.is_empty());
}

#[test]
fn what_hides_in_a_sound_repository_is_expected() {
    let hidden = open_fault(&newest_index_lost(), false).manifest_coverage().unwrap().hidden.remove(0);
    let is_expected = |name: &str| {
        let store = newest_index_lost();
        store.insert(name.parse().unwrap(), Vec::new());
        let repository = open_fault(&store, false);
        let coverage = repository.manifest_coverage().unwrap();
        let report = repository.verify(&verify::Options::default(), &()).unwrap();
        assert_eq!(report.is_sound(), coverage.hidden[0].is_expected, "{name}");
        assert!(!coverage.is_complete(), "expected or not, it is not in the list");
        report.is_sound()
    };
    // A backup that is running, or was cut off.
    let (_, session) = hidden.pack.as_str().split_once('-').unwrap();
    assert!(is_expected(&format!("s0123456789abcdef0123456789abcdef-{session}")));
    assert!(!is_expected("s0123456789abcdef0123456789abcdef-sffff"));
    // What was deleted by then leaves the indexes before its packs are removed.
    let seconds = hidden.start_time.seconds();
    assert!(is_expected(&format!("xw{}", seconds + 3600)));
    assert!(!is_expected(&format!("xw{}", seconds - 3600)));
}

#[test]
fn a_pack_that_hides_nobody_knows_what() {
    let store = newest_index_lost();
    let pack = open_fault(&store, false).manifest_coverage().unwrap().hidden.remove(0).pack;
    let bytes = store.read(&pack).unwrap();
    store.insert(pack.clone(), bytes[..bytes.len() - 1].to_vec());
    for degraded in [false, true] {
        let coverage = open_fault(&store, degraded).manifest_coverage().unwrap();
        assert_eq!(coverage.unread, std::slice::from_ref(&pack));
        assert_eq!(coverage.unread_unexpectedly().collect::<Vec<_>>(), [&pack]);
        assert!(coverage.hidden.is_empty() && !coverage.is_complete());
        assert!(!coverage.is_complete_for(&"any@host:/at/all".parse().unwrap()));
    }
    // Its manifest is damaged, and it says what it holds.
    let contents = open_fault(&newest_index_lost(), true);
    let mut place = None;
    contents.contents().for_each(|id, found| {
        let origin = contents.contents().origin(&found);
        if id.prefix() == Some('m') && origin.blob == pack {
            place = Some(origin);
        }
    });
    let mut damaged = bytes;
    damaged[place.unwrap().offset as usize] ^= 1;
    store.insert(pack.clone(), damaged);
    assert_eq!(open_fault(&store, false).manifest_coverage().unwrap().unread, [pack]);
}

#[test]
fn a_repository_of_which_little_was_copied_is_incomplete() {
    let lacks = |store: &MemoryStore, degraded: bool| {
        let mut options = OpenOptions::default();
        options.degraded = degraded;
        match Repository::open_with(store.clone(), &Password::from(PASSWORD), &options) {
            Err(kopia_repository::Error::Incomplete { lacks, .. }) => Some(lacks),
            Err(error) => panic!("{error}"),
            Ok(_) => None,
        }
    };
    let (store, ..) = written();
    store.remove(&ids(&store, "x")[0]).unwrap();
    assert_eq!(lacks(&store, false), Some("index blobs"));
    assert_eq!(lacks(&store, true), None, "packs know what they hold");
    let degraded = open_with(&store, true, false);
    assert!(matches!(degraded.losses(), [Unreadable::NoIndexBlobs]), "{:?}", degraded.losses());
    assert_eq!(degraded.losses()[0].to_string(), "all index blobs: there is none");
    ids(&store, "q").iter().chain(&ids(&store, "p")).for_each(|pack| drop(store.remove(pack).unwrap()));
    assert_eq!(lacks(&store, false), Some("index blobs"));
    assert_eq!(lacks(&store, true), Some("index blobs and no packs"));
}

#[test]
fn ids_of_contents_of_a_pack_that_is_not_there() {
    let (store, ..) = written();
    let repository = open(store);
    assert!(repository.contents_of_pack(&"q0".parse().unwrap()).is_err());
    let id: ContentId = "k00".parse().unwrap();
    assert!(repository.contents().locate(&id).is_err());
}

#[test]
fn a_pack_that_vanishes_hides_nothing_and_one_that_cannot_be_read_may() {
    let password = Password::from(kopia_testkit::faults::PASSWORD);
    let coverage =
        |store: Arc<dyn BlobStore>| Repository::open(store, &password).unwrap().manifest_coverage().unwrap();
    let store = newest_index_lost();
    let calls = Arc::new(ChangingStore::new(store.clone()));
    let pack = coverage(calls.clone()).hidden[0].pack.clone();
    // The last read of all is that of a manifest.
    let (changed, gone) = (store.clone(), pack.clone());
    let changing =
        ChangingStore::new(store.clone()).before_call(calls.calls(), move || drop(changed.remove(&gone)));
    let found = coverage(Arc::new(changing));
    assert_eq!((found.hidden.len(), found.unread), (0, Vec::new()));

    let store = newest_index_lost();
    let reads = Arc::new(FaultyStore::new(store.clone()));
    coverage(reads.clone());
    let found = coverage(Arc::new(FaultyStore::new(store).after(reads.reads() - 1).fail_every(1)));
    assert_eq!((found.hidden.len(), found.unread), (0, vec![pack]));
}
