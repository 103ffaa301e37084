//! What verifying finds, and what it says is lost.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::sync::{Arc, Mutex};

use kopia_codec::key::Password;
use kopia_format::{BlobId, Timestamp};
use kopia_repository::choice::Choice;
use kopia_repository::usage::{metadata_packs, stored};
use kopia_repository::verify::{
    AffectedEntry, Coverage, History, Observer, Options, Part, Rotation, Subject,
};
use kopia_repository::{Defect, Repository, Shard, Snapshot};
use kopia_storage::MemoryStore;
use kopia_storage::testing::CountingStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter, gzip};
use serde_json::{Value, json};

fn entry(name: &str, kind: &str, object: &str) -> Value {
    json!({"name": name, "type": kind, "mode": "0755", "mtime": "2020-01-02T03:04:05Z", "obj": object})
}

fn file(name: &str, object: &str, size: usize) -> Value {
    let mut file = entry(name, "f", object);
    file["size"] = json!(size);
    file
}

/// Two snapshots of a source: the folder `same` is in both, `a` only in the first, and a file of several
/// pieces only in the second. Each file's content has a pack of its own.
fn blobs() -> MemoryStore {
    let mut writer = RepositoryWriter::new().piece_size(1000).pack_size(1);
    let inner: Vec<_> =
        (0..5u8).map(|number| file(&format!("f{number}"), &writer.file(&[number; 500]), 500)).collect();
    let same = writer.directory(&inner);
    let a = file("a", &writer.file(b"only in the first"), 17);
    let large: Vec<u8> = (10..15u8).flat_map(|number| [number; 1000]).collect();
    let b = file("b", &writer.file(&large), 5000);
    for extra in [a, b] {
        let root = writer.directory(&[entry("same", "d", &same), extra]);
        writer.snapshot("app@host:/data", entry("data", "d", &root));
    }
    writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob)).collect()
}

fn open(store: MemoryStore) -> Repository {
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

/// The pack of the content with these plain bytes.
fn pack_of(store: &MemoryStore, plain: &[u8]) -> BlobId {
    let repository = open(store.clone());
    let mut found = None;
    repository.contents().for_each(|id, place| {
        if repository.contents().read(&id).is_ok_and(|bytes| bytes == plain) {
            found = Some(repository.contents().origin(&place).blob);
        }
    });
    found.unwrap()
}

fn affected(report: &kopia_repository::verify::Report) -> Vec<String> {
    let mut paths: Vec<_> = report.affected.iter().map(|entry| entry.path.clone()).collect();
    paths.sort();
    paths
}

#[test]
fn a_sound_repository_is_covered_exactly_and_read_once() {
    let store = Arc::new(CountingStore::new(blobs()));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    store.take();
    let report = repository.verify(&Options::default(), &()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let contents = repository.status().unwrap().contents;
    assert_eq!(report.contents, Coverage { verified: contents, of: contents });
    assert_eq!(report.packs.verified, report.packs.of);
    assert_eq!(report.stored_bytes.verified, report.stored_bytes.of);
    assert_eq!((report.directories, report.files), (3, 7), "what both snapshots share counts once");
    let ranges = store.take().ranges;
    let mut packs: Vec<_> =
        ranges.iter().map(|read| &read.blob).filter(|blob| blob.as_str().starts_with('p')).collect();
    let reads = packs.len();
    packs.sort();
    packs.dedup();
    assert_eq!(reads, packs.len(), "each pack of files is read once");
}

#[test]
fn shards_make_up_the_whole() {
    let repository = open(blobs());
    let of = repository.verify(&Options::default(), &()).unwrap();
    let mut verified = (0, 0, 0);
    for number in 0..4 {
        let mut options = Options::default();
        options.part = Part { shard: Shard::new(number, 4).unwrap(), percent: None };
        let report = repository.verify(&options, &()).unwrap();
        assert_eq!((report.contents.of, report.packs.of), (of.contents.of, of.packs.of));
        verified.0 += report.contents.verified;
        verified.1 += report.packs.verified;
        verified.2 += report.plain_bytes;
    }
    assert_eq!(verified, (of.contents.of, of.packs.of, of.plain_bytes));
    let mut options = Options::default();
    options.part.percent = Some(50.0);
    let half = repository.verify(&options, &()).unwrap();
    assert_eq!(half.packs.verified, half.packs.of.div_ceil(2));
}

#[test]
fn damage_is_told_with_every_path_that_it_costs() {
    for damage in ["flip", "delete", "cut"] {
        let store = blobs();
        let pack = pack_of(&store, &[3; 500]);
        let mut bytes = store.remove(&pack).unwrap().to_vec();
        match damage {
            "flip" => {
                bytes[40] ^= 1;
                store.insert(pack.clone(), bytes);
            }
            "cut" => store.insert(pack.clone(), bytes[..100].to_vec()),
            _ => {}
        }
        let repository = open(store);
        let report = repository.verify(&Options::default(), &()).unwrap();
        assert_eq!(report.damage_count, 1, "{damage}: {report:?}");
        assert_eq!((&report.damage[0].pack, report.damage[0].offset), (&pack, 32));
        assert!(report.damage[0].error.to_string().contains(pack.as_str()), "{damage}");
        assert_eq!(affected(&report), ["same/f3", "same/f3"], "{damage}: in both snapshots");
        let ids: std::collections::HashSet<_> =
            report.affected.iter().map(|entry| entry.snapshot.as_ref().unwrap().id().to_string()).collect();
        assert_eq!(ids.len(), 2);
        let reason = &report.affected[0].reason;
        assert!(reason.to_string().contains(pack.as_str()), "{reason:?}");
        let word = match damage {
            "flip" => "corrupt_content",
            "cut" => "truncated_blob",
            _ => "missing_blob",
        };
        assert_eq!((reason.word(), reason.blob_id(), reason.offset()), (word, Some(&pack), Some(32)));
        assert_eq!(reason.content_id(), Some(report.damage[0].content));
    }
}

#[test]
fn a_lost_piece_costs_its_file_and_a_lost_folder_all_below() {
    let store = blobs();
    store.remove(&pack_of(&store, &[12; 1000]));
    let report = open(store).verify(&Options::default(), &()).unwrap();
    assert_eq!((report.damage_count, affected(&report)), (1, vec!["b".to_string()]));

    // Folders lie in packs whose names begin with q.
    let store = blobs();
    let repository = open(store.clone());
    let snapshots = repository.snapshots().unwrap();
    let root = snapshots.iter().next().unwrap().root().unwrap();
    let same = root.at("same").unwrap().object();
    let place = repository.contents().locate(&same.content()).unwrap();
    store.remove(&repository.contents().origin(&place).blob);
    let report = open(store).verify(&Options::default(), &()).unwrap();
    assert_eq!(affected(&report), ["same", "same"]);
}

/// A snapshot taken while kopia's garbage collection runs may need what that marks deleted.
#[test]
fn what_a_snapshot_needs_is_read_although_it_is_marked_deleted() {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let entries = ["needed", "too"].map(|name| file(name, &writer.file(name.as_bytes()), name.len()));
    let unneeded = writer.content(None, b"of no snapshot");
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let needed: kopia_format::ContentId = entries[0]["obj"].as_str().unwrap().parse().unwrap();
    let blobs = writer.finish_changed(|live| live.mark_deleted(|id| [needed, unneeded].contains(id)));
    let store: MemoryStore = blobs.into_iter().map(|(name, blob)| (name.parse().unwrap(), blob)).collect();

    let report = open(store.clone()).verify(&Options::default(), &()).unwrap();
    // Two files, their folder, and the manifest.
    assert_eq!(report.contents, Coverage { verified: 4, of: 4 });
    assert_eq!((report.is_sound(), report.needed_deleted_count), (true, 1));

    let pack = pack_of(&store, b"needed");
    let sound = store.remove(&pack).unwrap().to_vec();
    let mut bytes = sound.clone();
    bytes[40] ^= 1;
    for damaged in [Some(bytes), None] {
        damaged.into_iter().for_each(|bytes| store.insert(pack.clone(), bytes));
        let repository = open(store.clone());
        let report = repository.verify(&Options::default(), &()).unwrap();
        assert_eq!((report.damage_count, affected(&report)), (1, vec!["needed".to_owned()]));
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        let of_root = repository.verify_entry(None, &root, &Options::default(), &()).unwrap();
        assert_eq!((of_root.damage_count, of_root.needed_deleted_count), (1, 1));
        let mut options = Options::default();
        options.rotation =
            Some(Rotation::new(1, Timestamp::new(1_800_000_000, 0).unwrap(), History::default()));
        let rotated = repository.verify(&options, &()).unwrap().rotated.unwrap();
        assert_eq!((rotated.standing.damaged, rotated.standing.since), (1, None), "it is not restorable");
        drop(store.remove(&pack));
    }
    store.insert(pack, sound);
    assert!(open(store).verify(&Options::default(), &()).unwrap().is_sound());
}

#[test]
fn files_without_bytes_are_never_lost() {
    let mut writer = RepositoryWriter::new();
    let object = writer.file(b"");
    let root = writer.directory(&[entry("empty", "f", &object)]);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store: MemoryStore = blobs.collect();
    store.remove(&pack_of(&store, b""));
    let report = open(store).verify(&Options::default(), &()).unwrap();
    assert_eq!((report.damage_count, report.affected_count), (1, 0), "{report:?}");
}

#[test]
fn one_entry_is_verified_by_itself() {
    let store = blobs();
    store.remove(&pack_of(&store, b"only in the first"));
    let repository = open(store);
    let snapshots = repository.snapshots().unwrap();
    for snapshot in &snapshots {
        let root = snapshot.root().unwrap();
        let same = root.at("same").unwrap();
        let report = repository.verify_entry(Some(snapshot), &same, &Options::default(), &()).unwrap();
        assert!(report.is_sound(), "{report:?}");
        // Five files and the folder itself.
        assert_eq!(report.contents, Coverage { verified: 6, of: 6 });
        let whole = repository.verify_entry(Some(snapshot), &root, &Options::default(), &()).unwrap();
        let has_a = root.at("a").is_ok();
        assert_eq!(whole.is_sound(), !has_a);
        assert_eq!(affected(&whole), if has_a { vec!["a"] } else { vec![] });
    }
}

#[test]
fn several_entries_are_verified_together_each_content_once() {
    let store = blobs();
    store.remove(&pack_of(&store, b"only in the first"));
    let store = Arc::new(CountingStore::new(store));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let snapshots = repository.snapshots().unwrap();
    let subject = |snapshot: &Snapshot, path: &str| Subject {
        snapshot: Some(snapshot.clone()),
        entry: snapshot.root().unwrap().at(path).unwrap(),
        path: path.into(),
    };
    let subjects: Vec<_> = snapshots
        .iter()
        .flat_map(|snapshot| {
            let extra = if snapshot.root().unwrap().at("a").is_ok() { "a" } else { "b" };
            [subject(snapshot, "same"), subject(snapshot, extra)]
        })
        .collect();
    store.take();
    let report = repository.verify_entries(&subjects, &Options::default(), &()).unwrap();
    // The folder and its five files, `a`, and the five pieces of `b` with their list.
    assert_eq!(report.contents, Coverage { verified: 13, of: 13 });
    assert_eq!((affected(&report), report.affected_count), (vec!["a".to_owned()], 1));
    // In a folder, the path is that below the root of the snapshot.
    let snapshot = snapshots.iter().find(|snapshot| snapshot.root().unwrap().at("a").is_ok()).unwrap();
    let root = Subject { path: "in/a folder".into(), ..subject(snapshot, "") };
    let report = repository.verify_entries(&[root], &Options::default(), &()).unwrap();
    assert_eq!(affected(&report), ["in/a folder/a"]);
}

#[test]
fn a_content_with_another_hash_is_found() {
    let mut writer = RepositoryWriter::new();
    writer.forge("0123456789abcdef0123456789abcdef".parse().unwrap(), b"something else");
    let root = writer.directory(&[file("forged", "0123456789abcdef0123456789abcdef", 14)]);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let report = open(blobs.collect()).verify(&Options::default(), &()).unwrap();
    assert_eq!((report.damage_count, affected(&report)), (1, vec!["forged".to_string()]));
    assert!(report.damage[0].error.to_string().contains("its hash is not its id"));
}

#[test]
fn folders_that_contain_themselves_or_cannot_be_parsed_end() {
    let mut writer = RepositoryWriter::new();
    let own: kopia_format::ContentId = "k0123456789abcdef0123456789abcdef".parse().unwrap();
    let json = json!({"stream": "kopia:directory", "entries": [entry("again", "d", &own.to_string())], "summary": null});
    writer.forge(own, json.to_string().as_bytes());
    let nonsense = writer.content(Some('k'), b"no folder");
    let missing = "kffffffffffffffffffffffffffffffff";
    let root = writer.directory(&[
        entry("self", "d", &own.to_string()),
        entry("nonsense", "d", &nonsense.to_string()),
        entry("missing", "d", missing),
        entry("../outside", "f", missing),
    ]);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let report = open(blobs.collect()).verify(&Options::default(), &()).unwrap();
    assert_eq!(affected(&report), ["../outside", "missing", "nonsense", "self", "self/again"]);
    let mut words: Vec<_> = report.affected.iter().map(|entry| (&*entry.path, entry.reason.word())).collect();
    words.sort_unstable();
    let wanted = [
        ("../outside", "name_dot_dot"),
        ("missing", "not_in_index"),
        ("nonsense", "corrupt_object"),
        ("self", "corrupt_content"),
        ("self/again", "corrupt_content"),
    ];
    assert_eq!(words, wanted);
}

#[test]
fn a_directory_that_contains_itself_and_has_names_that_lead_into_itself_ends() {
    let mut writer = RepositoryWriter::new();
    let own: kopia_format::ContentId = "k0123456789abcdef0123456789abcdef".parse().unwrap();
    let file = writer.file(b"f");
    let entries = [entry("again", "d", &own.to_string()), entry("again/f", "f", &file)];
    let json = json!({"stream": "kopia:directory", "entries": entries, "summary": null});
    writer.forge(own, json.to_string().as_bytes());
    let root = writer.directory(&[entry("self", "d", &own.to_string())]);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let report = open(blobs.collect()).verify(&Options::default(), &()).unwrap();
    assert_eq!(report.directories, 2, "each object once");
    assert!(affected(&report).contains(&"self/again".to_string()), "{:?}", affected(&report));
}

/// Verifies what a writer has written, and returns what is lost, as people read it.
fn said(writer: RepositoryWriter) -> Vec<String> {
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let report = open(blobs.collect()).verify(&Options::default(), &()).unwrap();
    assert_eq!((report.damage_count, report.affected_count), (0, report.affected.len() as u64));
    assert_eq!(report.is_sound(), report.affected.is_empty());
    report.affected.iter().map(|entry| format!("{}: {}", entry.path, entry.reason)).collect()
}

#[test]
fn what_a_restore_would_refuse_is_lost() {
    let (mut writer, mut expected) = (RepositoryWriter::new().piece_size(500), Vec::new());
    let (hello, long) = (writer.file(b"hello"), writer.file(&[7; 1200]));
    let inner = writer.directory(&[file("x", &hello, 5)]);
    let targets = targets(&mut writer);
    let mut links: Vec<_> = targets.iter().map(|(name, object, _)| entry(name, "s", object)).collect();
    let entries = [
        entry("a", "d", &inner),
        entry("n", "d", &inner),
        file("../up", &hello, 5),
        file("a", &hello, 5),
        file("longer", &hello, 4),
        file("n/x", &hello, 5),
        file("shorter", &long, 1201),
        file("twice", &hello, 5),
        file("twice", &long, 1200),
        entry("way", "s", &long),
    ];
    links.extend(entries);
    let root = writer.directory(&links);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let doubled =
        "another entry of the folder has this name; only one of them is restored; its bytes are in object";
    for (path, why) in [
        ("../up", format!("would leave its folder; its bytes are in object {hello}")),
        ("a", format!("{doubled} {hello}")),
        ("longer", "it has 5 bytes, its entry says 4".into()),
        ("n/x", format!("{doubled} {hello}")),
        ("shorter", "it has 1200 bytes, its entry says 1201".into()),
        ("twice", format!("{doubled} {long}")),
        ("way", "it is a link whose target is too long".into()),
    ] {
        expected.push(format!("{path}: {why}"));
    }
    expected.extend(targets.iter().filter_map(|(name, _, why)| Some(format!("{name}: {}", why.as_ref()?))));
    expected.sort();
    let mut found = said(writer);
    found.sort();
    // Where names lead into folders, folders come last.
    assert_eq!(found, expected);
}

/// Targets of links, with names, and what a restore says of them.
fn targets(writer: &mut RepositoryWriter) -> Vec<(&'static str, String, Option<Defect>)> {
    let content = |writer: &mut RepositoryWriter, bytes: &[u8]| writer.content(None, bytes).to_string();
    let nul = content(writer, b"a\0b");
    vec![
        ("l", content(writer, b"where"), None),
        ("l empty", content(writer, b""), Some(Defect::LinkTarget)),
        ("l long", content(writer, &[b'x'; 4096]), Some(Defect::LongTarget)),
        ("l longest", content(writer, &[b'x'; 4095]), None),
        ("l nul", nul.clone(), Some(Defect::LinkTarget)),
        ("l nul in a list", list(writer, 3, &nul), Some(Defect::LinkTarget)),
        ("l packed", headed(writer, &gzip(b"there")), None),
        ("l packed empty", headed(writer, &gzip(b"")), Some(Defect::LinkTarget)),
        ("l packed long", headed(writer, &gzip(&[b'x'; 4096])), Some(Defect::LongTarget)),
        ("l packed nul", headed(writer, &gzip(b"a\0")), Some(Defect::LinkTarget)),
    ]
}

#[test]
fn each_target_of_a_link_is_noticed_by_itself() {
    for number in 0..targets(&mut RepositoryWriter::new()).len() {
        let mut writer = RepositoryWriter::new();
        let (name, object, why) = targets(&mut writer).swap_remove(number);
        let root = writer.directory(&[entry(name, "s", &object)]);
        writer.snapshot("app@host:/data", entry("data", "d", &root));
        let expected: Vec<_> = why.iter().map(|why| format!("{name}: {why}")).collect();
        assert_eq!(said(writer), expected);
    }
}

#[test]
fn each_of_them_is_noticed_by_itself() {
    for number in 0..7 {
        let mut writer = RepositoryWriter::new().piece_size(500);
        let (hello, long) = (writer.file(b"hello"), writer.file(&[7; 1200]));
        let inner = writer.directory(&[file("x", &hello, 5)]);
        let entries = [
            vec![file("../up", &hello, 5)],
            vec![file("longer", &hello, 4)],
            vec![file("shorter", &long, 1201)],
            // As many as the place of its last piece times its length.
            vec![file("product", &long, 1000 * 200)],
            vec![file("twice", &hello, 5), file("twice", &long, 1200)],
            vec![entry("way", "s", &long)],
            vec![entry("n", "d", &inner), file("n/x", &hello, 5)],
        ];
        let root = writer.directory(&entries[number]);
        writer.snapshot("app@host:/data", entry("data", "d", &root));
        assert_eq!(said(writer).len(), 1, "{:?}", entries[number]);
    }
    // A file and a folder of one name are no neighbours in kopia's order.
    let mut writer = RepositoryWriter::new();
    let (hello, inner) = (writer.file(b"hello"), writer.directory(&[]));
    let root = writer.directory(&[entry("n", "d", &inner), file("a", &hello, 5), file("n", &hello, 5)]);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    assert_eq!(said(writer).len(), 1);
}

/// Makes an object that is named by its compressed bytes; `packed` are those, without their header.
fn headed(writer: &mut RepositoryWriter, packed: &[u8]) -> String {
    let headed = [&0x1000_u32.to_be_bytes()[..], packed].concat();
    format!("Z{}", writer.content(None, &headed))
}

/// Makes an object of one piece, of which the list says this length.
fn list(writer: &mut RepositoryWriter, length: usize, piece: &str) -> String {
    let list = json!({"stream": "kopia:indirect", "entries": [{"l": length, "o": piece}]}).to_string();
    format!("I{}", writer.content(Some('x'), list.as_bytes()))
}

/// Files of which a restore says what stands beside them.
fn unfit(writer: &mut RepositoryWriter) -> Vec<(Value, Option<&'static str>)> {
    let hello = writer.file(b"hello");
    let whole = headed(writer, &gzip(b"whole"));
    let broken = headed(writer, b"no gzip at all");
    let short = headed(writer, &gzip(b"short"));
    let long = headed(writer, &gzip(b"long one"));
    let inner = list(writer, 5, &hello);
    vec![
        (file("broken", &broken, 6), Some("corrupt_object")),
        (entry("broken link", "s", &broken), Some("corrupt_object")),
        (file("entry", &whole, 4), Some("wrong_length")),
        (file("fits", &whole, 5), None),
        (file("fits in a list", &list(writer, 5, &whole), 5), None),
        (file("list", &list(writer, 6, &hello), 6), Some("wrong_content_length")),
        (file("long piece", &list(writer, 4, &long), 4), Some("corrupt_object")),
        (file("nested", &list(writer, 6, &inner), 6), Some("corrupt_object")),
        (file("short piece", &list(writer, 6, &short), 6), Some("wrong_content_length")),
    ]
}

/// Verifies a directory of these files, and returns which are affected, and the words for why.
fn affected_words(mut writer: RepositoryWriter, files: &[Value]) -> Vec<(String, &'static str)> {
    let root = writer.directory(files);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let report = open(blobs.collect()).verify(&Options::default(), &()).unwrap();
    assert_eq!(report.damage_count, 0, "each content is what was written");
    assert_eq!(report.is_sound(), report.affected.is_empty());
    report.affected.iter().map(|entry| (entry.path.clone(), entry.reason.word())).collect()
}

#[test]
fn contents_must_unpack_and_have_the_lengths_that_lists_say() {
    let of = |(file, word): (Value, Option<&'static str>)| Some((file["name"].as_str()?.to_owned(), word?));
    let mut writer = RepositoryWriter::new();
    let files = unfit(&mut writer);
    let all: Vec<_> = files.iter().map(|(file, _)| file.clone()).collect();
    let expected: Vec<_> = files.into_iter().filter_map(of).collect();
    assert_eq!(affected_words(writer, &all), expected);
    for number in 0..all.len() {
        let mut writer = RepositoryWriter::new();
        let one = unfit(&mut writer).swap_remove(number);
        let found = affected_words(writer, std::slice::from_ref(&one.0));
        assert_eq!(found, of(one).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn names_that_lead_into_folders_are_sound() {
    let mut writer = RepositoryWriter::new();
    let hello = writer.file(b"hello");
    let inner = writer.directory(&[file("x", &hello, 5)]);
    let entries = [entry("var", "d", &inner), file("/dev/sda", &hello, 5), file("var/lib/db.tar", &hello, 5)];
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    assert_eq!(said(writer), [""; 0]);
}

/// Names put entries into a directory, of which its object says nothing.
#[test]
fn an_entry_is_verified_by_itself_with_what_names_put_into_it() {
    let mut writer = RepositoryWriter::new();
    let hello = writer.file(b"hello");
    let inner = writer.directory(&[file("x", &hello, 5)]);
    let root = writer.directory(&[
        entry("a", "d", &inner),
        entry("b", "d", &inner),
        entry("c", "d", &inner),
        file("a/x", &hello, 5),
        file("b/x", &hello, 5),
        file("c/y", &hello, 4),
        file("z", &hello, 4),
    ]);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let repository = open(blobs.collect());
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    let lost = |paths: &[&str]| {
        let subject =
            |path: &&str| Subject { snapshot: None, entry: root.at(path).unwrap(), path: (*path).into() };
        let subjects: Vec<_> = paths.iter().map(subject).collect();
        affected(&repository.verify_entries(&subjects, &Options::default(), &()).unwrap())
    };
    // The directory has one of this name.
    assert_eq!(lost(&["a"]), ["a/x"]);
    assert_eq!(lost(&["a", "b"]), ["a/x", "b/x"]);
    assert_eq!(lost(&["c"]), ["c/y"]);
    assert_eq!(lost(&["z"]), ["z"]);
}

#[test]
fn a_file_that_reads_like_a_directory_is_verified_as_a_file() {
    let mut writer = RepositoryWriter::new();
    let hello = writer.file(b"hello");
    let json = json!({"stream": "kopia:directory", "entries": [file("x", &hello, 5)]}).to_string();
    let bytes = writer.file(json.as_bytes());
    writer.snapshot("app@host:/data", file("data", &bytes, json.len()));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let report = open(blobs.collect()).verify(&Options::default(), &()).unwrap();
    assert_eq!((report.directories, report.files, report.is_sound()), (0, 1, true));
}

#[test]
fn a_snapshot_without_a_root_is_lost_and_the_others_are_verified() {
    let mut writer = RepositoryWriter::new();
    let hello = writer.file(b"hello");
    let root = writer.directory(&[file("x", &hello, 4)]);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    writer.manifest(json!({"source": {"host": "host", "userName": "app", "path": "/other"},
        "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:00Z", "rootEntry": null}));
    let said = said(writer);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("the snapshot has no root"), "{said:?}");
    assert_eq!(said[1], "x: it has 5 bytes, its entry says 4");
}

#[test]
fn files_that_stand_for_others_are_counted_and_the_first_are_named() {
    let mut writer = RepositoryWriter::new();
    let stubs: Vec<_> = (0..=100)
        .map(|number| {
            let name = format!("file{number}");
            let original = json!({"name": name, "type": "f", "mode": "0644", "size": 1, "obj": "0a1b"});
            let json = original.to_string();
            file(&format!("{name}.kopia-entry"), &writer.file(json.as_bytes()), json.len())
        })
        .collect();
    let root = writer.directory(&stubs);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let report = open(blobs.collect()).verify(&Options::default(), &()).unwrap();
    assert_eq!((report.stub_count, report.stubs.len()), (101, 100));
    assert!(report.stubs.iter().all(|(name, stub)| *name == format!("{}.kopia-entry", stub.name)));
}

#[test]
fn of_many_lost_entries_the_first_are_kept_and_all_are_counted() {
    let mut writer = RepositoryWriter::new();
    let lost = "ffffffffffffffffffffffffffffffff";
    let entries: Vec<_> = (0..=10_000).map(|number| file(&number.to_string(), lost, 1)).collect();
    let root = writer.directory(&entries);
    writer.snapshot("app@host:/data", entry("data", "d", &root));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let report = open(blobs.collect()).verify(&Options::default(), &()).unwrap();
    assert_eq!((report.affected.len(), report.affected_count), (10_000, 10_001));
}

/// A folder with a file that is gone and an entry that has no place, below so many levels that each have the
/// next one twice.
fn doubled(levels: usize) -> Repository {
    let mut writer = RepositoryWriter::new();
    let lost = "ffffffffffffffffffffffffffffffff";
    let mut inner = writer.directory(&[file("f", lost, 1), entry("..", "d", &format!("k{lost}"))]);
    for _ in 0..levels {
        inner = writer.directory(&[entry("a", "d", &inner), entry("b", "d", &inner)]);
    }
    writer.snapshot("app@host:/data", entry("data", "d", &inner));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    open(blobs.collect())
}

#[test]
fn paths_without_end_are_counted_and_the_first_are_told() {
    let report = doubled(12).verify(&Options::default(), &()).unwrap();
    assert_eq!((report.affected_count, report.untold_count), (2 << 12, 0), "all are told");
    let paths: std::collections::HashSet<_> = report.affected.iter().map(|entry| &entry.path).collect();
    assert_eq!(paths.len(), 2 << 12);
    for levels in [40, 80] {
        let report = doubled(levels).verify(&Options::default(), &()).unwrap();
        let all = if levels == 40 { 2 << 40 } else { u64::MAX };
        assert_eq!(report.affected_count, all);
        // Once, and ten thousand times again.
        let told = if levels == 40 { all - report.untold_count } else { 20_002 };
        assert_eq!((report.affected.len(), told), (10_000, 20_002));
        assert!(!report.is_sound());
    }
}

#[test]
fn paths_without_end_are_counted_with_patterns_too() {
    let chosen = |repository: &Repository, include: &[&str], exclude: &str| {
        let snapshots = repository.snapshots().unwrap();
        let snapshot = snapshots.iter().next().unwrap();
        let root = snapshot.root().unwrap();
        let mut choice = Choice::default();
        include.iter().for_each(|pattern| choice.include(pattern, false).unwrap());
        choice.exclude(exclude, false).unwrap();
        let mut options = Options::default();
        let chosen = choice.among([&root]).unwrap();
        let packs = metadata_packs(repository, &root, Some(&chosen));
        assert_eq!(packs.len(), 1, "they end, too");
        options.chosen = Some(chosen);
        repository.verify_entry(Some(snapshot), &root, &options, &()).unwrap()
    };
    let report = chosen(&doubled(12), &[], "f");
    assert_eq!((report.affected_count, report.untold_count), (1 << 12, 0), "all are told");
    assert_eq!(report.left_out, 1, "a file of one folder, wherever that lies");
    let repository = doubled(80);
    // `..` may be a directory, so any pattern might take something in it.
    for include in [&[][..], &["f"], &["*.none"], &["/a", "/b/*/a"]] {
        let report = chosen(&repository, include, "*.tmp");
        assert_eq!((report.affected_count, report.affected.len()), (u64::MAX, 10_000), "{include:?}");
    }
}

#[test]
fn of_many_entries_in_many_places_some_are_told() {
    const ENTRIES: u64 = 5_000;
    let mut writer = RepositoryWriter::new();
    let lost = "ffffffffffffffffffffffffffffffff";
    let entries: Vec<_> = (0..ENTRIES).map(|number| file(&number.to_string(), lost, 1)).collect();
    let mut inner = writer.directory(&entries);
    for _ in 0..12 {
        inner = writer.directory(&[entry("a", "d", &inner), entry("b", "d", &inner)]);
    }
    writer.snapshot("app@host:/data", entry("data", "d", &inner));
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let report = open(blobs.collect()).verify(&Options::default(), &()).unwrap();
    assert_eq!(report.affected_count, ENTRIES << 12);
    // Once, and again until they are a quarter of a million.
    let told = report.affected_count - report.untold_count;
    assert!((1 << 18..=(1 << 18) + 2 * ENTRIES).contains(&told), "{told}");
}

/// The snapshots of the entries that are told, in their order.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn affected(&self, entry: &AffectedEntry) {
        self.0.lock().unwrap().push(entry.snapshot.as_ref().unwrap().id().to_owned());
    }
}

#[test]
fn of_each_snapshot_something_is_told_the_newest_first() {
    const ENTRIES: usize = 6_000;
    const SNAPSHOTS: usize = 50;
    let mut writer = RepositoryWriter::new();
    let (lost, hello) = ("ffffffffffffffffffffffffffffffff", writer.file(b"hello"));
    let entries: Vec<_> = (0..ENTRIES).map(|number| file(&number.to_string(), lost, 1)).collect();
    let mail = writer.directory(&entries);
    let ids: Vec<_> = (0..SNAPSHOTS)
        .map(|number| {
            let root = writer.directory(&[entry("mail", "d", &mail), file(&format!("f{number}"), &hello, 5)]);
            writer.snapshot("app@host:/data", entry("data", "d", &root))
        })
        .collect();
    let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
    let told = Told::default();
    let report = open(blobs.collect()).verify(&Options::default(), &told).unwrap();
    assert_eq!(report.affected_count, (SNAPSHOTS * ENTRIES) as u64);
    let told = told.0.into_inner().unwrap();
    assert_eq!(report.untold_count, report.affected_count - told.len() as u64);
    // Once, and again until they are a quarter of a million.
    let whole = 1 + (1_usize << 18).div_ceil(ENTRIES);
    let expected = ids.into_iter().rev().enumerate();
    let expected: Vec<_> =
        expected.map(|(number, id)| (id, if number < whole { ENTRIES } else { 1 })).collect();
    let counts: Vec<_> = told.chunk_by(|a, b| a == b).map(|same| (same[0].clone(), same.len())).collect();
    assert_eq!(counts, expected);
}

/// Makes an object of a hundred pieces, each of them this one.
fn hundredfold(writer: &mut RepositoryWriter, (piece, length): (&str, u64)) -> (String, u64) {
    let pieces: Vec<_> =
        (0..100).map(|number| json!({"s": number * length, "l": length, "o": piece})).collect();
    let list = json!({"stream": "kopia:indirect", "entries": pieces}).to_string();
    (format!("I{}", writer.content(Some('x'), list.as_bytes())), 100 * length)
}

#[test]
fn lists_that_multiply_are_each_read_once() {
    for lost in [false, true] {
        let mut writer = RepositoryWriter::new();
        let byte = if lost { "ffffffffffffffffffffffffffffffff".to_owned() } else { writer.file(b"x") };
        let mut levels = vec![(byte, 1)];
        for _ in 0..9 {
            let (piece, length) = levels.last().unwrap();
            let next = hundredfold(&mut writer, (piece.as_str(), *length));
            levels.push(next);
        }
        let size = |length: u64| usize::try_from(length).unwrap();
        let whole = file("whole", &levels[3].0, size(levels[3].1));
        let (endless, length) = (&levels[8].0, levels[8].1);
        // Each has the same lists: a hundred bytes of one file are no work for an hour.
        let mut entries: Vec<_> = (1..200)
            .map(|number| {
                let pieces =
                    json!([{"l": length, "o": endless}, {"s": length, "l": number, "o": levels[0].0}]);
                let list = json!({"stream": "kopia:indirect", "entries": pieces}).to_string();
                let object = format!("I{}", writer.content(Some('x'), list.as_bytes()));
                file(&format!("endless {number:03}"), &object, size(length + number))
            })
            .collect();
        entries.push(file("endless", &levels[9].0, size(levels[9].1)));
        entries.push(whole);
        let root = writer.directory(&entries);
        writer.snapshot("app@host:/data", entry("data", "d", &root));
        let blobs = writer.finish().into_iter().map(|(name, blob)| (name.parse().unwrap(), blob));
        let repository = open(blobs.collect());
        let report = repository.verify(&Options::default(), &()).unwrap();
        let words: std::collections::HashSet<_> =
            report.affected.iter().map(|entry| entry.reason.word()).collect();
        let (count, word) = if lost { (201, "not_in_index") } else { (200, "corrupt_object") };
        assert_eq!((report.affected_count, words), (count, [word].into()));
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        assert_eq!(stored(&repository, [&root]).problem_count, count);
    }
}
