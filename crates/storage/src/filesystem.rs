//! A repository in a folder of a local or mounted file system.
//!
//! A blob is one file, `NAME.f`, below folders made of the first bytes of its name ([`shards`]). The folder may be a
//! symbolic link. Nothing is ever created or changed in it.
//!
//! # Maps or plain reads
//!
//! With [`IoMode::Auto`] ranges of files on local file systems are handed out as parts of kept maps, without a copy. A
//! plain look at a map ends the process with SIGBUS if the file was cut short or its disk cannot be read. So before a
//! range is handed out, the length of the file is checked, and the system is told to make its pages present
//! (`MADV_POPULATE_READ`), which fails with an error instead. Where that fails the range is read plainly, which says
//! what is wrong with which blob at which byte; on kernels that do not know the request (before 5.14) everything is.
//!
//! One window stays: if somebody cuts a file short after its pages were made present and before they are looked at, or
//! if the system drops a page meanwhile and the disk then fails, the process ends with SIGBUS. Kopia never cuts a blob
//! short, and removing one is harmless. Who cannot rule it out uses [`IoMode::Pread`], which never maps. Network file
//! systems, FUSE and whatever is not known as local are always read plainly.
//!
//! Authority: `repo/blob/filesystem/filesystem_storage.go`.

mod files;
mod list;
mod local;
mod shards;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use kopia_format::BlobId;

use self::files::Files;
use self::shards::Shards;
use crate::{BlobBytes, BlobInfo, BlobStore, Error, ReadProfile, Result};

/// How ranges of files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IoMode {
    /// By maps on local file systems, otherwise by plain reads.
    #[default]
    Auto,
    /// By plain reads (`pread`) only.
    Pread,
}

/// Reads a repository in a folder.
#[derive(Debug)]
pub struct FilesystemStore {
    root: PathBuf,
    shards: Shards,
    files: Files,
    local: bool,
}

impl FilesystemStore {
    /// Opens the repository in the folder `root`, with [`IoMode::Auto`].
    ///
    /// # Errors
    /// As [`Self::open_with`].
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(root, IoMode::Auto)
    }

    /// Opens the repository in the folder `root`. Whether it holds a repository is not looked at.
    ///
    /// # Errors
    /// [`Error::Open`] if it does not exist, is no folder or may not be read; [`Error::Layout`] for a broken `.shards`.
    pub fn open_with(root: impl AsRef<Path>, io: IoMode) -> Result<Self> {
        let at = |source| Error::Open { path: root.as_ref().to_owned(), source };
        // A later change of the working directory must not move the repository.
        let root = std::path::absolute(&root).map_err(at)?;
        fs::read_dir(&root).map_err(at)?;
        let local = File::open(&root).is_ok_and(|folder| local::is_local(&folder));
        let shards = read_shards(&root.join(shards::FILE))?.unwrap_or_default();
        Ok(Self { root, shards, files: Files::new(io), local })
    }

    /// Returns where the blob's file is to be.
    fn path(&self, id: &BlobId) -> Result<PathBuf> {
        let path = self.shards.path(id).map(|path| self.root.join(path));
        path.ok_or_else(|| Error::NotFound { location: self.location(), blob: id.clone() })
    }
}

#[deny(clippy::missing_trait_methods, reason = "there is nothing to inherit")]
impl BlobStore for FilesystemStore {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn folder(&self) -> Option<PathBuf> {
        Some(self.root.clone())
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        list::list(&self.root, prefix)
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        let path = self.path(id)?;
        files::length(&files::open(&path, id)?, &path, id)
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        files::read(&self.path(id)?, id)
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.files.read_range(id, || self.path(id), offset, length, buffer)
    }

    fn will_need(&self, id: &BlobId, offset: u64, length: usize) {
        self.files.will_need(id, || self.path(id), offset, length);
    }

    /// These numbers are estimates, not measurements. On a local file system a gap costs pages to bring in and a read
    /// costs little, and the system reads ahead anyway; on others each read may be a round trip.
    fn profile(&self) -> ReadProfile {
        match self.local {
            true => ReadProfile { merge_gap: 4 << 10, merge_limit: 1 << 20, parallel_reads: 2 },
            false => ReadProfile { merge_gap: 256 << 10, merge_limit: 4 << 20, parallel_reads: 16 },
        }
    }
}

/// Reads `.shards`. None if there is none; it is not made then.
fn read_shards(path: &Path) -> Result<Option<Shards>> {
    let at = |source| Error::Open { path: path.to_owned(), source };
    let file = match files::open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(at)?,
    };
    let mut bytes = Vec::new();
    file.take(shards::FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(at)?;
    let shards = match bytes.len() as u64 > shards::FILE_LIMIT {
        true => Err(format!("it is longer than {} bytes", shards::FILE_LIMIT)),
        false => Shards::parse(&bytes),
    };
    shards.map(Some).map_err(|why| Error::Layout { place: path.display().to_string(), why })
}

#[cfg(test)]
mod tests;
