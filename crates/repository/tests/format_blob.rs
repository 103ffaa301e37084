//! The format blob, and its replicas in packs.
#![expect(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

use std::fs::{File, FileTimes};
use std::time::{Duration, Instant, SystemTime};

use kopia_codec::hash::{HashAlgorithm, Hasher};
use kopia_codec::key::Password;
use kopia_repository::format_blob::Replicas;
use kopia_repository::{Error, FormatBlob, Repository};
use kopia_storage::testing::{CountingStore, FaultyStore};
use kopia_storage::{BlobStore, FilesystemStore, MemoryStore, OverlayStore};
use kopia_testkit::damage::{RepositoryCopy, copy_repository};
use kopia_testkit::golden::{self, Case};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};

/// The repositories that were made where the password cannot be changed.
const WITH_REPLICAS: [&str; 11] = [
    "compacted-v0.23.1",
    "compacted-v0.5.2",
    "compacted-v0.8.4",
    "era-v0.5.2",
    "era-v0.8.4",
    "era-v0.8.4-zstd",
    "format-v1",
    "format-v1-compressed",
    "maintained-v1",
    "split-z-v1",
    "upgraded-v1-to-v2",
];

fn search(store: &dyn BlobStore) -> Replicas {
    Replicas::search(store, 1000, Instant::now() + Duration::from_secs(600)).unwrap()
}

fn password(case: &Case) -> Password {
    Password::from(&*case.password)
}

#[test]
fn every_lost_format_blob_is_found_where_there_are_replicas() {
    for case in golden::cases() {
        let copy = copy_repository(&case);
        let blob = copy.blob("kopia.repository");
        let original = blob.read();
        blob.delete();
        let store = FilesystemStore::open(copy.path()).unwrap();
        assert!(matches!(FormatBlob::read(&store), Err(Error::NotARepository { .. })));
        let replicas = search(&store);
        assert_eq!((replicas.read, replicas.unreadable), (replicas.packs, 0), "{}", case.name);
        if !WITH_REPLICAS.contains(&&*case.name) {
            assert!(replicas.found.is_empty(), "{}", case.name);
            continue;
        }
        let best = replicas.best(&password(&case)).unwrap();
        // kopia writes a blob anew for other reasons, too; what it says is the same.
        let (same, whole) = (best.blob.open(&password(&case)), FormatBlob::parse(original).unwrap());
        assert_eq!(same.unwrap(), whole.open(&password(&case)).unwrap(), "{}", case.name);
        assert!(matches!(replicas.best(&Password::from("wrong")), Err(Error::WrongPassword { .. })));

        let store = OverlayStore::new(store, FormatBlob::id(), best.blob.bytes());
        let repository = Repository::open(store, &password(&case)).unwrap();
        let snapshots = repository.snapshots().unwrap();
        assert_eq!(snapshots.iter().count(), case.listed.len(), "{}", case.name);
    }
}

/// Gives all packs this time.
fn set_times(copy: &RepositoryCopy, time: impl Fn(&str) -> u64) {
    for pack in [copy.blobs("p"), copy.blobs("q")].concat() {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(time(&pack.id));
        File::options()
            .write(true)
            .open(&pack.path)
            .unwrap()
            .set_times(FileTimes::new().set_modified(modified))
            .unwrap();
    }
}

#[test]
fn after_an_upgrade_the_newest_format_counts() {
    let case = golden::case("upgraded-v1-to-v2");
    let copy = copy_repository(&case);
    let store = FilesystemStore::open(copy.path()).unwrap();
    let old: Vec<_> = {
        let replicas = search(&store);
        assert_eq!(replicas.found.len(), 2);
        let best = replicas.best(&password(&case)).unwrap();
        assert_eq!(best.blob.open(&password(&case)).unwrap().format_version, 2);
        let best = best.blob.bytes().to_vec();
        replicas
            .found
            .iter()
            .map(|replica| replica.blob.bytes().to_vec())
            .filter(|bytes| *bytes != best)
            .collect()
    };
    // Whatever times the packs have: those of a copy, of the original, or none that make sense.
    let is_old = |id: &str| {
        let bytes = copy.blob(id).read();
        bytes.windows(old[0].len()).any(|window| window == old[0])
    };
    for (old_time, new_time) in [(1000, 2000), (2000, 1000), (1000, 1000)] {
        set_times(&copy, |id| if is_old(id) { old_time } else { new_time });
        let replicas = search(&store);
        assert_eq!(
            replicas.best(&password(&case)).unwrap().blob.open(&password(&case)).unwrap().format_version,
            2
        );
        let first_is_old = replicas.found[0].blob.bytes() == old[0];
        if old_time != new_time {
            assert_eq!(first_is_old, old_time > new_time, "without a password, the newest pack counts");
        }
    }
}

/// A pack that begins with a replica, as whoever can write packs may write it: the checksum has a public key.
fn forged(blob: &[u8]) -> Vec<u8> {
    let sum = Hasher::new(HashAlgorithm::HmacSha256, b"kopia-repository").unwrap().hash(blob);
    let length = u16::try_from(blob.len() + 32).unwrap().to_le_bytes();
    [&length[..], blob, sum.as_bytes(), &length, &[7; 100]].concat()
}

#[test]
fn forged_and_damaged_replicas_do_no_harm() {
    let case = golden::case("format-v1");
    let copy = copy_repository(&case);
    let genuine = FormatBlob::parse(copy.blob("kopia.repository").read()).unwrap();
    let pack = |number: usize| format!("p{number:032x}").parse().unwrap();
    let store = MemoryStore::new();
    // Another repository's, nonsense, and one of an endless number of bytes.
    let other = golden::case("password-changed").repository.join("kopia.repository.f");
    let other = std::fs::read(other).unwrap();
    for (number, blob) in [&other[..], b"{}", &[b' '; 15_000], &[0xff; 40]].into_iter().enumerate() {
        store.insert(pack(number), forged(blob));
    }
    let mut damaged = forged(genuine.bytes());
    damaged[200] ^= 1;
    store.insert(pack(10), damaged);
    store.insert(pack(11), vec![0; 1]);
    store.insert(pack(12), Vec::new());
    let replicas = search(&store);
    assert_eq!((replicas.found.len(), replicas.read), (1, 7));
    assert!(
        matches!(replicas.best(&password(&case)), Err(Error::WrongPassword { .. }))
            || case.password == "golden"
    );

    // At the end of a pack, where kopia looks as well.
    let mut end: Vec<u8> = (0..5000u32).map(|number| (number * number / 7) as u8).collect();
    let forged = forged(genuine.bytes());
    end.extend(&forged[..forged.len() - 100]);
    store.insert(pack(13), end);
    assert_eq!(search(&store).best(&password(&case)).unwrap().blob.bytes(), genuine.bytes());
}

#[test]
fn the_search_is_bounded() {
    let case = golden::case("compacted-v0.23.1");
    let store = FilesystemStore::open(&case.repository).unwrap();
    let replicas = Replicas::search(&store, 3, Instant::now() + Duration::from_secs(600)).unwrap();
    assert_eq!((replicas.read, replicas.packs, replicas.found[0].packs), (3, 11, 3));
    let replicas = Replicas::search(&store, 1000, Instant::now()).unwrap();
    assert_eq!((replicas.read, replicas.packs), (0, 11));
    // As many different ones as somebody likes to write.
    let store = MemoryStore::new();
    let blob = std::fs::read(case.repository.join("kopia.repository.f")).unwrap();
    for number in 0..100 {
        let blob = [&blob[..], " ".repeat(number).as_bytes()].concat();
        store.insert(format!("p{number:032x}").parse().unwrap(), forged(&blob));
    }
    assert_eq!(search(&store).found.len(), 16);
}

#[test]
fn the_search_asks_for_no_pack_but_those_it_reads() {
    let case = golden::case("compacted-v0.23.1");
    let store = CountingStore::new(FilesystemStore::open(&case.repository).unwrap());
    let replicas = Replicas::search(&store, 2, Instant::now() + Duration::from_secs(600)).unwrap();
    assert!(replicas.found[0].modified.is_some(), "the listing has the times");
    let calls = store.take();
    assert_eq!((calls.lists.len(), calls.lengths, calls.ranges.len()), (2, 0, replicas.read));
}

#[test]
fn a_repository_keeps_its_name_with_another_password() {
    let name = |bytes: Vec<u8>| FormatBlob::parse(bytes).unwrap().repository_name();
    let written = |password: &str| name(RepositoryWriter::new().password(password).format_blob().1);
    assert_eq!(written("one"), written("two"));
    assert!(written("one").len() == 32 && written("one").bytes().all(|byte| byte.is_ascii_hexdigit()));
    let other = golden::case("format-v1").repository.join("kopia.repository.f");
    assert_ne!(name(std::fs::read(other).unwrap()), written("one"));
}

#[test]
fn packs_that_cannot_be_read_are_counted_by_the_search() {
    let case = golden::case("compacted-v0.23.1");
    let store = FilesystemStore::open(&case.repository).unwrap();
    let packs = store.list("p").unwrap();
    let lost = packs.iter().take(2).map(|pack| pack.id.clone());
    let replicas = search(&FaultyStore::new(store).missing(lost));
    assert_eq!((replicas.read, replicas.packs, replicas.unreadable), (11, 11, 2));
    assert!(!replicas.found.is_empty());
}

#[test]
fn a_format_blob_that_does_not_open_is_made_up_for_by_its_copy() {
    let directory = tempfile::tempdir().unwrap();
    RepositoryWriter::new().finish_in(directory.path()).unwrap();
    let place = directory.path().join("kopia.repository.f");
    let genuine = std::fs::read(&place).unwrap();
    let field = br#""encryptedBlockFormat":""#;
    let at = genuine.windows(field.len()).position(|window| window == field).unwrap() + field.len();
    let mut damaged = genuine.clone();
    damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(&place, &damaged).unwrap();
    let store = || FilesystemStore::open(directory.path()).unwrap();
    let open = |password: &str| Repository::open(store(), &Password::from(password)).map(drop);
    assert!(matches!(open(PASSWORD), Err(Error::WrongPassword { .. })));
    // As a copy of a bucket has it.
    std::fs::write(directory.path().join("kopia.repository"), &genuine).unwrap();
    assert_eq!(FormatBlob::read(&store()).unwrap().bytes(), damaged, "it can be parsed");
    open(PASSWORD).unwrap();
    assert!(matches!(open("wrong"), Err(Error::WrongPassword { .. })));
}
