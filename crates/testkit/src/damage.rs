//! Copies of golden repositories, damaged as time and disks damage them.
//!
//! ```
//! use kopia_testkit::{damage, golden};
//!
//! let copy = damage::copy_repository(&golden::case("tricky"));
//! let pack = &copy.blobs("p")[0];
//! pack.flip_bit(100, 3);
//! // … copy.path() is a repository with one wrong bit.
//! ```

mod kind;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub use kind::{Blobs, Change, Damage};

/// A copy of a repository that may be damaged; removed when dropped.
#[derive(Debug)]
pub struct RepositoryCopy {
    directory: TempDir,
}

/// One blob of a repository on disk. Each damage changes this blob's file and no other, and panics if it
/// cannot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob {
    /// The blob id: the names on the way to the file, joined, without `.f`.
    pub id: String,
    /// The file it is in.
    pub path: PathBuf,
}

/// Copies the repository of a golden case.
///
/// # Panics
///
/// When it cannot be copied.
pub fn copy_repository(case: &crate::golden::Case) -> RepositoryCopy {
    RepositoryCopy::of(&case.repository)
}

impl RepositoryCopy {
    /// Copies the repository in this directory.
    ///
    /// # Panics
    ///
    /// When it cannot be copied.
    pub fn of(repository: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("a temporary directory: {error}"));
        let copy = Self { directory };
        fs::create_dir(copy.path()).unwrap_or_else(|error| failed(&copy.path(), error));
        for file in files(repository) {
            let to =
                copy.path().join(file.strip_prefix(repository).expect("files lie below their directory"));
            let parent = to.parent().expect("a file lies in a directory");
            fs::create_dir_all(parent).unwrap_or_else(|error| failed(parent, error));
            // Not `fs::copy`: the original may be read-only.
            let bytes = fs::read(&file).unwrap_or_else(|error| failed(&file, error));
            fs::write(&to, bytes).unwrap_or_else(|error| failed(&to, error));
        }
        copy
    }

    /// The directory of the copy.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    /// The blobs whose ids begin with `prefix`, sorted by id.
    pub fn blobs(&self, prefix: &str) -> Vec<Blob> {
        blobs(&self.path(), prefix)
    }

    /// The blob of this id.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn blob(&self, id: &str) -> Blob {
        let mut found = self.blobs(id).into_iter().filter(|blob| blob.id == id);
        found.next().unwrap_or_else(|| panic!("no blob {id:?} in {}", self.path().display()))
    }
}

/// Returns the blobs of a repository whose ids begin with `prefix`, sorted by id.
///
/// # Panics
///
/// When the directory cannot be read.
pub fn blobs(repository: &Path, prefix: &str) -> Vec<Blob> {
    let mut blobs: Vec<Blob> =
        files(repository).into_iter().filter_map(|path| blob(repository, path)).collect();
    blobs.retain(|blob| blob.id.starts_with(prefix));
    blobs.sort();
    blobs
}

/// Returns the blob of a file; `.shards` and other files are none.
fn blob(repository: &Path, path: PathBuf) -> Option<Blob> {
    let below = path.strip_prefix(repository).expect("files lie below their directory");
    let joined: String = below.iter().map(|part| part.to_str()).collect::<Option<_>>()?;
    Some(Blob { id: joined.strip_suffix(".f")?.to_owned(), path })
}

/// Lists all files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| failed(directory, error));
    let paths = entries.map(|entry| entry.unwrap_or_else(|error| failed(directory, error)).path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

impl Blob {
    /// The bytes as they are now.
    pub fn read(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap_or_else(|error| failed(&self.path, error))
    }

    /// Replaces all bytes.
    pub fn write(&self, bytes: &[u8]) {
        fs::write(&self.path, bytes).unwrap_or_else(|error| failed(&self.path, error));
    }

    /// Keeps the first `length` bytes.
    pub fn truncate(&self, length: usize) {
        self.change(|bytes| {
            assert!(length < bytes.len(), "it has only {} bytes", bytes.len());
            bytes.truncate(length);
        });
    }

    /// Turns one bit over; bit 0 is the lowest.
    pub fn flip_bit(&self, byte: usize, bit: u32) {
        self.change(|bytes| bytes[byte] ^= 1 << bit);
    }

    /// Sets a range of bytes to zero, as a lost page is.
    pub fn zero(&self, range: Range<usize>) {
        self.change(|bytes| bytes[range].fill(0));
    }

    /// Adds bytes at the end.
    pub fn append(&self, more: &[u8]) {
        self.change(|bytes| bytes.extend_from_slice(more));
    }

    /// Removes the file.
    pub fn delete(&self) {
        fs::remove_file(&self.path).unwrap_or_else(|error| failed(&self.path, error));
    }

    /// Exchanges the bytes of two blobs: each is whole, under the wrong name.
    pub fn swap(&self, other: &Self) {
        let (mine, theirs) = (self.read(), other.read());
        self.write(&theirs);
        other.write(&mine);
    }

    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.read();
        change(&mut bytes);
        self.write(&bytes);
    }
}

fn failed(path: &Path, error: std::io::Error) -> ! {
    panic!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests;
