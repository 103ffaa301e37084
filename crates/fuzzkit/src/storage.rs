//! The directory of a repository: where `.shards` makes the store look for blobs.

use std::cell::OnceCell;
use std::fs;

use kopia_format::BlobId;
use kopia_storage::{BlobStore, FilesystemStore};
use tempfile::TempDir;

use crate::scratch;

/// The bytes of files beside the repository's directory, which must never be read.
const OUTSIDE: &[u8] = b"outside";

thread_local! {
    /// One directory for all runs of a thread, as making one takes longer than a run.
    static PLACE: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Opens a store by `.shards`, the bytes up to a NUL, and reads blobs by names, one a line after it.
///
/// None may be read from outside the directory.
pub fn shards(bytes: &[u8]) {
    let (json, names) = match bytes.iter().position(|&byte| byte == 0) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &b"p0638154a08df93c269693324852cef8c\n....outside\n..outside"[..]),
    };
    PLACE.with(|place| {
        let place = place.get_or_init(make).path();
        let directory = place.join("repository");
        fs::write(directory.join(".shards"), json).expect("the directory is ours");
        let Ok(store) = FilesystemStore::open(&directory) else { return };
        let names = names.split(|&byte| byte == b'\n').filter_map(|name| std::str::from_utf8(name).ok());
        for id in names.filter_map(|name| BlobId::new(name).ok()).take(16) {
            assert!(store.read(&id).is_err(), "{id} is not in the directory");
            assert!(store.length(&id).is_err(), "{id} is not in the directory");
        }
    });
}

/// A directory with a repository's directory in it, and files that names with `..` could lead to.
fn make() -> TempDir {
    let place = scratch::directory();
    fs::create_dir(place.path().join("repository")).expect("a directory of our own");
    for name in ["outside.f", "utside.f", ".f", "repository.f"] {
        fs::write(place.path().join(name), OUTSIDE).expect("a directory of our own");
    }
    place
}
