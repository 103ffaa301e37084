//! Blobs in whatever `object_store` reaches.

use std::io;
use std::ops::Range;
use std::sync::{Arc, LazyLock, mpsc};

use kopia_rs::BlobId;
use kopia_rs::storage::{BlobInfo, PlainStore};
use object_store::{ObjectStore, ObjectStoreExt, Result, path::Path};
use tokio::runtime::Runtime;

/// Requests run here and never on the thread of a caller, who may be within a runtime of his own.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("the system has threads"));

fn wait<T: Send + 'static>(request: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let (sender, receiver) = mpsc::channel();
    RUNTIME.spawn(async move { sender.send(request.await) });
    receiver.recv().expect("a request ends")
}

/// Blobs as objects in one folder of a store. `object_store` knows folders alone, so a prefix ends with `/`.
#[derive(Debug, Clone)]
pub struct Objects {
    pub store: Arc<dyn ObjectStore>,
    pub folder: Path,
}

impl PlainStore for Objects {
    fn location(&self) -> String {
        format!("{}/{}", self.store, self.folder)
    }

    fn list(&self, _prefix: &str) -> io::Result<Vec<BlobInfo>> {
        let Self { store, folder } = self.clone();
        let objects = wait(async move { store.list_with_delimiter(Some(&folder)).await })?.objects;
        let blobs = objects.into_iter().filter_map(|object| {
            let id = object.location.filename()?.parse().ok()?;
            Some(BlobInfo::new(id, object.size).with_modified(Some(object.last_modified.into())))
        });
        Ok(blobs.collect())
    }

    fn length(&self, id: &BlobId) -> io::Result<u64> {
        let (store, path) = (self.store.clone(), self.folder.clone().join(id.as_str()));
        Ok(wait(async move { store.head(&path).await })?.size)
    }

    fn read(&self, id: &BlobId, range: Range<u64>) -> io::Result<Vec<u8>> {
        let (store, path) = (self.store.clone(), self.folder.clone().join(id.as_str()));
        Ok(wait(async move { store.get_range(&path, range).await })?.into())
    }
}

#[cfg(test)]
mod tests {
    use kopia_rs::storage::CheckedStore;
    use kopia_rs::storage::testing::conformance;
    use kopia_rs::{Password, Repository};
    use kopia_testkit::golden;
    use object_store::PutPayload;
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;

    use super::*;

    fn objects(
        store: impl ObjectStore,
        folder: &str,
        blobs: &[(BlobId, Vec<u8>)],
    ) -> CheckedStore<Objects> {
        let objects = Objects { store: Arc::new(store), folder: Path::from(folder) };
        for (id, bytes) in blobs {
            let (store, path) = (objects.store.clone(), objects.folder.clone().join(id.as_str()));
            let bytes = PutPayload::from(bytes.clone());
            wait(async move { store.put(&path, bytes).await }).expect("an object is written");
        }
        CheckedStore(objects)
    }

    #[test]
    fn it_keeps_the_contract_of_stores() {
        conformance::check(|blobs| objects(InMemory::new(), "a/b", blobs));
        conformance::check(|blobs| objects(InMemory::new(), "", blobs));
        let directory = tempfile::tempdir().expect("a directory is made");
        let mut number = 0;
        conformance::check(|blobs| {
            number += 1;
            let store = LocalFileSystem::new_with_prefix(directory.path()).expect("a directory is there");
            objects(store, &format!("kopia{number}"), blobs)
        });
    }

    #[test]
    fn a_repository_reads_right_within_a_runtime_as_well() {
        let case = golden::case("epochs");
        let blobs =
            case.blobs().into_iter().map(|(id, bytes)| (id.parse().expect("a name of a blob"), bytes));
        let blobs: Vec<(BlobId, Vec<u8>)> = blobs.collect();
        let store = objects(InMemory::new(), "kopia", &blobs);
        let open = move || {
            let repository = Repository::open(store, &Password::from(&*case.password)).expect("it opens");
            repository.snapshots().expect("snapshots are listed").iter().count()
        };
        let own = Runtime::new().expect("the system has threads");
        assert!(own.block_on(async { open() }) > 0);
    }
}
