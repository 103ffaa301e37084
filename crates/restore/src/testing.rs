//! What tests of several modules make.

use std::panic::resume_unwind;
use std::sync::Arc;

use kopia_codec::key::Password;
use kopia_repository::{Entry, OpenOptions, Repository};
use kopia_storage::MemoryStore;
use kopia_storage::server::{Parameters, ServedManifest};
use kopia_storage::testing::MemoryServer;
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use serde_json::{Value, json};

/// Finishes a repository with a snapshot of these entries, and returns their directory.
pub(crate) fn root_of(mut writer: RepositoryWriter, entries: &[Value]) -> Entry {
    let root = writer.directory(entries);
    writer.snapshot("app@host:/data", json!({"name": "data", "type": "d", "obj": root}));
    only_root(writer)
}

/// Finishes a repository with one snapshot, and returns its root.
pub(crate) fn only_root(writer: RepositoryWriter) -> Entry {
    opened(writer).snapshots().unwrap().iter().next().unwrap().root().unwrap()
}

/// Finishes a repository and opens it.
pub(crate) fn opened(writer: RepositoryWriter) -> Repository {
    let blobs = writer.finish().into_iter();
    let store: MemoryStore = blobs.map(|(name, bytes)| (name.parse().unwrap(), bytes)).collect();
    Repository::open(store, &Password::from(PASSWORD)).unwrap()
}

/// Puts a repository behind a server that keeps the key of the hash to itself, as the REST API of kopia's
/// server does.
pub(crate) fn served_without_key(whole: &Repository) -> Repository {
    served(whole, false)
}

/// As [`served_without_key`]; with `root_is_guessed`, the server does not tell the attributes of roots.
pub(crate) fn served(whole: &Repository, root_is_guessed: bool) -> Repository {
    let mut server = MemoryServer::new(Parameters::without_secret("BLAKE2B-256-128"));
    let contents = whole.contents();
    contents.for_each(|content, _| server.insert(content, contents.read(&content).unwrap()));
    for snapshot in &whole.snapshots().unwrap() {
        let (source, id) = (snapshot.source(), snapshot.id().parse().unwrap());
        let labels = [
            ("type", "snapshot"),
            ("username", &source.user),
            ("hostname", &source.host),
            ("path", &source.path),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let payload = serde_json::to_vec(snapshot.manifest()).unwrap();
        let modified = snapshot.start_time();
        server.insert_manifest(ServedManifest { id, modified, labels, root_is_guessed }, payload);
    }
    Repository::open_server(Arc::new(server), &OpenOptions::default()).unwrap()
}

/// Runs something in a thread that lacks all capabilities: what modes forbid, they forbid to root as well.
pub(crate) fn without_capabilities<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    let work = || {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        set_capabilities(None, sets).unwrap();
        run()
    };
    std::thread::scope(|scope| scope.spawn(work).join().unwrap_or_else(|panic| resume_unwind(panic)))
}
