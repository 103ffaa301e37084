//! The memory of a restore does not grow with the number of files.

use std::num::NonZeroUsize;
use std::path::Path;

use kopia_codec::key::Password;
use kopia_repository::{OpenOptions, Repository};
use kopia_restore::Options;
use kopia_storage::FilesystemStore;
use kopia_testkit::huge::HugeTree;
use kopia_testkit::peak;
use kopia_testkit::writer::PASSWORD;

/// Restores a tree of this shape into an empty directory, and returns the most bytes that this took in
/// memory. Two threads work, whatever the machine has: each has buffers and a heap of its own.
fn peak_of(test: &str, shape: &[u64]) -> Option<u64> {
    let tree = HugeTree::new(shape);
    let set_up = |place: &Path| tree.write_in(&place.join("repository")).unwrap();
    let restore = |place: &Path| {
        let store = FilesystemStore::open(place.join("repository")).unwrap();
        let two = NonZeroUsize::new(2);
        let mut open = OpenOptions::default();
        open.resources.threads = two;
        let repository = Repository::open_with(store, &Password::from(PASSWORD), &open).unwrap();
        let root = repository.snapshots().unwrap().iter().next().unwrap().root().unwrap();
        let mut options = Options::default();
        options.parallel = two;
        let outcome = kopia_restore::restore(&root, place.join("target"), &options).unwrap();
        assert_eq!((outcome.files, outcome.problem_count), (tree.files(), 0));
    };
    peak::of(test, &format!("{shape:?}"), set_up, restore)
}

#[test]
fn files_that_are_written_take_no_memory_any_longer() {
    let test = "memory::files_that_are_written_take_no_memory_any_longer";
    // Six batches, so that all that is under way at once is there, and twelve.
    let [Some(some), Some(more)] = [[100, 1000], [200, 1000]].map(|shape| peak_of(test, &shape)) else {
        return;
    };
    let grown = more.saturating_sub(some);
    // Hardly a name for each of 100,000 files.
    assert!(grown <= 8 << 20, "{some} bytes, and {more} for twice as many files");
}

/// Prints what restores of such shapes take, each as numbers with commas: `SHAPES="1000,10 100000"`.
#[test]
#[ignore = "measures, and takes long"]
fn of_shapes() {
    let shapes = std::env::var("SHAPES").unwrap_or_else(|_| "1000000 2000000 100,100,100".into());
    for text in shapes.split_whitespace() {
        let shape: Vec<u64> = text.split(',').map(|number| number.parse().unwrap()).collect();
        if let Some(bytes) = peak_of("memory::of_shapes", &shape) {
            println!("{text}: {:.1} MiB", bytes as f64 / f64::from(1 << 20));
        }
    }
}
