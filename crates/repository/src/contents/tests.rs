//! The seam, from outside: contents that come from no pack, and random reads that are kept.

mod far;

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use kopia_codec::key::Password;
use kopia_format::ContentId;
use kopia_format::Timestamp;
use kopia_format::directory::EntryKind;
use kopia_format::format_blob::RepositoryFormat;
use kopia_storage::MemoryStore;
use kopia_storage::server::{Extent, Parameters, ServedManifest};
use kopia_storage::testing::{CountingStore, DelayedStore, MemoryServer};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

use super::*;
use crate::testing::open;
use crate::{Entry, FormatBlob, OpenOptions, Repository, Resources, verify};

const FILES: usize = 40;

fn bytes_of(number: usize) -> Vec<u8> {
    format!("the bytes of file {number}").into_bytes()
}

/// A snapshot of files in four directories, and one of several pieces.
fn store() -> MemoryStore {
    let mut writer = RepositoryWriter::new().piece_size(1000);
    let mut directories: Vec<_> = (0..4)
        .map(|directory| {
            let files: Vec<_> = (directory * FILES / 4..(directory + 1) * FILES / 4)
                .map(|number| {
                    let bytes = bytes_of(number);
                    let object = writer.file(&bytes);
                    let name = format!("f{number:02}");
                    json!({"name": name, "type": "f", "mode": "0644", "size": bytes.len(), "obj": object})
                })
                .collect();
            let object = writer.directory(&files);
            json!({"name": format!("d{directory}"), "type": "d", "mode": "0755", "obj": object})
        })
        .collect();
    let object = writer.file(&pieces());
    directories.push(json!({"name": "large", "type": "f", "mode": "0644", "size": 5000, "obj": object}));
    let root = writer.directory(&directories);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "mode": "0755", "obj": root}));
    writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect()
}

/// Five pieces that differ.
fn pieces() -> Vec<u8> {
    (0..5).flat_map(|piece| vec![piece; 1000]).collect()
}

fn root(repository: &Repository) -> Entry {
    repository.snapshots().unwrap().iter().next().unwrap().root().unwrap()
}

/// The same repository behind a server, whose contents are served after `change`.
fn served(change: impl Fn(ContentId, &mut Vec<u8>)) -> (Repository, Arc<MemoryServer>) {
    served_by(|format| Parameters::new(format.hash.clone(), format.secret.clone()), change)
}

fn served_by(
    parameters: impl Fn(&RepositoryFormat) -> Parameters,
    change: impl Fn(ContentId, &mut Vec<u8>),
) -> (Repository, Arc<MemoryServer>) {
    let whole = Repository::open(store(), &Password::from(PASSWORD)).unwrap();
    let (format, _) =
        FormatBlob::read(&store()).unwrap().unseal(&store(), &Password::from(PASSWORD)).unwrap();
    let mut server = MemoryServer::new(parameters(&format));
    whole.contents().for_each(|content, _| {
        let mut plain = whole.contents().read(&content).unwrap();
        change(content, &mut plain);
        server.insert(content, plain);
    });
    for snapshot in &whole.snapshots().unwrap() {
        let manifest = snapshot.manifest();
        let source = manifest.source();
        let label = |name: &str, value: &str| (name.to_string(), value.to_string());
        let labels = vec![
            label("type", "snapshot"),
            label("username", &source.user),
            label("hostname", &source.host),
            label("path", &source.path),
        ];
        let id = snapshot.id().parse().unwrap();
        let payload = serde_json::to_vec(manifest).unwrap();
        let (modified, root_is_guessed) = (Timestamp::default(), false);
        server.insert_manifest(ServedManifest { id, modified, labels, root_is_guessed }, payload);
    }
    let server = Arc::new(server);
    (Repository::open_server(server.clone(), &OpenOptions::default()).unwrap(), server)
}

/// Reads every file, and returns how many there are.
fn read_all(directory: &Entry, count: &mut usize) {
    for entry in directory.directory().unwrap().entries {
        match entry.kind() {
            EntryKind::Directory => read_all(&entry, count),
            _ => {
                let text = std::io::read_to_string(entry.open().unwrap()).unwrap().into_bytes();
                let expected = if entry.name() == "large" { pieces() } else { bytes_of(*count) };
                assert_eq!(text, expected, "{}", entry.name());
                *count += usize::from(entry.name() != "large");
            }
        }
    }
}

#[test]
fn a_repository_behind_a_server_is_listed_walked_and_read() {
    let (repository, server) = served(|_, _| {});
    server.take();
    let mut count = 0;
    read_all(&root(&repository), &mut count);
    assert_eq!(count, FILES);
    let asked = server.take();
    // The root, four directories, files, five pieces and their list.
    assert_eq!(asked.contents, 1 + 4 + FILES + 5 + 1);
}

#[test]
fn many_contents_are_asked_for_by_few_calls_after_the_server_got_them_ready() {
    let (repository, server) = served(|_, _| {});
    let mut ids = Vec::new();
    let whole = Repository::open(store(), &Password::from(PASSWORD)).unwrap();
    whole.contents().for_each(|id, _| ids.extend(id.prefix().is_none().then_some(id)));
    ids.extend(ids.clone());
    let read = std::sync::atomic::AtomicUsize::new(0);
    repository.contents().read_many(&ids, |number, plain| {
        assert!(whole.contents().matches(&ids[number], plain.unwrap()));
        read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let asked = server.take();
    assert_eq!((read.into_inner(), asked.contents), (ids.len(), ids.len() / 2), "each is read once");
    assert_eq!(asked.described, 0);
    assert!(asked.calls.iter().all(|calls| *calls > 1), "{asked:?}");
    assert_eq!(asked.prepared, [(ids.len() / 2, Extent::Contents)]);
}

#[test]
fn a_content_that_is_served_wrong_is_named_and_given_to_nobody() {
    let (repository, _server) = served(|content, plain| {
        if content.prefix().is_none() && *plain == bytes_of(3) {
            plain[0] ^= 1;
        }
    });
    let entry = root(&repository).at("d0/f03").unwrap();
    let error = std::io::read_to_string(entry.open().unwrap()).unwrap_err().to_string();
    assert!(error.contains("hash is not its id"), "{error}");
    let id = entry.object().content();
    repository.contents().read_many(&[id, id], |_, plain| {
        let Err(Error::CorruptContent { content, blob, .. }) = plain else { panic!("{plain:?}") };
        assert_eq!((content, blob.as_str()), (&id, &*id.to_string()), "it lies in no pack");
    });
}

#[test]
fn without_the_key_of_the_hash_nothing_is_known_to_be_a_content() {
    let (repository, _server) = served_by(|format| Parameters::without_secret(&*format.hash), |_, _| {});
    let file = root(&repository).at("d0/f03").unwrap();
    assert_eq!(std::io::read_to_string(file.open().unwrap()).unwrap().into_bytes(), bytes_of(3));
    let (contents, id) = (repository.contents(), file.object().content());
    assert!(!contents.can_compare() && !repository.object_is_empty(file.object()));
    assert!(!contents.matches(&id, &bytes_of(3)) && !contents.matches(&id, &bytes_of(4)));
    let (repository, _server) = served(|_, _| {});
    assert!(repository.contents().can_compare());
    assert!(repository.contents().matches(&id, &bytes_of(3)));
    assert!(!repository.contents().matches(&id, &bytes_of(4)));
}

#[test]
fn what_a_server_does_not_have_is_not_found() {
    let (mut repository, mut server) = served(|_, _| {});
    let id = root(&repository).at("d1/f13").unwrap().object().content();
    drop(std::mem::replace(&mut repository, Repository::open(store(), &Password::from(PASSWORD)).unwrap()));
    Arc::get_mut(&mut server).unwrap().remove(&id);
    let repository = Repository::open_server(server, &OpenOptions::default()).unwrap();
    let not_found =
        |result: Result<()>| assert!(matches!(result, Err(Error::ContentNotFound { .. })), "{result:?}");
    not_found(repository.contents().locate(&id).map(drop));
    not_found(repository.contents().read(&id).map(drop));
    repository
        .contents()
        .read_many(&[id], |_, plain| assert!(matches!(plain, Err(Error::ContentNotFound { .. }))));
}

#[test]
fn what_needs_blobs_says_that_there_are_none() {
    let (repository, _server) = served(|_, _| {});
    let no_blobs = |error: Error| {
        assert!(matches!(error, Error::Storage(kopia_storage::Error::NoBlobs { .. })), "{error:?}");
    };
    no_blobs(repository.status().unwrap_err());
    no_blobs(repository.missing_packs().unwrap_err());
    no_blobs(repository.manifest_coverage().unwrap_err());
    no_blobs(repository.unindexed_packs(crate::unindexed::Packs::All).unwrap_err());
    no_blobs(repository.verify(&verify::Options::default(), &()).unwrap_err());
    let root = root(&repository);
    no_blobs(repository.verify_entry(None, &root, &verify::Options::default(), &()).unwrap_err());
    assert!(!repository.refresh().unwrap());
    assert_eq!(repository.store().directory(), None);
}

#[test]
fn an_empty_object_is_known_by_its_id() {
    let (repository, server) = served(|_, _| {});
    server.take();
    let mut writer = RepositoryWriter::new();
    let empty = writer.file(b"");
    // A list without bytes is none, nor does anything unfold from them.
    let objects = [empty.clone(), format!("I{empty}"), format!("Z{empty}")];
    let objects = objects.map(|object| object.parse::<kopia_format::ObjectId>().unwrap());
    let is_empty = |repository: &Repository| objects.map(|object| repository.object_is_empty(object));
    assert_eq!(is_empty(&repository), [true, false, false]);
    assert!(!repository.object_is_empty(root(&repository).object()));
    assert_eq!(server.take().described, 0);
    assert_eq!(is_empty(&open(writer)), [true, false, false]);
}

/// Opens the large file with so many bytes of cache, and returns the ranges that reading pieces in an order
/// takes.
fn reads(cache: usize, order: &[u64]) -> usize {
    let store = Arc::new(CountingStore::new(store()));
    let resources = Resources::default().content_cache(cache);
    let options = OpenOptions { resources, ..OpenOptions::default() };
    let repository = Repository::open_with(store.clone(), &Password::from(PASSWORD), &options).unwrap();
    let file = root(&repository).at("large").unwrap().open().unwrap();
    store.take();
    for piece in order {
        let mut byte = [9];
        assert_eq!(file.read_at(&mut byte, piece * 1000 + 1).unwrap(), 1);
        assert_eq!(u64::from(byte[0]), *piece);
    }
    store.take().ranges.len()
}

#[test]
fn random_reads_are_kept_within_the_budget() {
    let back_and_forth = [4, 1, 4, 1, 4, 1, 4, 1];
    assert_eq!(reads(1 << 20, &back_and_forth), 2);
    assert_eq!(reads(0, &back_and_forth), 8, "the cache is off");
    // There is room for one of them.
    assert_eq!(reads(1500, &back_and_forth), 8);
    assert_eq!(reads(3000, &back_and_forth), 2);
}

#[test]
fn what_is_read_front_to_back_is_kept_once_it_is_read_again() {
    let once = [0, 1, 2, 3, 4];
    assert_eq!(reads(1 << 20, &once), 5);
    // All but the start are taken for places that somebody jumped to, since no first byte is asked for; the
    // start is kept from its second read on.
    assert_eq!(reads(1 << 20, &[once, once].concat()), 6);
    assert_eq!(reads(1 << 20, &[once, once, once, once].concat()), 6);
}

/// A store that is read as the profile says, with eight contents in packs of their own, for two cores.
fn profiled(profile: ReadProfile) -> (Repository, Arc<DelayedStore<MemoryStore>>, Vec<ContentId>) {
    let mut writer = RepositoryWriter::new().pack_size(1);
    let ids = (0..8).map(|number| writer.content(None, &[number; 100])).collect();
    let blobs = writer.finish().into_iter().map(|(name, bytes)| (name.parse().unwrap(), bytes));
    let store = DelayedStore::new(blobs.collect::<MemoryStore>(), Duration::ZERO).profiled(profile);
    let store = Arc::new(store);
    let resources = Resources::default().threads(NonZero::new(2).unwrap());
    let options = OpenOptions { resources, ..OpenOptions::default() };
    let repository = Repository::open_with(store.clone(), &Password::from(PASSWORD), &options).unwrap();
    (repository, store, ids)
}

#[test]
fn contents_are_far_where_each_read_takes_long() {
    for (profile, is_far) in [
        (ReadProfile::MEMORY, false),
        (ReadProfile::LOCAL, false),
        (ReadProfile::SPINNING, true),
        (ReadProfile::NETWORK, true),
    ] {
        assert_eq!(profiled(profile).0.contents().is_far(), is_far, "{profile:?}");
    }
    assert!(served(|_, _| {}).0.contents().is_far());
}

#[test]
fn as_many_reads_are_expected_as_there_are_cores_or_the_store_likes() {
    for profile in [ReadProfile::MEMORY, ReadProfile::NETWORK] {
        let expected = profile.within_open_files().parallel_reads.max(2);
        assert_eq!(profiled(profile).0.contents().parallel_reads(), expected, "{profile:?}");
    }
}

#[test]
fn groups_are_sorted_by_the_names_of_their_packs() {
    let (repository, _, ids) = profiled(ReadProfile::MEMORY);
    let contents = repository.contents();
    let names = |groups: &[u32]| -> Vec<_> {
        groups.iter().map(|&group| contents.pack_of_group(group).unwrap()).collect()
    };
    let mut groups: Vec<u32> = (0..contents.groups() as u32).collect();
    groups.sort_by_key(|&group| std::cmp::Reverse(contents.pack_of_group(group)));
    let backwards = names(&groups);
    contents.sort_groups(&mut groups);
    assert!(groups.len() > ids.len());
    assert_eq!(names(&groups), backwards.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn where_contents_are_near_each_core_reads_for_itself() {
    let (repository, store, ids) = profiled(ReadProfile::LOCAL);
    store.take();
    store.gather("p", 2);
    repository.contents().read_many(&ids, |_, plain| assert_eq!(plain.unwrap().len(), 100));
    assert_eq!(store.take().most_in_flight, 2);
}

#[test]
fn what_was_read_into_is_given_back_to_be_read_into_again() {
    let (repository, _, ids) = profiled(ReadProfile::LOCAL);
    let contents = repository.contents();
    let mut wanted = [Wanted { content: ids[0], location: contents.locate(&ids[0]).unwrap(), tag: () }];
    let steps = contents.schedule(&mut wanted, 0);
    let buffer = Vec::<u8>::with_capacity(1000);
    let place = buffer.as_ptr();
    let given_back = contents.fetch(&steps[0], buffer).into_buffer();
    assert_eq!(given_back.as_ptr(), place);
}

/// An index blob of version 1, which says of one content that it takes so many bytes of a pack.
fn index_of(content: &ContentId, packed_length: u32) -> Vec<u8> {
    let (key, pack) = ([&[content.prefix_byte()][..], content.hash()].concat(), b"p0123");
    let name_at = 8 + key.len() as u32 + 20;
    let mut index = vec![1, key.len() as u8, 0, 20, 0, 0, 0, 1];
    index.extend(key);
    // The time, the version of the format, and the length of the pack's name.
    index.extend([0, 0, 0x69, 0, 0, 0, 1, pack.len() as u8]);
    index.extend(name_at.to_be_bytes());
    index.extend(32_u32.to_be_bytes());
    index.extend(packed_length.to_be_bytes());
    index.extend(pack);
    index
}

#[test]
fn a_content_with_more_bytes_than_any_can_have_is_corrupt_before_it_is_read() {
    let id: ContentId = format!("{:032x}", 1).parse().unwrap();
    // Sealed it takes 28 bytes more.
    let most = MAX_LENGTH as u32 + 28;
    for (packed_length, is_sound) in [(most, true), (most + 1, false), (u32::MAX, false)] {
        let writer = RepositoryWriter::new();
        let index = writer.seal_index(&index_of(&id, packed_length));
        let blobs = writer.finish().into_iter().chain([index]);
        let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
        let repository = Repository::open(store, &Password::from(PASSWORD)).unwrap();
        let contents = repository.contents();
        for located in [contents.locate(&id), contents.assume(&id, None)] {
            match located {
                Ok(location) => {
                    assert!(is_sound, "{packed_length}");
                    assert_eq!(location.stored_length(), u64::from(packed_length));
                }
                Err(Error::CorruptContent { content, .. }) => assert!(!is_sound && content == id),
                Err(error) => panic!("{packed_length}: {error}"),
            }
        }
    }
}

/// Some kilobytes that unfold to huge contents, and the ids of these.
fn huge() -> (Repository, Vec<ContentId>) {
    let mut writer = RepositoryWriter::new();
    let forge = |number: u8| {
        let id: ContentId = format!("{number:032x}").parse().unwrap();
        writer.forge_gzip(id, &vec![number; HUGE + 1]);
        id
    };
    let ids = (0..4).map(forge).collect();
    (open(writer), ids)
}

#[test]
fn of_huge_contents_one_is_decoded_at_a_time_and_its_memory_given_back() {
    let (repository, ids) = huge();
    let (contents, inside) = (repository.contents(), std::sync::atomic::AtomicUsize::new(0));
    let decode = &|number: usize| {
        let mut wanted =
            [Wanted { content: ids[number], location: contents.locate(&ids[number]).unwrap(), tag: () }];
        let (steps, mut decoder) = (contents.schedule(&mut wanted, 0), contents.decoder());
        let fetched = contents.fetch(&steps[0], Vec::new());
        assert!(matches!(fetched.0, Read::Nothing), "it is read in its turn");
        let mut seen = 0;
        contents.decode(&mut decoder, &steps[0], &wanted, &fetched, |_, plain| {
            assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
            // Long enough for others to come, if they could.
            std::thread::sleep(std::time::Duration::from_millis(100));
            // What this thread reads besides does not wait for itself.
            assert_eq!(contents.read(&ids[0]).unwrap().len(), HUGE + 1);
            assert!(plain.unwrap() == vec![number as u8; HUGE + 1]);
            inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
            seen += 1;
        });
        assert_eq!((seen, decoder.memory()), (1, 0));
    };
    std::thread::scope(|scope| {
        for number in 0..ids.len() {
            scope.spawn(move || decode(number));
        }
    });
    assert!(lock(&contents.decoders).iter().all(|decoder| decoder.memory() == 0));
}

#[test]
fn what_unfolds_without_saying_how_far_waits_for_its_turn() {
    let (repository, ids) = huge();
    let contents = repository.contents();
    let headed = |bytes: usize| {
        let gzip = kopia_testkit::writer::gzip(&vec![0; bytes]);
        [&0x1000_u32.to_be_bytes()[..], &gzip].concat()
    };
    let unfold =
        |bytes: &[u8], length| contents.decompress_headed(&ids[0], bytes, length, |plain| plain.len());
    let (few, many) = (headed(HUGE), headed(HUGE + 1));
    assert_eq!((unfold(&few, None).unwrap(), unfold(&many, None).unwrap()), (HUGE, HUGE + 1));
    assert_eq!(unfold(&many, Some(HUGE as u64 + 1)).unwrap(), HUGE + 1);
    assert!(unfold(&many, Some(HUGE as u64)).is_err());
    let held = contents.turn.take();
    assert_eq!(unfold(&few, None).unwrap(), HUGE, "beside others");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| unfold(&many, None).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!waiting.is_finished());
        drop(held);
    });
}
