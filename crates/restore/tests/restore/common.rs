//! What the tests of this crate share: a repository of the test's own making, and a folder to restore into.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kopia_codec::key::Password;
use kopia_repository::{Entry, Repository};
use kopia_restore::{Options, Outcome};
use kopia_storage::FilesystemStore;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

/// A folder of its own for each test, removed at its end.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Makes it in memory, for tests that restore hundreds of times.
    pub(crate) fn in_memory() -> Self {
        Self { dir: kopia_testkit::scratch() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a repository and opens the root of its only snapshot.
    pub(crate) fn root(&self, name: &str, write: impl FnOnce(&mut RepositoryWriter) -> Value) -> Entry {
        let mut writer = RepositoryWriter::new();
        let root = write(&mut writer);
        writer.snapshot("app@host:/data", root);
        self.finish(name, writer)
    }

    pub(crate) fn finish(&self, name: &str, writer: RepositoryWriter) -> Entry {
        writer.finish_in(&self.path(name)).expect("a repository");
        self.open(name)
    }

    pub(crate) fn open(&self, name: &str) -> Entry {
        let store = FilesystemStore::open(self.path(name)).expect("the folder is there");
        let repository = Repository::open(store, &Password::from(PASSWORD)).expect("it opens");
        let snapshots = repository.snapshots().expect("snapshots");
        snapshots.iter().next().expect("one snapshot").root().expect("a root")
    }

    pub(crate) fn restore(&self, root: &Entry, name: &str) -> Outcome {
        kopia_restore::restore(root, self.path(name), &Options::default()).expect("it runs to the end")
    }
}

/// The mode's bits for rights.
pub(crate) fn mode(path: impl AsRef<Path>) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

pub(crate) fn set_mode(path: impl AsRef<Path>, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("it takes a mode");
}

pub(crate) fn file(name: &str, object: &str, size: usize) -> Value {
    json!({"name": name, "type": "f", "mode": "0644", "size": size, "mtime": "2020-01-02T03:04:05.000000006Z", "obj": object})
}

pub(crate) fn folder(name: &str, object: &str) -> Value {
    json!({"name": name, "type": "d", "mode": "0755", "mtime": "2020-01-02T03:04:05.000000006Z", "obj": object})
}

pub(crate) fn link(name: &str, object: &str) -> Value {
    json!({"name": name, "type": "s", "mode": "0777", "mtime": "2020-01-02T03:04:05.000000006Z", "obj": object})
}

/// What the problems are, as people read them.
pub(crate) fn problems(outcome: &Outcome) -> Vec<String> {
    outcome.problems.iter().map(ToString::to_string).collect()
}

/// The names in a folder, sorted.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// Compares two restored trees: every name, byte and attribute.
pub(crate) fn assert_same(expected: &Path, found: &Path) {
    let (expected, found) = (Tree::scan(expected), Tree::scan(found));
    let differences = compare(&expected, &found, &Compare::settable());
    assert!(differences.is_empty(), "{differences:#?}");
}
