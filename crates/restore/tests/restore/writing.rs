//! How files are written: with holes where that is asked for.

use std::fs;
use std::os::unix::fs::MetadataExt;

use kopia_restore::{Options, PageCache};
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
