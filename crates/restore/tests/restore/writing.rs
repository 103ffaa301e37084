//! How files are written: with holes where that is asked for, and by many at once.

use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};

use kopia_restore::{Error, Observer, Options, PageCache, restore_observed};
use kopia_testkit::writer::RepositoryWriter;

use crate::common::{Place, file, folder};

#[test]
fn zeros_stay_holes_where_that_is_asked_for() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new().piece_size(1 << 20);
    // Data, zeros over several pieces, data that begins in the middle of a block, zeros up to the end.
    let mut large = vec![0; 5_000_001];
    large[..100].fill(1);
    large[3_000_001..3_100_000].fill(2);
    let mut small = vec![0; 100_000];
    small[50_000] = 3;
    let zeros = vec![0; 300_000];
    let files = [("large", &large), ("small", &small), ("zeros", &zeros)];
    let entries = files.map(|(name, bytes)| {
        let object = writer.file(bytes);
        file(name, &object, bytes.len())
    });
    let root = folder("data", &writer.directory(&entries));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);

    // Whether the file system of this test has holes at all.
    let probe = fs::File::create(place.path("probe")).unwrap();
    probe.set_len(1 << 20).unwrap();
    let has_holes = probe.metadata().unwrap().blocks() == 0;

    for (name, sparse, page_cache) in [
        ("sparse", true, PageCache::Auto),
        ("full", false, PageCache::Auto),
        ("full, kept", false, PageCache::Keep),
    ] {
        let mut options = Options::default();
        (options.sparse, options.page_cache) = (sparse, page_cache);
        let outcome = kopia_restore::restore(&root, place.path(name), &options).unwrap();
        assert_eq!((outcome.files, outcome.problem_count), (3, 0));
        for (file, bytes) in files {
            let path = place.path(name).join(file);
            assert!(fs::read(&path).unwrap() == *bytes, "{name}: {file}");
            let room = fs::metadata(&path).unwrap().blocks() * 512;
            if sparse && has_holes {
                assert!(room < 250_000 && room < bytes.len() as u64, "{file} takes {room} bytes");
            } else if !sparse {
                assert!(room >= bytes.len() as u64 / 2, "{file} takes {room} bytes");
            }
        }
    }
}

/// Counts bytes, and stops the restore once there are so many.
struct Bytes {
    written: AtomicU64,
    most: u64,
}

impl Bytes {
    fn up_to(most: u64) -> Self {
        Self { written: AtomicU64::default(), most }
    }
}

impl Observer for Bytes {
    fn bytes(&self, count: u64) {
        self.written.fetch_add(count, Ordering::Relaxed);
    }

    fn stop(&self) -> bool {
        self.written.load(Ordering::Relaxed) > self.most
    }
}

/// More decode than may write one file at a time, so pieces are left to each other all the time: each is
/// written and counted once, whenever the restore stops.
#[test]
fn many_write_one_file_and_lose_no_piece() {
    let place = Place::in_memory();
    let mut writer = RepositoryWriter::new().piece_size(200_000);
    let bytes: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let object = writer.file(&bytes);
    let root = folder("data", &writer.directory(&[file("large", &object, bytes.len())]));
    writer.snapshot("app@host:/data", root);
    let root = place.finish("repo", writer);
    let mut options = Options::default();
    options.parallel = NonZeroUsize::new(8);
    let size = bytes.len() as u64;
    for round in 0..4 {
        let target = place.path(&format!("t{round}"));
        for part in 1..=round {
            let observer = Bytes::up_to(size * part / 4);
            match restore_observed(&root, &target, &options, &observer) {
                Err(Error::Stopped { .. }) => {}
                // What is under way when it is stopped is brought to its end, and that may be all.
                Ok(_) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let observer = Bytes::up_to(u64::MAX);
        let outcome = restore_observed(&root, &target, &options, &observer).unwrap();
        assert_eq!((outcome.files + outcome.kept, outcome.problem_count), (1, 0));
        assert_eq!(observer.written.into_inner(), size, "bytes are told of once");
        assert!(fs::read(target.join("large")).unwrap() == bytes);
    }
}
