//! A restore to a device, with ordinary files in the place of devices.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_codec::key::Password;
use kopia_repository::{Entry, Repository};
use kopia_storage::FilesystemStore;
use kopia_testkit::damage;
use kopia_testkit::threads::{at_most, is_alone};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter, gzip};
use serde_json::json;

use super::disk::Device;
use super::shared::Shared;
use super::{DeviceOptions, DeviceOutcome, FilesFound, check, only_file, restore_to_device};
use crate::testing::served_without_key;
use crate::{Error, Observer, Options, Problem};

/// How long pieces are: no two of them begin in one block in the same way.
pub(super) const PIECE: usize = 100_003;

/// A repository of one file, and an ordinary file in the place of a device.
pub(super) struct Lab {
    dir: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Lab {
    /// Has a disk of data, long zeros, short zeros and data again.
    pub(super) fn new() -> Self {
        let data = |length: usize, seed: usize| (0..length).map(move |at| ((at * 31 + seed) % 251 + 1) as u8);
        let mut bytes: Vec<u8> = data(300_000, 1).collect();
        bytes.resize(1_500_000, 0);
        bytes.extend(data(10_000, 2));
        bytes.resize(bytes.len() + 9_000, 0);
        bytes.extend(data(400_000, 3));
        bytes.resize(2 << 20, 0);
        Self::of(bytes, RepositoryWriter::file)
    }

    /// Has a disk of which `write` makes an object.
    fn of(bytes: Vec<u8>, write: impl Fn(&mut RepositoryWriter, &[u8]) -> String) -> Self {
        Self::stating(bytes.len(), bytes, write)
    }

    /// As [`Self::of`], with a size that its entry states whatever the object has.
    fn stating(size: usize, bytes: Vec<u8>, write: impl Fn(&mut RepositoryWriter, &[u8]) -> String) -> Self {
        let lab = Self { dir: tempfile::tempdir().unwrap(), bytes };
        let mut writer = RepositoryWriter::new().piece_size(PIECE).pack_size(1);
        let object = write(&mut writer, &lab.bytes);
        let file = json!({"name": "dev/vdb", "type": "f", "size": size, "obj": object});
        let root = writer.directory(&[file]);
        writer.snapshot("app@host:/data", json!({"name": "vdb", "type": "d", "obj": root}));
        writer.finish_in(&lab.path("repo")).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn entry(&self) -> Entry {
        self.entry_of(&self.repository())
    }

    fn repository(&self) -> Repository {
        let store = FilesystemStore::open(self.path("repo")).unwrap();
        Repository::open(store, &Password::from(PASSWORD)).unwrap()
    }

    fn entry_of(&self, repository: &Repository) -> Entry {
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        match only_file(&root).unwrap() {
            FilesFound::One(path, entry) if path == "dev/vdb" => *entry,
            other => panic!("{other:?}"),
        }
    }

    /// Makes a file of these bytes, opened as a device is.
    pub(super) fn device(&self, bytes: &[u8]) -> Device {
        fs::write(self.path("disk"), bytes).unwrap();
        open(&self.path("disk"))
    }

    /// Restores over what the disk has, and returns what it has then.
    fn restore(&self, before: &[u8], options: &Options, how: DeviceOptions) -> (DeviceOutcome, Vec<u8>) {
        let device = self.device(before);
        let outcome = restore_to_device(&self.entry(), &device, options, how, &()).unwrap();
        (outcome, fs::read(self.path("disk")).unwrap())
    }
}

/// What an observer was told.
#[derive(Default)]
pub(super) struct Watching {
    stops: bool,
    pub(super) bytes: AtomicU64,
    problems: Mutex<Vec<&'static str>>,
}

impl Observer for Watching {
    fn stop(&self) -> bool {
        self.stops
    }

    fn bytes(&self, count: u64) {
        self.bytes.fetch_add(count, Ordering::Relaxed);
    }

    fn problem(&self, problem: &Problem) {
        self.problems.lock().unwrap().push(problem.reason.word());
    }
}

fn open(path: &Path) -> Device {
    let file = File::options().read(true).write(true).open(path).unwrap();
    Device::new(path.into(), OwnedFd::from(file), 512).unwrap()
}

fn both(only_differences: bool) -> DeviceOptions {
    DeviceOptions { only_differences, verify: true, ..DeviceOptions::default() }
}

#[test]
fn a_disk_is_written_whole_and_what_lies_beyond_it_stays() {
    let lab = Lab::new();
    for only_differences in [false, true] {
        let before = vec![0xee; lab.bytes.len() + 10_000];
        let (outcome, after) = lab.restore(&before, &Options::default(), both(only_differences));
        assert!(after[..lab.bytes.len()] == lab.bytes, "{only_differences}");
        assert!(after[lab.bytes.len()..].iter().all(|byte| *byte == 0xee));
        let size = lab.bytes.len() as u64;
        assert_eq!((outcome.size, outcome.device_size), (size, size + 10_000));
        assert_eq!(outcome.written + outcome.zeroed + outcome.kept, size, "{outcome:?}");
        assert_eq!((outcome.kept, outcome.lost_count, outcome.verified), (0, 0, Some(size)), "{outcome:?}");
        assert!(outcome.is_complete());
        // The long zeros but for edges, where the file system of the test can make them: of pieces, or, where
        // one content has them all, of what such pieces are together.
        let zeroed = if only_differences { 1_323_008 } else { 1_363_968 };
        assert!([0, zeroed].contains(&outcome.zeroed), "{outcome:?}");
    }
}

#[test]
fn one_that_is_stopped_is_left_as_it_is() {
    let lab = Lab::new();
    let before = vec![0xee; lab.bytes.len()];
    let (device, watching) = (lab.device(&before), Watching { stops: true, ..Watching::default() });
    for only_differences in [false, true] {
        let how = both(only_differences);
        let result = restore_to_device(&lab.entry(), &device, &Options::default(), how, &watching);
        assert!(matches!(result, Err(Error::Stopped { .. })), "{result:?}");
        assert!(fs::read(lab.path("disk")).unwrap() == before);
    }
}

#[test]
fn one_thread_that_can_be_started_is_enough_and_none_ends_it() {
    if !is_alone("device::tests::one_thread_that_can_be_started_is_enough_and_none_ends_it") {
        return;
    }
    let lab = Lab::new();
    let (device, entry) = (lab.device(&vec![0xee; lab.bytes.len()]), lab.entry());
    let options = Options { parallel: NonZeroUsize::new(3), ..Options::default() };
    let how = DeviceOptions::default();
    let restore = |count| at_most(count, || restore_to_device(&entry, &device, &options, how, &()));
    let Some(with_one) = restore(1) else { return };
    assert!(with_one.unwrap().is_complete() && fs::read(lab.path("disk")).unwrap() == lab.bytes);
    let with_none = restore(0).unwrap();
    assert!(matches!(with_none, Err(Error::Threads { .. })), "{with_none:?}");
}

/// Makes a list of pieces that have a compression header of their own each.
fn headed_pieces(writer: &mut RepositoryWriter, bytes: &[u8]) -> String {
    let mut start = 0;
    let mut pieces = Vec::new();
    for piece in bytes.chunks(PIECE) {
        pieces.push(json!({"s": start, "l": piece.len(), "o": headed(writer, piece)}));
        start += piece.len();
    }
    let list = json!({"stream": "kopia:indirect", "entries": pieces}).to_string();
    format!("I{}", writer.object(Some('x'), list.as_bytes()))
}

fn headed(writer: &mut RepositoryWriter, bytes: &[u8]) -> String {
    let headed = [&0x1000_u32.to_be_bytes()[..], &gzip(bytes)].concat();
    format!("Z{}", writer.content(None, &headed))
}

#[test]
fn what_is_named_by_its_compressed_bytes_is_written_kept_and_verified() {
    let bytes: Vec<u8> = (0..3 * PIECE + 5).map(|at| (at % 249) as u8).collect();
    for lab in [Lab::of(bytes.clone(), headed_pieces), Lab::of(bytes, headed)] {
        let size = lab.bytes.len() as u64;
        for (before, only_differences, kept) in
            [(vec![0xee; lab.bytes.len()], false, 0), (lab.bytes.clone(), true, size)]
        {
            let (outcome, after) = lab.restore(&before, &Options::default(), both(only_differences));
            assert!(after == lab.bytes);
            assert_eq!((outcome.kept, outcome.verified, outcome.lost_count), (kept, Some(size), 0));
        }
    }
}

#[test]
fn where_nothing_can_be_compared_by_hash_all_is_read_and_compared() {
    let lab = Lab::new();
    let entry = lab.entry_of(&served_without_key(&lab.repository()));
    let mut wrong = lab.bytes.clone();
    wrong[123_456] ^= 1;
    let device = lab.device(&wrong);
    let outcome = restore_to_device(&entry, &device, &Options::default(), both(true), &()).unwrap();
    assert!(fs::read(lab.path("disk")).unwrap() == lab.bytes);
    assert_eq!((outcome.verified, outcome.is_complete()), (Some(lab.bytes.len() as u64), true));
    let (device, options) = (lab.device(&wrong), Options::default());
    let of = (&entry, lab.bytes.len() as u64);
    let shared = Shared::new(of, &device, (&options, both(false)), &());
    assert_eq!(check::verify(&shared, &entry).unwrap(), (lab.bytes.len() - PIECE) as u64);
}

#[test]
fn only_what_differs_is_written() {
    let lab = Lab::new();
    let (outcome, after) = lab.restore(&lab.bytes, &Options::default(), both(true));
    assert!(after == lab.bytes);
    assert_eq!((outcome.written, outcome.zeroed, outcome.kept), (0, 0, lab.bytes.len() as u64));
    let mut before = lab.bytes.clone();
    before[5_000] ^= 1;
    before[1_000_000] = 1;
    let (outcome, after) = lab.restore(&before, &Options::default(), both(true));
    assert!(after == lab.bytes);
    // No more than a block each; pieces end within some.
    assert!((2..=2 * 4096).contains(&outcome.written), "{outcome:?}");
    assert_eq!(outcome.written + outcome.kept, lab.bytes.len() as u64);
}

#[test]
fn one_that_is_too_small_is_left_as_it_is() {
    let lab = Lab::new();
    let before = vec![7; lab.bytes.len() - 512];
    let device = lab.device(&before);
    let result = restore_to_device(&lab.entry(), &device, &Options::default(), both(false), &());
    assert!(
        matches!(result, Err(Error::DeviceTooSmall { size, needed, .. }) if size + 512 == needed),
        "{result:?}"
    );
    assert!(fs::read(lab.path("disk")).unwrap() == before);
    // The true size counts, and only zeros follow it.
    let how = DeviceOptions { true_size: Some(lab.bytes.len() as u64 - 512), ..both(false) };
    let outcome = restore_to_device(&lab.entry(), &device, &Options::default(), how, &()).unwrap();
    assert_eq!((outcome.lost_count, outcome.size), (0, before.len() as u64));
    assert!(outcome.is_complete());
    assert_eq!(outcome.verified, Some(before.len() as u64));
    assert!(fs::read(lab.path("disk")).unwrap() == lab.bytes[..before.len()]);
}

#[test]
fn what_goes_on_after_the_true_size_is_said() {
    let lab = Lab::new();
    let how = DeviceOptions { true_size: Some(1_910_272), ..both(false) };
    let (device, watching) = (lab.device(&vec![9; 1_910_272]), Watching::default());
    let outcome = restore_to_device(&lab.entry(), &device, &Options::default(), how, &watching).unwrap();
    assert!(fs::read(lab.path("disk")).unwrap() == lab.bytes[..1_910_272]);
    assert!(outcome.goes_on && outcome.lost_count == 0 && !outcome.is_complete());
    assert_eq!(*watching.problems.lock().unwrap(), ["beyond_size"], "once");
    assert_eq!(watching.bytes.into_inner(), 1_910_272);
}

#[test]
fn damage_costs_its_range_which_stays_or_is_zeroed() {
    let lab = Lab::new();
    let packs = damage::blobs(&lab.path("repo"), "p");
    // Each piece has a pack, in their order.
    packs[1].flip_bit(100, 0);
    let lost = PIECE..2 * PIECE;
    for (salvage, only_differences) in [(false, false), (true, false), (false, true), (true, true)] {
        let options = Options { salvage, ..Options::default() };
        let before = vec![0xee; lab.bytes.len()];
        let (outcome, after) = lab.restore(&before, &options, both(only_differences));
        let range = lost.start as u64..lost.end as u64;
        assert_eq!(outcome.lost.iter().map(|lost| lost.range.clone()).collect::<Vec<_>>(), [range]);
        assert_eq!((outcome.lost_bytes, outcome.lost_count), (PIECE as u64, 1));
        assert_eq!(outcome.verified, Some((lab.bytes.len() - PIECE) as u64));
        let expected = if salvage { 0 } else { 0xee };
        assert!(after[lost.clone()].iter().all(|byte| *byte == expected), "{salvage}");
        assert!(after[..lost.start] == lab.bytes[..lost.start] && after[lost.end..] == lab.bytes[lost.end..]);
    }
    // What is there is not read from the repository.
    let (outcome, _) = lab.restore(&lab.bytes, &Options::default(), both(true));
    assert_eq!((outcome.kept, outcome.lost_count), (lab.bytes.len() as u64, 0));
    let options = Options { fail_fast: true, ..Options::default() };
    let device = lab.device(&lab.bytes);
    let result = restore_to_device(&lab.entry(), &device, &options, both(false), &());
    assert!(matches!(result, Err(Error::Problem { .. })), "{result:?}");
}

#[test]
fn damage_of_one_compressed_content_costs_the_whole_file() {
    let lab = Lab::of((0..3 * PIECE).map(|at| (at % 249) as u8).collect(), headed);
    damage::blobs(&lab.path("repo"), "p")[0].flip_bit(100, 0);
    let before = vec![0xee; lab.bytes.len()];
    for (salvage, expected) in [(false, 0xee), (true, 0)] {
        let options = Options { salvage, ..Options::default() };
        let (outcome, after) = lab.restore(&before, &options, both(false));
        let size = lab.bytes.len() as u64;
        assert_eq!((outcome.lost_count, outcome.lost[0].range.clone()), (1, 0..size));
        assert_eq!((outcome.lost_bytes, outcome.verified), (size, Some(0)));
        assert!(after.iter().all(|byte| *byte == expected), "{salvage}");
    }
}

/// Makes a list of no pieces.
fn no_pieces(writer: &mut RepositoryWriter, _: &[u8]) -> String {
    let list = json!({"stream": "kopia:indirect", "entries": []}).to_string();
    format!("I{}", writer.object(Some('x'), list.as_bytes()))
}

#[test]
fn what_a_file_lacks_of_the_size_that_its_entry_states_is_lost() {
    let size = 3 * PIECE + 50_000;
    let before = vec![0xee; size];
    let (short, empty) = (vec![7; 3 * PIECE], Vec::new());
    for lab in [Lab::stating(size, short, RepositoryWriter::file), Lab::stating(size, empty, no_pieces)] {
        let found = lab.bytes.len();
        for (salvage, only_differences, rest) in [(false, false, 0xee), (true, true, 0)] {
            let options = Options { salvage, ..Options::default() };
            let (outcome, after) = lab.restore(&before, &options, both(only_differences));
            assert!(after[..found] == lab.bytes && after[found..].iter().all(|byte| *byte == rest));
            let lost = &outcome.lost[0];
            assert_eq!((outcome.lost_count, lost.range.clone()), (1, found as u64..size as u64));
            assert_eq!(lost.reason.word(), "wrong_length");
            assert_eq!((outcome.size, outcome.verified), (size as u64, Some(found as u64)));
            assert!(!outcome.is_complete());
        }
        let options = Options { fail_fast: true, ..Options::default() };
        let device = lab.device(&before);
        let result = restore_to_device(&lab.entry(), &device, &options, both(false), &());
        assert!(matches!(result, Err(Error::Problem { .. })), "{result:?}");
        assert!(fs::read(lab.path("disk")).unwrap() == before, "nothing is written");
    }
}

/// Makes a list of pieces that have a compression header of their own each, and 10 bytes less than it says.
fn short_pieces(writer: &mut RepositoryWriter, bytes: &[u8]) -> String {
    let mut start = 0;
    let mut pieces = Vec::new();
    for piece in bytes.chunks(PIECE) {
        pieces.push(json!({"s": start, "l": piece.len(), "o": headed(writer, &piece[..piece.len() - 10])}));
        start += piece.len();
    }
    let list = json!({"stream": "kopia:indirect", "entries": pieces}).to_string();
    format!("I{}", writer.object(Some('x'), list.as_bytes()))
}

#[test]
fn what_is_shorter_unpacked_than_its_list_says_is_lost() {
    let lab = Lab::of((0..2 * PIECE).map(|at| (at % 249) as u8).collect(), short_pieces);
    let before = vec![0xee; lab.bytes.len()];
    for only_differences in [false, true] {
        let (outcome, after) = lab.restore(&before, &Options::default(), both(only_differences));
        assert_eq!((outcome.lost_count, outcome.verified), (2, Some(0)), "{outcome:?}");
        assert_eq!(outcome.lost_bytes, lab.bytes.len() as u64);
        assert!(outcome.lost.iter().all(|lost| lost.reason.word() == "wrong_content_length"));
        assert!(after == before);
    }
}

#[test]
fn what_one_content_lacks_of_the_size_that_its_entry_states_is_lost() {
    let bytes: Vec<u8> = (0..PIECE - 5).map(|at| (at % 249) as u8).collect();
    let (found, size) = (bytes.len(), bytes.len() + 20_000);
    let [unpacked, served] =
        [headed, RepositoryWriter::file].map(|write| Lab::stating(size, bytes.clone(), write));
    for (lab, entry) in
        [(&unpacked, unpacked.entry()), (&served, served.entry_of(&served_without_key(&served.repository())))]
    {
        for only_differences in [false, true] {
            let device = lab.device(&vec![0xee; size]);
            let how = both(only_differences);
            let outcome = restore_to_device(&entry, &device, &Options::default(), how, &()).unwrap();
            let lost = &outcome.lost[0];
            assert_eq!((outcome.lost_count, lost.range.clone()), (1, found as u64..size as u64));
            assert_eq!(lost.reason.word(), "wrong_length");
            let after = fs::read(lab.path("disk")).unwrap();
            assert!(after[..found] == bytes && after[found..].iter().all(|byte| *byte == 0xee));
        }
    }
}

#[test]
fn what_a_file_lacks_of_its_padding_is_not_missed() {
    let found = 3 * PIECE;
    let lab = Lab::stating(found + 50_000, vec![7; found], RepositoryWriter::file);
    let how = DeviceOptions { true_size: Some(found as u64), ..both(false) };
    let (outcome, after) = lab.restore(&vec![0xee; found], &Options::default(), how);
    assert!(after == lab.bytes && outcome.is_complete(), "{outcome:?}");
    assert_eq!((outcome.size, outcome.verified), (found as u64, Some(found as u64)));
}

#[test]
fn what_reads_back_as_something_else_is_found() {
    let lab = Lab::new();
    let mut wrong = lab.bytes.clone();
    wrong[1_234_567] = 1;
    let device = lab.device(&wrong);
    let (entry, options) = (lab.entry(), Options::default());
    let of = (&entry, lab.bytes.len() as u64);
    let shared = Shared::new(of, &device, (&options, both(false)), &());
    let right = check::verify(&shared, &entry).unwrap();
    assert_eq!(right, (lab.bytes.len() - PIECE) as u64);
    let outcome = shared.finish(Some(right));
    let lost = &outcome.lost[0];
    assert_eq!((outcome.lost_count, lost.reason.word()), (1, "reads_different"));
    assert!(lost.range.contains(&1_234_567));
}
