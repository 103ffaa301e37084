//! A store of blobs in any tree of directories whose files can be read.
//!
//! It knows where blobs lie and which copy to read; what a connection is, its tree knows alone.

use std::io;

use kopia_format::BlobId;

use super::layout::Layout;
use super::shards::{FILE_NAME, MAX_LENGTH, Shards};
use super::tree::{EntryKind, Fetched, FileTree, is_absent};
use crate::error::check_range;
use crate::{BlobBytes, BlobInfo, BlobStore, Error, ErrorKind, ReadProfile, Result, WHOLE_BLOB_LIMIT};

/// Blobs as files in shard directories of a tree.
#[derive(Debug)]
pub struct ShardedStore<T> {
    tree: T,
    layout: Layout,
    layout_problem: Option<String>,
}

/// Of which bytes of a blob there is need.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Whole,
    Range { offset: u64, length: usize },
}

impl<T: FileTree> ShardedStore<T> {
    /// Opens a tree, which need not hold a repository: reads its file `.shards`, if it has one.
    ///
    /// # Errors
    /// [`Error::Open`] if the tree's root is not there, is no directory, or cannot be asked.
    pub fn open(tree: T) -> Result<Self> {
        let open_error = |source| Error::Open { place: tree.location(), source };
        let file = shards_file(&tree);
        match &file {
            Ok(None) => check_root(&tree).map_err(open_error)?,
            // Perhaps it is the file alone that must not be read.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                check_root(&tree).map_err(open_error)?;
            }
            Ok(Some(_)) | Err(_) => {}
        }
        let shards = Shards::of_file(file, &format!("{}/{FILE_NAME}", tree.location()));
        let (shards, layout_problem) = shards.map_err(open_error)?;
        Ok(Self { tree, layout: Layout::new(shards), layout_problem })
    }

    /// Returns what is wrong with the file `.shards`, as a sentence. Blobs are found all the same.
    pub fn layout_problem(&self) -> Option<&str> {
        self.layout_problem.as_deref()
    }

    /// Returns the tree.
    pub fn tree(&self) -> &T {
        &self.tree
    }

    /// Calls `work` with the path of a blob, wherever it lies.
    fn with_file<R>(&self, id: &BlobId, offset: u64, work: impl Fn(&[u8]) -> io::Result<R>) -> Result<R> {
        let done = self.layout.find(&self.tree, id, work);
        done.map_err(|source| self.read_error(id, offset, source))
    }

    fn read_error(&self, id: &BlobId, offset: u64, source: io::Error) -> Error {
        if is_absent(&source) {
            return Error::not_found(id, self.location());
        }
        Error::Read { blob: id.clone(), place: self.location(), offset, source }
    }

    /// Reads what is wanted of the file at `path`.
    fn fetch(&self, path: &[u8], wanted: Wanted, buffer: Vec<u8>) -> io::Result<Fetched> {
        match wanted {
            Wanted::Whole => self.tree.read(path, WHOLE_BLOB_LIMIT),
            Wanted::Range { offset, length } if length > 0 && offset.checked_add(length as u64).is_some() => {
                self.tree.read_range(path, offset, length, buffer)
            }
            // No bytes, or more than any file has: how many it has decides.
            Wanted::Range { offset, length } => {
                let file = self.file_length(path)?;
                let fits = length == 0 && offset <= file;
                Ok(if fits { Fetched::Bytes(Vec::new()) } else { Fetched::Unfit { length: file } })
            }
        }
    }

    /// Returns the length of what must be a file.
    fn file_length(&self, path: &[u8]) -> io::Result<u64> {
        let stat = self.tree.stat(path)?;
        match stat.kind {
            EntryKind::File | EntryKind::Unknown => Ok(stat.length),
            EntryKind::Directory => Err(io::ErrorKind::IsADirectory.into()),
            EntryKind::Other => Err(io::Error::other("not a regular file")),
        }
    }

    /// Turns what was fetched into bytes or the error that it stands for.
    fn checked(&self, id: &BlobId, wanted: Wanted, fetched: Fetched) -> Result<Vec<u8>> {
        match (fetched, wanted) {
            (Fetched::Bytes(bytes), Wanted::Whole) => Ok(bytes),
            (Fetched::Bytes(bytes), Wanted::Range { length, .. }) if bytes.len() == length => Ok(bytes),
            (Fetched::Bytes(bytes), Wanted::Range { offset, length }) => {
                let why = format!("{} bytes came where {length} were asked for", bytes.len());
                Err(self.read_error(id, offset, io::Error::new(io::ErrorKind::InvalidData, why)))
            }
            (Fetched::Unfit { length }, Wanted::Whole) => {
                Err(Error::TooLarge { blob: id.clone(), place: self.location(), length })
            }
            (Fetched::Unfit { length: file }, Wanted::Range { offset, length }) => {
                check_range(id, || self.location(), offset, length, file)?;
                let why = format!("{file} bytes are said to be too few");
                Err(self.read_error(id, offset, io::Error::new(io::ErrorKind::InvalidData, why)))
            }
        }
    }

    /// Reads what is wanted of the copy that is read usually, and of others if that one is damaged.
    fn usual(&self, id: &BlobId, wanted: Wanted, buffer: Vec<u8>) -> Result<Vec<u8>> {
        let offset = if let Wanted::Range { offset, .. } = wanted { offset } else { 0 };
        // The search for a blob asks again, but only the first place has need of the buffer.
        let buffer = std::cell::Cell::new(buffer);
        let read = self.with_file(id, offset, |path| self.fetch(path, wanted, buffer.take()));
        match read.and_then(|fetched| self.checked(id, wanted, fetched)) {
            Err(error @ (Error::Short { .. } | Error::Read { .. })) if error.kind() == ErrorKind::Broken => {
                let copies = self.layout.copies(&self.tree, id).len();
                let found = (0..copies).find_map(|number| self.copy(id, number, wanted).ok().flatten());
                found.ok_or(error)
            }
            result => result,
        }
    }

    fn copy(&self, id: &BlobId, number: usize, wanted: Wanted) -> Result<Option<Vec<u8>>> {
        let copies = self.layout.copies(&self.tree, id);
        let Some(path) = copies.get(number).filter(|_| copies.len() > 1) else { return Ok(None) };
        let offset = if let Wanted::Range { offset, .. } = wanted { offset } else { 0 };
        let fetched = self.fetch(path, wanted, Vec::new());
        let fetched = fetched.map_err(|source| self.read_error(id, offset, source))?;
        self.checked(id, wanted, fetched).map(Some)
    }
}

/// Reads the file `.shards`, if there is one.
fn shards_file(tree: &impl FileTree) -> io::Result<Option<Vec<u8>>> {
    match tree.read(FILE_NAME.as_bytes(), MAX_LENGTH) {
        Ok(Fetched::Bytes(json)) => Ok(Some(json)),
        // It is said to be too long.
        Ok(Fetched::Unfit { .. }) => Ok(Some(vec![b' '; MAX_LENGTH as usize + 1])),
        // A directory of that name says nothing.
        Err(error) if error.kind() == io::ErrorKind::IsADirectory || is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Checks that there is a directory to find blobs in.
///
/// One that is missing, or closed to us, is no empty one.
fn check_root(tree: &impl FileTree) -> io::Result<()> {
    match tree.stat(b"")?.kind {
        EntryKind::Directory | EntryKind::Unknown => Ok(()),
        EntryKind::File | EntryKind::Other => Err(io::ErrorKind::NotADirectory.into()),
    }
}

#[deny(
    clippy::missing_trait_methods,
    reason = "networks have no directory here, and nothing else to inherit"
)]
impl<T: FileTree> BlobStore for ShardedStore<T> {
    fn location(&self) -> String {
        self.tree.location()
    }

    fn directory(&self) -> Option<std::path::PathBuf> {
        None
    }

    fn list(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        self.layout.list(&self.tree, prefix).map_err(|(directory, source)| {
            let mut place = self.tree.location();
            if !directory.is_empty() {
                place = format!("{place}/{}", directory.escape_ascii());
            }
            Error::List { place, source }
        })
    }

    fn length(&self, id: &BlobId) -> Result<u64> {
        self.with_file(id, 0, |path| self.file_length(path))
    }

    fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        self.usual(id, Wanted::Whole, Vec::new())
    }

    fn read_range(&self, id: &BlobId, offset: u64, length: usize, buffer: Vec<u8>) -> Result<BlobBytes> {
        self.usual(id, Wanted::Range { offset, length }, buffer).map(BlobBytes::from)
    }

    fn read_copy(
        &self,
        id: &BlobId,
        number: usize,
        offset: u64,
        length: Option<usize>,
    ) -> Result<Option<Vec<u8>>> {
        match length {
            Some(length) => self.copy(id, number, Wanted::Range { offset, length }),
            None => self.copy(id, number, Wanted::Whole),
        }
    }

    // Threads of the caller's read ahead.
    fn will_need(&self, _id: &BlobId, _offset: u64, _length: usize) {}

    fn cold(&self) -> Option<&dyn crate::ColdStorage> {
        None
    }

    fn profile(&self) -> ReadProfile {
        self.tree.profile()
    }
}

#[cfg(test)]
mod tests;
