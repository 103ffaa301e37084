//! How an export ends before its end, and what it holds at once.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_codec::key::Password;
use kopia_export::{Error, Format, Observer, Options, export};
use kopia_repository::{Entry, Repository};
use kopia_storage::MemoryStore;
use kopia_storage::testing::CountingStore;
use kopia_testkit::random::Random;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};

use crate::common::{Place, file, folder, options};

/// Two hundred files of 2,000 bytes and one of 100,000, in packs of 50,000.
fn write() -> RepositoryWriter {
    let mut writer = RepositoryWriter::new().piece_size(5000).pack_size(50_000);
    let mut random = Random::of("ends");
    let mut entries: Vec<_> = (0..200)
        .map(|number| file(&format!("f{number:03}"), &writer.file(&random.bytes(2000)), 2000))
        .collect();
    entries.push(file("large", &writer.file(&random.bytes(100_000)), 100_000));
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    writer
}

fn root(place: &Place) -> Entry {
    write().finish_in(&place.path("repo")).unwrap();
    place.open()
}

const FORMATS: [Format; 4] = [Format::Tar, Format::TarGz, Format::TarZst, Format::Zip];

/// Takes so many bytes, and fails then.
struct Fails(usize);

impl Write for Fails {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = bytes.len().min(self.0);
        self.0 -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The windows that tests try: all in memory, and hardly anything.
fn small(format: Format) -> Options {
    let mut options = options(format);
    options.window = 30_000;
    options
}

#[test]
fn a_writer_that_fails_ends_it_wherever_it_is() {
    let place = Place::new();
    let root = root(&place);
    for format in FORMATS {
        for room in (0..500_000).step_by(70_000) {
            let ended = export(&root, Fails(room), &small(format), &());
            let Err(Error::Output { source }) = &ended else { panic!("{format:?} {room}: {ended:?}") };
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        }
    }
}

/// Asks to stop after so many questions.
struct StopsAfter(AtomicU64);

impl Observer for StopsAfter {
    fn stop(&self) -> bool {
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        before.is_err()
    }
}

#[test]
fn it_stops_when_it_is_asked_to() {
    let place = Place::new();
    let root = root(&place);
    for questions in [0, 1, 100, 210] {
        let ended = export(&root, io::sink(), &small(Format::Tar), &StopsAfter(questions.into()));
        assert!(matches!(ended, Err(Error::Stopped)), "{questions}: {ended:?}");
    }
}

/// Panics at the tenth entry, or at the first piece of a long file.
struct Panics(bool);

impl Observer for Panics {
    fn entry(&self) {
        assert!(self.0, "as a test wants it");
    }

    fn checked(&self, _: u64) {
        assert!(!self.0, "as a test wants it");
    }
}

#[test]
fn a_panic_of_the_observer_holds_up_nobody() {
    let place = Place::new();
    let root = root(&place);
    for in_worker in [false, true] {
        let export = || export(&root, io::sink(), &small(Format::Tar), &Panics(in_worker));
        assert!(catch_unwind(AssertUnwindSafe(export)).is_err());
    }
}

/// A repository in memory that counts what is read of it.
fn counted() -> (Arc<CountingStore<MemoryStore>>, Entry) {
    let memory = MemoryStore::new();
    for (name, blob) in write().finish() {
        memory.insert(name.parse().unwrap(), blob);
    }
    let store = Arc::new(CountingStore::new(memory));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    store.take();
    (store, root)
}

#[test]
fn neighbours_are_read_at_once_and_once() {
    let (store, root) = counted();
    let _ = export(&root, io::sink(), &Options::default(), &()).unwrap();
    let ranges = store.take().ranges;
    let packs = ranges.iter().filter(|read| read.blob.as_str().starts_with('p')).count();
    let bytes: u64 = ranges.iter().map(|read| read.length as u64).sum();
    assert!(packs <= 12, "one read for each of ten packs or so: {packs}");
    assert!(bytes < 600_000, "{bytes}");
}

/// Compares what was read with what was written, each time that something is written.
struct Compares<'a> {
    store: &'a CountingStore<MemoryStore>,
    read: u64,
    written: u64,
    most: u64,
}

impl Write for Compares<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len() as u64;
        self.read += self.store.take().ranges.iter().map(|read| read.length as u64).sum::<u64>();
        self.most = self.most.max(self.read.saturating_sub(self.written));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_more_is_decoded_than_the_window_holds() {
    let (store, root) = counted();
    let most = |window: u64| {
        store.take();
        let mut out = Compares { store: &store, read: 0, written: 0, most: 0 };
        let mut options = Options::default();
        options.window = window;
        let _ = export(&root, &mut out, &options, &()).unwrap();
        out.most
    };
    // The large file is read twice, and 256 KiB are written at once.
    let (whole, small) = (most(64 << 20), most(30_000));
    assert!(whole > 100_000, "{whole}");
    assert!(small < 60_000 + 270_000 + 100_000, "{small}");
}
