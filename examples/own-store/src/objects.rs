//! Blobs in whatever `object_store` reaches.

use std::future::Future;
use std::sync::{Arc, LazyLock, mpsc};

use kopia_rs::BlobId;
use kopia_rs::storage::{BlobBytes, BlobInfo, BlobStore, Error, ReadProfile, Result, WHOLE_BLOB_LIMIT};
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStore, ObjectStoreExt};
use tokio::runtime::Runtime;

/// Requests run here and never on the thread of a caller, who may be within a runtime of his own.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("the system has threads"));

fn wait<T: Send + 'static>(request: impl Future<Output = T> + Send + 'static) -> T {
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

impl Objects {
    fn failed(&self, blob: &BlobId, offset: u64, error: ObjectError) -> Error {
        let (blob, place) = (blob.clone(), self.location());
        match error {
            ObjectError::NotFound { .. } => Error::NotFound { blob, place },
            other => Error::Read { blob, place, offset, source: std::io::Error::other(other) },
        }
    }
}

impl BlobStore for Objects {
    fn location(&self) -> String {
        format!("{}/{}", self.store, self.folder)
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let Self { store, folder } = self.clone();
        let listed = wait(async move { store.list_with_delimiter(Some(&folder)).await });
        let listed = listed.map_err(|error| Error::List { place: self.location(), source: error.into() })?;
        let blobs = listed.objects.into_iter().filter_map(|object| {
            let id = object.location.filename()?.parse().ok()?;
            Some(BlobInfo::new(id, object.size).with_modified(Some(object.last_modified.into())))
        });
        let mut blobs: Vec<_> = blobs.filter(|blob| blob.id.as_str().starts_with(prefix)).collect();
        blobs.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(blobs)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        let (store, path) = (self.store.clone(), self.folder.clone().join(id.as_str()));
        wait(async move { store.head(&path).await })
            .map(|meta| meta.size)
            .map_err(|error| self.failed(id, 0, error))
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        let length = self.length(id)?;
        if length > WHOLE_BLOB_LIMIT {
            return Err(Error::TooLarge { blob: id.clone(), place: self.location(), length });
        }
        Ok(self.read_range(id, 0, length as usize, Vec::new())?.into_buffer())
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, _buffer: Vec<u8>) -> Result<BlobBytes> {
        let (store, path) = (self.store.clone(), self.folder.clone().join(id.as_str()));
        let end = offset.saturating_add(length as u64);
        let read = wait(async move { store.get_range(&path, offset..end).await });
        match read {
            Ok(bytes) if bytes.len() == length => return Ok(Vec::from(bytes).into()),
            Err(error @ ObjectError::NotFound { .. }) => return Err(self.failed(id, offset, error)),
            _ => {}
        }
        // Stores cut a range that is too long, and refuse one that is empty or begins at the end.
        let (blob, place, wanted) = (id.clone(), self.location(), length as u64);
        match (self.length(id)?, read) {
            (length, _) if end > length => Err(Error::Short { blob, place, offset, wanted, length }),
            (_, Err(error)) if wanted > 0 => Err(self.failed(id, offset, error)),
            _ => Ok(Vec::new().into()),
        }
    }

    fn profile(&self) -> ReadProfile {
        ReadProfile::NETWORK
    }
}

#[cfg(test)]
mod tests {
    use kopia_rs::storage::testing::conformance;
    use kopia_rs::{Password, Repository};
    use kopia_testkit::golden;
    use object_store::PutPayload;
    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;

    use super::*;

    fn objects(store: impl ObjectStore, folder: &str, blobs: &[(BlobId, Vec<u8>)]) -> Objects {
        let objects = Objects { store: Arc::new(store), folder: Path::from(folder) };
        for (id, bytes) in blobs {
            let (store, path) = (objects.store.clone(), objects.folder.clone().join(id.as_str()));
            let bytes = PutPayload::from(bytes.clone());
            wait(async move { store.put(&path, bytes).await }).expect("an object is written");
        }
        objects
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
