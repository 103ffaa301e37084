//! Trees of files: what a snapshot must restore, what is really there, and how the two differ.
//!
//! ```
//! use kopia_testkit::tree::{Compare, Tree, compare};
//!
//! let expected = Tree::load("small");
//! let restored = tempfile::tempdir()?;
//! // … restore into it …
//! let differences = compare(&expected, &Tree::scan(restored.path()), &Compare::default());
//! assert!(differences.contains(&"hello.txt: missing".to_owned()));
//! # Ok::<(), std::io::Error>(())
//! ```

mod compare;
mod line;
mod scan;

use std::path::Path;

pub use compare::{Compare, compare};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A pipe, socket or device: never in a golden tree.
    Other,
}

/// One file, directory or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the root, whose own path is empty. What is not UTF-8 became U+FFFD, one a byte, as in
    /// kopia.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// The lower 12 bits; 0 for links, whose mode means nothing.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Nanoseconds since 1970, negative before.
    pub mtime_ns: i128,
    /// Bytes of a file; 0 for all else.
    pub size: u64,
    /// 64 hex digits, for files only.
    pub sha256: Option<String>,
    /// Where a link points, for links only; made UTF-8 like the path.
    pub target: Option<String>,
}

/// All entries of a directory, sorted by path; or a single file with an empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<Entry>,
}

impl Tree {
    /// A golden tree, from `testdata/golden/trees`.
    ///
    /// # Panics
    ///
    /// When there is no such tree, or a line of it cannot be understood.
    pub fn load(name: &str) -> Self {
        let path = crate::golden::root().join("trees").join(format!("{name}.jsonl"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::from_lines(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Reads a tree in the form of the golden ones: one JSON object a line.
    ///
    /// # Errors
    ///
    /// When a line is not such an entry.
    pub fn from_lines(text: &str) -> Result<Self, serde_json::Error> {
        text.lines().map(line::parse).collect::<Result<_, _>>().map(Self::new)
    }

    /// Reads a real directory, without following any link, however deep it is.
    ///
    /// Root reads everything. What another user may not read but owns is made readable for the moment.
    ///
    /// # Panics
    ///
    /// When something cannot be read.
    pub fn scan(path: impl AsRef<Path>) -> Self {
        Self::new(scan::directory(path.as_ref()).unwrap_or_else(|error| panic!("{error}")))
    }

    /// Reads a single file or link; a link is not followed.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    pub fn scan_file(path: impl AsRef<Path>) -> Self {
        Self::new(scan::single(path.as_ref()).unwrap_or_else(|error| panic!("{error}")))
    }

    /// A tree of these entries.
    pub fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Self { entries }
    }

    /// The entries, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at this path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// What lies at and below a path, as a tree of its own.
    ///
    /// # Panics
    ///
    /// When nothing does.
    pub fn only(&self, path: &str) -> Self {
        let entries: Vec<Entry> = self.entries.iter().filter_map(|entry| entry.below(path)).collect();
        assert!(!entries.is_empty(), "the tree has no entry {path:?}");
        Self::new(entries)
    }
}

impl Entry {
    /// The entry with its path relative to `directory`, if it is there.
    fn below(&self, directory: &str) -> Option<Self> {
        let rest = match directory {
            "" => self.path.as_str(),
            _ => self.path.strip_prefix(directory)?,
        };
        let path = match rest.strip_prefix('/') {
            Some(rest) => rest,
            None if rest.is_empty() || directory.is_empty() => rest,
            None => return None,
        };
        Some(Self { path: path.to_owned(), ..self.clone() })
    }
}

#[cfg(test)]
mod tests;
