//! The golden repositories: written by the real kopia, each with the trees that its snapshots must restore.
//!
//! They lie in `testdata/golden`, whose README.md says which case covers what. Nothing here writes there; a
//! test that damages a repository takes a copy ([`crate::damage`]).
//!
//! ```
//! use kopia_testkit::golden;
//!
//! let case = golden::case("sources");
//! for (listed, expected) in case.pairs() {
//!     println!("{} {} restores {:?}", listed.id, listed.source, expected.tree);
//! }
//! ```

mod pairs;
mod rekey;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use crate::damage::{self, Blobs};
use crate::tree::Tree;

/// One golden repository, as its `case.json` describes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// Name of its directory below `repos`.
    pub name: String,
    /// What it is there for, in words.
    pub about: String,
    /// The version of kopia that wrote it, such as `v0.23.1`.
    pub kopia: String,
    /// What opens it.
    pub password: String,
    /// Flags that were given to `kopia repository create`.
    pub create: Vec<String>,
    /// The directory of the repository.
    #[serde(skip)]
    pub repository: PathBuf,
    /// The snapshots in the order they were made, with the trees they must restore.
    pub snapshots: Vec<Expected>,
    /// What kopia's own `snapshot list --all --json` says.
    #[serde(rename = "kopia_snapshot_list")]
    pub listed: Vec<Listed>,
}

/// A snapshot that was made, and what it must restore.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Expected {
    /// `user@host:path`, or empty: then all that follows from what the repository lists.
    pub source: String,
    /// Name of the tree, for [`Tree::load`].
    pub tree: String,
    /// The snapshot is of this one file of the tree only.
    pub file: Option<String>,
    /// Many snapshots of this source were made; only the newest one has this tree.
    #[serde(default)]
    pub latest_only: bool,
    /// kopia has deleted the snapshot since.
    #[serde(default)]
    pub expired: bool,
    /// Flags that were given to `kopia snapshot create`.
    #[serde(default)]
    pub args: Vec<String>,
}

/// A snapshot as kopia itself lists it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The manifest id: 32 hex digits.
    pub id: String,
    /// Who and what was backed up.
    pub source: Source,
    /// RFC 3339 in UTC with as many digits of the second as are not zero, as kopia writes it.
    pub start_time: String,
    /// The same of the end.
    pub end_time: String,
    /// Why the snapshot is not complete, if it is not.
    pub incomplete: Option<String>,
    /// Keys begin with `tag:`.
    #[serde(deserialize_with = "or_default")]
    pub tags: BTreeMap<String, String>,
    /// Names of the pins.
    #[serde(deserialize_with = "or_default")]
    pub pins: Vec<String>,
    /// May be empty.
    pub description: String,
    /// The object id of the root: a directory, or the one file.
    pub root_object: String,
}

/// The source of a snapshot; shown as `user@host:path`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Host name.
    pub host: String,
    /// User name.
    pub user_name: String,
    /// Absolute path on that host.
    pub path: String,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user_name, self.host, self.path)
    }
}

impl Case {
    /// Every expected snapshot that still exists, with the listed one that it is, in the order of
    /// `snapshots`.
    ///
    /// Snapshots of one source are paired by start time.
    ///
    /// # Panics
    ///
    /// When they do not pair one to one: then the case itself is wrong.
    pub fn pairs(&self) -> Vec<(Listed, Expected)> {
        pairs::pairs(self)
    }

    /// The blobs of the repository.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    pub fn blobs(&self) -> Blobs {
        damage::blobs(&self.repository, "").into_iter().map(|blob| (blob.id.clone(), blob.read())).collect()
    }

    /// The blobs of the repository, with a format blob that takes no time to open: for tests that open it
    /// often.
    ///
    /// # Panics
    ///
    /// When they cannot be read.
    pub fn cheap_blobs(&self) -> Blobs {
        let mut blobs = self.blobs();
        let format = blobs.get_mut("kopia.repository").expect("every repository has a format blob");
        *format = rekey::rekeyed(format, &self.password);
        blobs
    }
}

impl Expected {
    /// The tree that the snapshot must restore; for a single file a tree of that file alone, with an empty
    /// path.
    ///
    /// # Panics
    ///
    /// When there is no such tree, or no such file in it.
    pub fn load(&self) -> Tree {
        let tree = Tree::load(&self.tree);
        match &self.file {
            Some(file) => tree.only(file),
            None => tree,
        }
    }
}

/// Returns the directory of all golden data, with `repos` and `trees` in it.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden")
}

/// Returns all cases, sorted by name.
///
/// # Panics
///
/// When the golden data is not there or cannot be read.
pub fn cases() -> Vec<Case> {
    let repos = root().join("repos");
    let directory = repos.read_dir().unwrap_or_else(|error| panic!("{}: {error}", repos.display()));
    let mut names: Vec<String> = directory
        .map(|entry| entry.unwrap_or_else(|error| panic!("{}: {error}", repos.display())))
        .filter(|entry| entry.path().join("case.json").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.iter().map(|name| case(name)).collect()
}

/// Returns the case of this name.
///
/// # Panics
///
/// When there is none, or its `case.json` cannot be read.
pub fn case(name: &str) -> Case {
    let directory = root().join("repos").join(name);
    let path = directory.join("case.json");
    let json = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let case: Case =
        serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(case.name, name, "the directory of a case has its name");
    Case { repository: directory.join("repo"), ..case }
}

/// Deserializes a list, which kopia writes as `null` if it is empty.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(json: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

#[cfg(test)]
mod tests;
