//! Large files that are changed in place: nothing is written before everything that is needed can be had.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use kopia_codec::key::Password;
use kopia_repository::{Entry, Repository};
use kopia_restore::{Options, Outcome, Result};
use kopia_storage::MemoryStore;
use kopia_storage::testing::FaultyStore;
use kopia_testkit::damage;
use kopia_testkit::refuse::{Call, refusing};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use rustix::io::Errno;

use crate::common::{Place, file, folder, problems};

const PIECE: usize = 4000;

/// Ten pieces that all differ.
fn large() -> Vec<u8> {
    (0..10_000_u32).flat_map(|number| number.to_le_bytes()).collect()
}

/// As [`large`], with three pieces of which one byte is another.
fn older() -> Vec<u8> {
    let mut bytes = large();
    [1, 4, 8].iter().for_each(|piece| bytes[piece * PIECE + 7] ^= 1);
    bytes
}

/// A store in memory with these blobs.
fn memory(blobs: &[(String, Vec<u8>)]) -> MemoryStore {
    blobs.iter().map(|(name, blob)| (name.parse().unwrap(), blob.clone())).collect()
}

/// `large` in ten pieces, each of which has a pack of its own.
fn writer() -> RepositoryWriter {
    let mut writer = RepositoryWriter::new().piece_size(PIECE).pack_size(1);
    let bytes = writer.file(&large());
    let root = folder("data", &writer.directory(&[file("large", &bytes, 10 * PIECE)]));
    writer.snapshot("app@host:/data", root);
    writer
}

/// Restores over the older file in place.
fn restore(place: &Place, root: &Entry) -> Result<Outcome> {
    restore_with(place, root, |_| ())
}

fn restore_with(place: &Place, root: &Entry, set: impl FnOnce(&mut Options)) -> Result<Outcome> {
    let _ = fs::create_dir(place.path("target"));
    fs::write(place.path("target/large"), older()).unwrap();
    let mut options = Options::default();
    options.in_place = true;
    set(&mut options);
    kopia_restore::restore(root, place.path("target"), &options)
}

#[test]
fn a_damaged_piece_leaves_the_older_file_as_it_was() {
    let place = Place::new();
    place.finish("repo", writer());
    let mut left = 0;
    for pack in damage::blobs(&place.path("repo"), "p") {
        let whole = pack.read();
        pack.flip_bit(40, 0);
        let outcome = restore(&place, &place.open("repo")).unwrap();
        let path = place.path("target/large");
        let found = fs::read(&path).unwrap();
        match outcome.problem_count {
            // What is right already is not read.
            0 => assert!(found == large()),
            _ => {
                left += 1;
                assert!(found == older(), "it is as it was: {:?}", problems(&outcome));
                assert!(!problems(&outcome)[0].contains("in place"), "{:?}", problems(&outcome));
                assert_ne!(fs::metadata(&path).unwrap().mtime(), 1_577_934_245, "nor is its time another");
            }
        }
        pack.write(&whole);
    }
    assert_eq!(left, 3, "as many as differ");
    assert_eq!(restore(&place, &place.open("repo")).unwrap().problem_count, 0);
    assert!(fs::read(place.path("target/large")).unwrap() == large());
}

/// What is salvaged lies beside it. Here, zeros would take the place of bytes that are there.
#[test]
fn lost_pieces_are_not_blanked_in_the_file_that_is_changed() {
    let place = Place::new();
    place.finish("repo", writer());
    // That of a piece that differs.
    damage::blobs(&place.path("repo"), "p")[1].flip_bit(40, 0);
    let outcome = restore_with(&place, &place.open("repo"), |options| options.salvage = true).unwrap();
    assert_eq!(outcome.problem_count, 1, "{:?}", problems(&outcome));
    assert!(outcome.problems[0].salvaged.is_none());
    assert!(fs::read(place.path("target/large")).unwrap() == older());
}

#[test]
fn what_is_changed_when_a_read_fails_after_all_is_said() {
    let place = Place::new();
    let blobs = writer().finish();
    let (mut as_before, mut mixed, mut reads) = (0, 0, 0);
    loop {
        let store = FaultyStore::new(memory(&blobs)).after(reads).fail_every(1);
        reads += 1;
        let opened = Repository::open(store, &Password::from(PASSWORD));
        let Ok(snapshots) = opened.as_ref().map_err(|_| ()).and_then(|it| it.snapshots().map_err(|_| ()))
        else {
            continue;
        };
        let Ok(root) = snapshots.iter().next().unwrap().root() else { continue };
        let Ok(_) = root.at("large") else { continue };
        let Ok(outcome) = restore(&place, &root) else { continue };
        if outcome.problem_count == 0 {
            break;
        }
        let found = fs::read(place.path("target/large")).unwrap();
        let [problem] = &problems(&outcome)[..] else { panic!("{:?}", problems(&outcome)) };
        if found == older() {
            as_before += 1;
            assert!(!problem.contains("in place"), "{problem}");
            continue;
        }
        mixed += 1;
        let pieces = found.chunks(PIECE).zip(older().chunks(PIECE)).filter(|(a, b)| a != b).count();
        let said = format!("changed in place: {} of its 40000 bytes", (7 + pieces) * PIECE);
        assert!(problem.contains(&said), "{pieces} pieces: {problem}");
        // The next restore puts it right.
        let options = Options::default();
        let repository = Repository::open(memory(&blobs), &Password::from(PASSWORD)).unwrap();
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        kopia_restore::restore(&root, place.path("target"), &options).unwrap();
        assert!(fs::read(place.path("target/large")).unwrap() == large());
    }
    assert!(as_before >= 3 && mixed > 0, "{as_before} as before, {mixed} mixed");
}

#[test]
fn half_written_files_keep_no_old_bytes_of_another_length() {
    let place = Place::new();
    let root = place.finish("repo", writer());
    fs::create_dir(place.path("target")).unwrap();
    let path = place.path("target/large");
    fs::write(&path, [large(), vec![7; 9000]].concat()).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0; 5000], 1000).unwrap();
    let mut options = Options::default();
    options.in_place = true;
    let outcome = kopia_restore::restore(&root, place.path("target"), &options).unwrap();
    assert_eq!((outcome.files, outcome.problem_count), (1, 0));
    assert!(fs::read(path).unwrap() == large());
}

/// After a power cut, what has the snapshot's size and time would pass for right.
#[test]
fn a_file_has_its_time_only_once_its_bytes_are_on_disk() {
    let place = Place::new();
    let root = place.finish("repo", writer());
    let failing = [(Call::Fsync, Some(Errno::IO))];
    let Some(ended) = refusing(&failing, || restore(&place, &root)) else { return };
    assert!(ended.is_err(), "{ended:?}");
    let path = place.path("target/large");
    assert_ne!(fs::metadata(&path).unwrap().mtime(), 1_577_934_245);
    // The next run finds all bytes right in the system's memory, and they are no more on disk.
    let again = |options: &Options| kopia_restore::restore(&root, place.path("target"), options);
    let mut options = Options::default();
    options.in_place = true;
    for errno in [Errno::IO, Errno::NOSPC] {
        let ended = refusing(&[(Call::Fsync, Some(errno))], || again(&options)).unwrap();
        assert!(ended.is_err(), "{errno}: {ended:?}");
        assert!(fs::read(&path).unwrap() == large());
        assert_ne!(fs::metadata(&path).unwrap().mtime(), 1_577_934_245, "{errno}");
    }
    let outcome = again(&options).unwrap();
    assert_eq!((outcome.kept, outcome.problem_count), (1, 0));
    assert_eq!(fs::metadata(&path).unwrap().mtime(), 1_577_934_245);
    // What has its time is on disk.
    let outcome = refusing(&failing, || again(&options)).unwrap().unwrap();
    assert_eq!((outcome.kept, outcome.problem_count), (1, 0));
}

/// As above, by a run that changes nothing in place.
#[test]
fn a_file_that_cannot_be_forced_to_disk_is_replaced_instead_of_kept() {
    let place = Place::new();
    let root = place.finish("repo", writer());
    fs::create_dir(place.path("target")).unwrap();
    let path = place.path("target/large");
    fs::write(&path, large()).unwrap();
    let failing = [(Call::Fsync, Some(Errno::IO))];
    let Some(outcome) = refusing(&failing, || place.restore(&root, "target")) else { return };
    assert_eq!((outcome.files, outcome.kept, outcome.problem_count), (1, 0, 0));
    assert!(fs::read(&path).unwrap() == large());
    // What has its time is on disk.
    let outcome = refusing(&failing, || place.restore(&root, "target")).unwrap();
    assert_eq!((outcome.kept, outcome.problem_count), (1, 0));
}
