//! What the tests share: repositories of their own making, archives of them, and programs that read these.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kopia_codec::key::Password;
use kopia_export::{Format, Options, Outcome, export};
use kopia_repository::{Entry, Repository};
use kopia_storage::FilesystemStore;
use kopia_testkit::tree::{Compare, Tree, compare};
use kopia_testkit::writer::{PASSWORD, RepositoryWriter};
use serde_json::{Value, json};

/// Has GNU tar say nothing of times that it finds odd.
pub(crate) const QUIET: &str = "--warning=no-timestamp";

/// A folder of its own for each test, removed at its end.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// In memory: thousands of files are written.
    pub(crate) fn new() -> Self {
        Self { dir: kopia_testkit::scratch() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes an empty folder.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).expect("a folder");
        path
    }

    /// Writes a repository with one snapshot and opens its root.
    pub(crate) fn root(
        &self,
        mut writer: RepositoryWriter,
        write: impl FnOnce(&mut RepositoryWriter) -> Value,
    ) -> Entry {
        let root = write(&mut writer);
        writer.snapshot("app@host:/data", root);
        writer.finish_in(&self.path("repo")).expect("a repository");
        self.open()
    }

    pub(crate) fn open(&self) -> Entry {
        open(&self.path("repo"), PASSWORD)
    }

    /// Restores an entry.
    pub(crate) fn restored(&self, root: &Entry, name: &str) -> PathBuf {
        let path = self.path(name);
        kopia_restore::restore(root, &path, &kopia_restore::Options::default()).expect("it is restored");
        path
    }
}

/// Opens the root of a repository's first snapshot.
pub(crate) fn open(repository: &Path, password: &str) -> Entry {
    let store = FilesystemStore::open(repository).expect("the folder is there");
    let repository = Repository::open(store, &Password::new(password)).expect("it opens");
    let snapshots = repository.snapshots().expect("snapshots");
    snapshots.iter().next().expect("one snapshot").root().expect("a root")
}

/// When everything was changed last.
const TIME: &str = "2020-01-02T03:04:05.000000006Z";

pub(crate) fn file(name: &str, object: &str, size: usize) -> Value {
    json!({"name": name, "type": "f", "mode": "0644", "size": size, "mtime": TIME, "obj": object})
}

pub(crate) fn folder(name: &str, object: &str) -> Value {
    json!({"name": name, "type": "d", "mode": "0755", "mtime": TIME, "obj": object})
}

pub(crate) fn options(format: Format) -> Options {
    let mut options = Options::default();
    options.format = format;
    options
}

/// Exports into memory.
pub(crate) fn exported(root: &Entry, options: &Options) -> (Vec<u8>, Outcome) {
    let mut archive = Vec::new();
    let outcome = export(root, &mut archive, options, &()).expect("it comes to its end");
    assert_eq!(outcome.archive_bytes, archive.len() as u64);
    (archive, outcome)
}

pub(crate) fn problems(outcome: &Outcome) -> Vec<String> {
    outcome.problems.iter().map(ToString::to_string).collect()
}

/// Has a program read an archive from its standard input; `None` where there is no such program.
pub(crate) fn read_by(archive: &Path, program: &str, arguments: &[&str], folder: &Path) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(fs::File::open(archive).expect("the archive"));
    command.env("LC_ALL", "C.UTF-8").stderr(Stdio::piped()).stdout(Stdio::piped());
    let output = match command.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            kopia_testkit::facilities::left_out(format_args!("there is no {program} here"));
            return None;
        }
        output => output.expect("the program runs"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{program} {arguments:?}: {said}");
    Some(output.stdout)
}

/// Has GNU tar unpack an archive into a new folder.
pub(crate) fn untar(place: &Place, archive: &[u8], name: &str) -> PathBuf {
    let (file, folder) = (place.path(&format!("{name}.archive")), place.folder(name));
    fs::write(&file, archive).expect("the archive");
    read_by(&file, "tar", &["-xpf", "-", "--numeric-owner", QUIET], &folder).expect("there is a tar");
    folder
}

/// Compares two trees: every name, byte and attribute.
#[track_caller]
pub(crate) fn assert_same(expected: &Tree, found: &Tree, what: &str) {
    let differences = compare(expected, found, &Compare::settable());
    assert!(differences.is_empty(), "{what}: {differences:#?}");
}
