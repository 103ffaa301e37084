//! Small repositories made after public bug reports, each with one trap for readers.
//!
//! They lie in `testdata/faults`, whose README.md describes the trap in each. Nothing here writes
//! there; a test that changes one takes a copy ([`crate::damage::RepositoryCopy::of`]).

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

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/faults").join(name)
}
