//! What tests of several modules make.

use kopia_codec::key::Password;
use kopia_storage::MemoryStore;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::json;

use crate::Repository;

/// Finishes a repository and opens it.
pub(crate) fn open(writer: RepositoryWriter) -> Repository {
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

/// Adds a list of pieces, each by its length and its object, and returns the object that it makes.
pub(crate) fn list(writer: &mut RepositoryWriter, pieces: &[(usize, &str)]) -> String {
    let mut start = 0;
    let mut entries = Vec::new();
    for (length, object) in pieces {
        entries.push(json!({"s": start, "l": length, "o": object}));
        start += length;
    }
    let json = json!({"stream": "kopia:indirect", "entries": entries}).to_string();
    format!("I{}", writer.content(Some('x'), json.as_bytes()))
}
