//! How much of the machine an open repository takes.

use std::num::NonZero;
use std::path::PathBuf;

/// Bytes of decoded contents that are kept by default: those of a working set of 64 MiB, and of the contents
/// that reach beyond its ends, each of up to 8 MiB with kopia's usual splitter.
const CONTENT_CACHE: usize = 80 << 20;

/// Bytes of parsed directories and lists of pieces that are kept by default: a directory of 100,000 files.
const DIRECTORY_CACHE: usize = 32 << 20;

/// Bytes that are decoded ahead of all readers together by default.
const READ_AHEAD: usize = 128 << 20;

/// Limits of threads and memory of one repository, which all that is read from it shares.
///
/// Memory is only taken as it is needed: opening takes none of these bytes, and restoring, verifying and
/// exporting need none of the caches.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Resources {
    /// How many threads decode and merge; nothing means as many as there are cores that this process may use.
    pub threads: Option<NonZero<usize>>,
    /// Bytes of decoded contents that are kept for readers that jump about in files, or read small files
    /// again; 0 keeps none.
    pub content_cache: usize,
    /// Bytes of parsed directories, and of lists of the pieces of large files, that are kept once they were
    /// asked for twice; 0 keeps none.
    pub directory_cache: usize,
    /// Bytes that are decoded ahead of all readers that read front to back; 0 has each reader decode by
    /// itself, on one core. A reader that finds nothing left of it does so, too.
    pub read_ahead: usize,
    /// Where the merged index is kept in a file instead of in memory; nothing keeps it in memory, 30 bytes
    /// for each content. The file has no name and is gone with the repository; while it is made it takes
    /// twice as much room as it has at last. The system keeps it in memory as long as nobody else needs that.
    pub index_directory: Option<PathBuf>,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            threads: None,
            content_cache: CONTENT_CACHE,
            directory_cache: DIRECTORY_CACHE,
            read_ahead: READ_AHEAD,
            index_directory: None,
        }
    }
}

impl Resources {
    /// Sets how many threads decode and merge.
    #[must_use]
    pub fn threads(self, threads: NonZero<usize>) -> Self {
        Self { threads: Some(threads), ..self }
    }

    /// Sets how many bytes of decoded contents are kept.
    #[must_use]
    pub fn content_cache(self, bytes: usize) -> Self {
        Self { content_cache: bytes, ..self }
    }

    /// Sets how many bytes of parsed directories are kept.
    #[must_use]
    pub fn directory_cache(self, bytes: usize) -> Self {
        Self { directory_cache: bytes, ..self }
    }

    /// Sets how many bytes are decoded ahead.
    #[must_use]
    pub fn read_ahead(self, bytes: usize) -> Self {
        Self { read_ahead: bytes, ..self }
    }

    /// Keeps the merged index in a file, made in a directory that must not lie in the repository: for more
    /// contents than memory is for.
    #[must_use]
    pub fn index_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { index_directory: Some(directory.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_set_leaves_the_others() {
        let three = NonZero::new(3).unwrap();
        let set: [fn(Resources) -> Resources; 5] = [
            |limits| limits.threads(NonZero::new(3).unwrap()),
            |limits| limits.content_cache(4),
            |limits| limits.directory_cache(5),
            |limits| limits.read_ahead(6),
            |limits| limits.index_directory("/tmp/index"),
        ];
        for last in 0..set.len() {
            let others = (0..set.len()).filter(|number| *number != last).chain([last]);
            let limits = others.fold(Resources::default(), |limits, number| set[number](limits));
            let Resources { threads, content_cache, directory_cache, read_ahead, index_directory } = limits;
            assert_eq!((threads, content_cache, directory_cache, read_ahead), (Some(three), 4, 5, 6));
            assert_eq!(index_directory, Some("/tmp/index".into()));
        }
    }
}
