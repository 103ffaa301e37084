//! Small repositories made after public bug reports, each with one trap for readers.
//!
//! They lie in `testdata/faults`, whose README.md describes the trap in each. Nothing here writes
//! there; a test that changes one takes a copy ([`crate::damage::RepositoryCopy::of`]).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::tree::Tree;

/// Opens all of them.
pub const PASSWORD: &str = "test";

/// Returns the directory of a repository.
///
/// # Panics
///
/// When there is none of this name.
pub fn repository(name: &str) -> PathBuf {
    let path = directory(name).join("repo");
    assert!(path.is_dir(), "{} is no directory", path.display());
    path
}

/// Returns the tree that the newest readable snapshot must restore.
///
/// # Panics
///
/// When that is not known of this repository, or cannot be read.
pub fn tree(name: &str) -> Tree {
    let path = directory(name).join("tree.jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Tree::from_lines(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the SHA-256 of each file that the newest snapshot must restore, in 64 hex digits.
///
/// # Panics
///
/// When that is not known of this repository, or cannot be read.
pub fn hashes(name: &str) -> BTreeMap<String, String> {
    let path = directory(name).join("right.sha256");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let line = |line: &str| line.split_once("  ").map(|(hash, file)| (file.to_owned(), hash.to_owned()));
    text.lines().map(|text| line(text).unwrap_or_else(|| panic!("{}: {text}", path.display()))).collect()
}

/// Returns the SHA-256 of each file below a directory, by its path, in the form of [`hashes`].
pub fn hashes_of(directory: &Path) -> BTreeMap<String, String> {
    let tree = Tree::scan(directory);
    tree.entries().iter().filter_map(|entry| Some((entry.path.clone(), entry.sha256.clone()?))).collect()
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/faults").join(name)
}
