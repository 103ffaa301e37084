//! The folder of a repository: where `.shards` has blobs looked for.

use std::cell::OnceCell;
use std::fs;

use kopia_format::BlobId;
use kopia_storage::{BlobStore, FilesystemStore};
use tempfile::TempDir;

use crate::scratch;

/// What lies beside the repository's folder and must never be read.
const OUTSIDE: &[u8] = b"outside";

thread_local! {
    /// One folder for all runs of a thread, as making one takes longer than a run.
    static PLACE: OnceCell<TempDir> = const { OnceCell::new() };
}

/// The file `.shards`, up to a NUL byte, and after it names of blobs, one a line: none is read from outside the folder.
pub fn shards(bytes: &[u8]) {
    let (json, names) = match bytes.iter().position(|&byte| byte == 0) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &b"p0638154a08df93c269693324852cef8c\n....outside\n..outside"[..]),
    };
    PLACE.with(|place| {
        let place = place.get_or_init(make).path();
        let folder = place.join("repository");
        fs::write(folder.join(".shards"), json).expect("the folder is ours");
        let Ok(store) = FilesystemStore::open(&folder) else { return };
        let names = names.split(|&byte| byte == b'\n').filter_map(|name| std::str::from_utf8(name).ok());
        for id in names.filter_map(|name| BlobId::new(name).ok()).take(16) {
            assert!(store.read(&id).is_err(), "{id} is not in the folder");
            assert!(store.length(&id).is_err(), "{id} is not in the folder");
        }
    });
}

/// A folder with a repository's folder in it, and files that names with `..` could lead to.
fn make() -> TempDir {
    let place = scratch::folder();
    fs::create_dir(place.path().join("repository")).expect("a folder of our own");
    for name in ["outside.f", "utside.f", ".f", "repository.f"] {
        fs::write(place.path().join(name), OUTSIDE).expect("a folder of our own");
    }
    place
}
