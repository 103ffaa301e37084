//! Blobs as files in a directory, on a local or mounted disk.
//!
//! Where they lie, [`sharded`](crate::sharded) knows; here they are opened, mapped and read. Nothing is ever
//! written or created here, not even a `.shards` that is missing. Authority: Kopia's `repo/blob/filesystem`.

mod cache;
mod disk;
mod io_mode;
mod kind;
mod map;
mod open_blob;
#[cfg(test)]
mod tests;
mod tree;

use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kopia_format::BlobId;
use rustix::io::Errno;

use crate::error::check_range;
use crate::sharded::{FILE_NAME, Layout, Shards, is_absent};
use crate::{BlobBytes, BlobInfo, BlobStore, Error, ReadProfile, Result, WHOLE_BLOB_LIMIT};

use cache::Cache;
use disk::Disk;
pub use io_mode::IoMode;
use kind::Kind;
pub(crate) use map::Map;
pub use map::map_large_blocks;
use open_blob::OpenBlob;
#[cfg(test)]
pub(crate) use open_blob::file_length;
#[cfg(test)]
pub(crate) use tree::LocalTree;
#[cfg(not(test))]
use tree::LocalTree;

/// Blobs as files in a directory.
#[derive(Debug)]
pub struct FilesystemStore {
    path: PathBuf,
    tree: LocalTree,
    layout: Layout,
    /// What is wrong with `.shards`.
    layout_problem: Option<String>,
    kind: Kind,
    disk: Disk,
    /// Whether maps may be used; cleared when the kernel turns out not to know `MADV_POPULATE_READ`.
    maps: AtomicBool,
    cache: Cache,
}

impl FilesystemStore {
    /// Opens the directory `path`, which may be a symbolic link, to be read in the [default](IoMode::Auto)
    /// mode.
    ///
    /// # Errors
    /// As for [`Self::open_with`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, IoMode::Auto)
    }

    /// Opens the directory `path`, which may be a symbolic link. It need not hold a repository.
    ///
    /// # Errors
    /// [`Error::Open`] if it is not there, no directory, or must not be read.
    pub fn open_with(path: impl AsRef<Path>, mode: IoMode) -> Result<Self> {
        let path = path.as_ref();
        let error = |path: &Path, source| Error::Open { place: path.display().to_string(), source };
        // The current directory may change later.
        let path = std::path::absolute(path).map_err(|source| error(path, source))?;
        let tree = LocalTree::open(&path).map_err(|source| error(&path, source))?;
        let shards_file = path.join(FILE_NAME);
        let shards = Shards::of_file(tree.shards_file(), &shards_file.display().to_string());
        let (shards, layout_problem) = shards.map_err(|source| error(&shards_file, source))?;
        let (kind, disk) = (Kind::of(&tree), Disk::of(&tree));
        let maps = AtomicBool::new(mode == IoMode::Map && Map::IS_SUPPORTED);
        let layout = Layout::new(shards);
        let tree = tree.with_threads(profile(kind, disk).parallel_reads);
        Ok(Self { path, tree, layout, layout_problem, kind, disk, maps, cache: Cache::default() })
    }

    /// Returns what is wrong with the file `.shards`, as a sentence. Blobs are found all the same.
    pub fn layout_problem(&self) -> Option<&str> {
        self.layout_problem.as_deref()
    }

    /// Calls `work` with the path of a blob below the directory, wherever it lies.
    fn with_file<R>(&self, id: &BlobId, work: impl Fn(&[u8]) -> std::io::Result<R>) -> Result<R> {
        let done = self.layout.find(&self.tree, id, work);
        done.map_err(|source| self.read_error(id, 0, source))
    }

    fn read_error(&self, id: &BlobId, offset: u64, source: std::io::Error) -> Error {
        if is_absent(&source) {
            return Error::not_found(id, self.location());
        }
        Error::Read { blob: id.clone(), place: self.location(), offset, source }
    }

    fn open_blob(&self, id: &BlobId) -> Result<Arc<OpenBlob>> {
        self.with_file(id, |file| {
            let open = || OpenBlob::open(&self.tree, file, id);
            open().or_else(|error| match Errno::from_io_error(&error) {
                // Some of the files that are open are ours.
                Some(Errno::MFILE | Errno::NFILE) => {
                    self.cache.clear();
                    open()
                }
                _ => Err(error),
            })
        })
        .map(Arc::new)
    }

    /// Reads all of a blob that is open.
    fn whole(&self, blob: &OpenBlob) -> Result<Vec<u8>> {
        let (id, length) = (blob.id(), blob.length());
        let error = |source| self.read_error(id, 0, source);
        if length > WHOLE_BLOB_LIMIT {
            return Err(Error::TooLarge { blob: id.clone(), place: self.location(), length });
        }
        if self.kind == Kind::Other {
            blob.request_all(0, length);
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length as usize).map_err(|full| error(full.into()))?;
        blob.file().take(length).read_to_end(&mut bytes).map_err(error)?;
        check_range(id, || self.location(), 0, length as usize, bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Returns what can be read of the copies of a blob, if there are several.
    fn read_copies(&self, id: &BlobId, read: impl Fn(usize) -> Result<Option<Vec<u8>>>) -> Option<Vec<u8>> {
        let copies = self.layout.copies(&self.tree, id).len();
        (0..copies).find_map(|number| read(number).ok().flatten())
    }

    /// As [`BlobStore::read_range`], of the copy that is read usually.
    fn usual_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        if let Some(blob) = self.cache.get(id) {
            match self.range(&blob, offset, length, buffer) {
                Err(error) if may_be_stale(&error) => self.cache.forget(&blob),
                result => return result,
            }
            return self.range(&self.cache.insert(self.open_blob(id)?), offset, length, Vec::new());
        }
        self.range(&self.cache.insert(self.open_blob(id)?), offset, length, buffer)
    }

    /// Reads a range of a blob that is open.
    fn range(&self, blob: &OpenBlob, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        let id = blob.id();
        check_range(id, || self.location(), offset, length, blob.length())?;
        if length > 0 && self.maps.load(Ordering::Relaxed) {
            match blob.mapped(offset, length) {
                Ok(Some((map, range))) => return Ok(BlobBytes::mapped(map, range, buffer)),
                Err(Errno::INVAL) => self.maps.store(false, Ordering::Relaxed),
                Ok(None) | Err(_) => {}
            }
        }
        if self.kind == Kind::Other {
            blob.request_all(offset, length as u64);
        }
        match blob.copied(offset, length, buffer) {
            Ok(buffer) => Ok(buffer.into()),
            Err(source) if source.kind() == std::io::ErrorKind::UnexpectedEof => {
                let length_now = blob.length_now().map_err(|source| self.read_error(id, offset, source))?;
                check_range(id, || self.location(), offset, length, length_now)
                    .and(Err(self.read_error(id, offset, source)))
            }
            Err(source) => Err(self.read_error(id, offset, source)),
        }
    }
}

/// Returns whether a file that was kept open may be to blame: it was replaced, or its server forgot it
/// (ESTALE).
fn may_be_stale(error: &Error) -> bool {
    match error {
        Error::Short { .. } => true,
        Error::Read { source, .. } => Errno::from_io_error(source) == Some(Errno::STALE),
        _ => false,
    }
}

impl BlobStore for FilesystemStore {
    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn directory(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.layout.list(&self.tree, prefix).map_err(|(directory, source)| Error::List {
            place: self.path.join(OsStr::from_bytes(&directory)).display().to_string(),
            source,
        })
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.with_file(id, |file| open_blob::file_length(&self.tree, file))
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        match self.open_blob(id).and_then(|blob| self.whole(&blob)) {
            Err(error @ Error::Read { .. }) => {
                self.read_copies(id, |number| self.read_copy(id, number, 0, None)).ok_or(error)
            }
            result => result,
        }
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        match self.usual_range(id, offset, length, buffer) {
            // It may be damaged in one place and whole in another.
            Err(error @ (Error::Short { .. } | Error::Read { .. })) => {
                let copy = |number| self.read_copy(id, number, offset, Some(length));
                self.read_copies(id, copy).map(BlobBytes::from).ok_or(error)
            }
            result => result,
        }
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        let copies = self.layout.copies(&self.tree, id);
        let Some(file) = copies.get(number).filter(|_| copies.len() > 1) else { return Ok(None) };
        let open = OpenBlob::open(&self.tree, file, id);
        let blob = open.map_err(|source| self.read_error(id, 0, source))?;
        match length {
            None => self.whole(&blob).map(Some),
            Some(length) => {
                check_range(id, || self.location(), offset, length, blob.length())?;
                let copied = blob.copied(offset, length, Vec::new());
                copied.map(Some).map_err(|source| self.read_error(id, offset, source))
            }
        }
    }

    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
        let blob = self.cache.get(id).or_else(|| Some(self.cache.insert(self.open_blob(id).ok()?)));
        if let Some(blob) = blob {
            blob.will_need(offset, length);
        }
    }

    fn profile(&self) -> ReadProfile {
        profile(self.kind, self.disk)
    }
}

/// Returns how a directory on such a file system is read best.
fn profile(kind: Kind, disk: Disk) -> ReadProfile {
    match (kind, disk) {
        (Kind::Local { .. }, Disk::Other) => ReadProfile::LOCAL,
        (Kind::Local { .. }, Disk::Spinning) => ReadProfile::SPINNING,
        (Kind::Local { .. }, Disk::SpinningArray) => ReadProfile::SPINNING_ARRAY,
        (Kind::Other, _) => ReadProfile::NETWORK,
    }
}
