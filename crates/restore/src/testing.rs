//! What tests of several modules make.

use std::sync::Arc;

use kopia_repository::{OpenOptions, Repository};
use kopia_storage::server::{Parameters, ServedManifest};
use kopia_storage::testing::MemoryServer;

/// Puts a repository behind a server that keeps the key of the hash to itself, as the REST API of kopia's
/// server does.
pub(crate) fn served_without_key(whole: &Repository) -> Repository {
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
        server.insert_manifest(ServedManifest { id, modified: snapshot.start_time(), labels }, payload);
    }
    Repository::open_server(Arc::new(server), &OpenOptions::default()).unwrap()
}
