//! What damage costs, and what reading costs.

use std::fs;
use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_repository::Repository;
use kopia_restore::Options;
use kopia_storage::MemoryStore;
use kopia_storage::testing::CountingStore;
use kopia_testkit::damage;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::Value;

use crate::common::{Place, file, folder, names, problems};

/// Ten files of a thousand bytes each in a folder `d`, and one beside it.
fn write(writer: &mut RepositoryWriter) -> Value {
    let files: Vec<_> = (0..10u8)
        .map(|number| {
            let bytes = writer.file(&[number; 1000]);
            file(&format!("f{number}"), &bytes, 1000)
        })
        .collect();
    let beside = writer.file(b"beside");
    let inner = writer.directory(&files);
    folder("data", &writer.directory(&[folder("d", &inner), file("beside", &beside, 6)]))
}

#[test]
fn a_flipped_bit_costs_one_file() {
    let place = Place::new();
    let root = place.root("repo", write);
    let pack = &damage::blobs(&place.path("repo"), "p")[0];
    // Contents lie back to back after 32 bytes, 28 longer than their files.
    pack.flip_bit(32 + 3 * 1028 + 500, 0);
    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.files, outcome.problem_count), (10, 1));
    let problem = &problems(&outcome)[0];
    assert!(
        problem.starts_with("d/f3: content ") && problem.contains("offset 3116, 1028 bytes"),
        "{problem}"
    );
    assert!(!names(&place.path("target/d")).contains(&"f3".to_string()));
    assert_eq!(fs::read(place.path("target/d/f4")).unwrap(), [4; 1000]);
}

#[test]
fn a_pack_cut_short_costs_what_was_cut() {
    let place = Place::new();
    let root = place.root("repo", write);
    damage::blobs(&place.path("repo"), "p")[0].truncate(32 + 7 * 1028 + 1);
    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.files, outcome.problem_count), (7, 4), "{:?}", problems(&outcome));
    assert_eq!(names(&place.path("target/d")), ["f0", "f1", "f2", "f3", "f4", "f5", "f6"]);
}

#[test]
fn a_missing_pack_costs_its_files_and_folders_keep_their_times() {
    let place = Place::new();
    let root = place.root("repo", write);
    damage::blobs(&place.path("repo"), "p")[0].delete();
    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.files, outcome.directories, outcome.problem_count), (0, 2, 11));
    assert!(problems(&outcome).iter().all(|problem| problem.contains("blob p")), "{:?}", problems(&outcome));
    assert!(names(&place.path("target/d")).is_empty());
    let metadata = fs::metadata(place.path("target/d")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::mtime(&metadata), 1_577_934_245);
}

#[test]
fn a_damaged_folder_costs_its_entries() {
    let place = Place::new();
    let root = place.root("repo", write);
    let pack = &damage::blobs(&place.path("repo"), "q")[0];
    pack.flip_bit(32 + 100, 3);
    let outcome = place.restore(&root, "target");
    assert_eq!((outcome.files, outcome.directories), (1, 2));
    assert!(problems(&outcome)[0].starts_with("d: content k"), "{:?}", problems(&outcome));
}

#[test]
fn a_damaged_root_creates_nothing() {
    let place = Place::new();
    let root = place.root("repo", write);
    let pack = &damage::blobs(&place.path("repo"), "q")[0];
    for byte in (32..pack.read().len()).step_by(64) {
        pack.flip_bit(byte, 0);
    }
    let result = kopia_restore::restore(&root, place.path("new/target"), &Options::default());
    assert!(matches!(result, Err(kopia_restore::Error::Repository(_))), "{result:?}");
    assert!(!place.path("new").exists());
}

#[test]
fn every_range_is_read_once() {
    let place = Place::new();
    let mut writer = RepositoryWriter::new().piece_size(1000);
    // Two files share all their pieces, and every piece is needed twice in each.
    let bytes: Vec<u8> = (0..20u8).chain(0..20).flat_map(|number| [number; 1000]).collect();
    let object = writer.file(&bytes);
    let root = writer.directory(&[file("a", &object, bytes.len()), file("b", &object, bytes.len())]);
    writer.snapshot("app@host:/data", folder("data", &root));
    let memory = MemoryStore::new();
    for (name, blob) in writer.finish() {
        memory.insert(name.parse().unwrap(), blob);
    }
    let store = Arc::new(CountingStore::new(memory));
    let repository = Repository::open(store.clone(), &Password::from(PASSWORD)).unwrap();
    let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
    store.take();
    let outcome = kopia_restore::restore(&root, place.path("target"), &Options::default()).unwrap();
    assert_eq!((outcome.files, outcome.problem_count, outcome.bytes), (2, 0, 80_000));
    for name in ["target/a", "target/b"] {
        assert_eq!(fs::read(place.path(name)).unwrap(), bytes);
    }
    let reads = store.take().ranges;
    let data: Vec<_> = reads.iter().filter(|read| read.blob.as_str().starts_with('p')).collect();
    assert_eq!(data.len(), 1, "twenty neighbours that eighty pieces need: {data:?}");
    assert_eq!((data[0].offset, data[0].length), (32, 20 * 1028));
}
